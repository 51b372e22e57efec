package dev.javelin.train.xray;

import static dev.javelin.train.xray.PageReader.number;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.train.xray.Xray.AttentionHead;
import dev.javelin.train.xray.Xray.Cost;
import dev.javelin.train.xray.Xray.Guess;
import dev.javelin.train.xray.Xray.Lens;
import dev.javelin.train.xray.Xray.Op;
import dev.javelin.train.xray.Xray.ParameterFacts;
import dev.javelin.train.xray.Xray.Range;
import dev.javelin.train.xray.Xray.StreamPoint;
import dev.javelin.train.xray.Xray.Target;
import dev.javelin.train.xray.Xray.Token;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** The page of a real step, read as a reader would, against what the step was. */
class XrayPageTest {
  /** Half of the last of three digits, relative to the least that they can be. */
  private static final double DIGITS = 5.001e-3;

  private static final List<String> HOSTILE =
      List.of(
          "</script><script>alert(1)</script>",
          "<b onclick=\"x()\">'&amp;",
          "\u0000\u0007\u001b[31m",
          "\ud83d",
          "\udc00x",
          "\u202eevil\u2066",
          "/*script*/",
          "",
          "]]>",
          "<!--",
          "\u200b\ufeff",
          "e\u0301\u0302",
          "a\n\tb\r",
          "日本語 ça",
          "\ufffe\uffff",
          "x".repeat(3000),
          "${x}`\\u003c",
          "$1\\0");

  private static Xray x;
  private static String page;
  private static PageReader read;

  @BeforeAll
  static void make() {
    x = XrayFixture.llama();
    page = XrayPage.of(List.of(x));
    read = new PageReader(page);
  }

  private static void same(String cell, double value) {
    if (Double.isNaN(value)) {
      assertThat(cell).isIn("–", "not a number");
    } else if (Double.isInfinite(value)) {
      assertThat(cell).isIn("∞", "never");
    } else {
      assertThat(number(cell)).isCloseTo(value, within(DIGITS * Math.abs(value)));
    }
  }

  private static void row(List<String> cells, Object... expected) {
    assertThat(cells).hasSize(expected.length);
    for (int i = 0; i < expected.length; i++) {
      if (expected[i] instanceof Double d) {
        same(cells.get(i), d);
      } else if (expected[i] instanceof Number n) {
        assertThat(cells.get(i).replace("\u202f", "")).isEqualTo(n.toString());
      } else {
        assertThat(cells.get(i)).isEqualTo(expected[i]);
      }
    }
  }

  @Test
  void tokensAndLossesAreTheRecords() {
    List<List<String>> tokens = read.table("tokens-0");
    List<List<String>> losses = read.table("losses-0");
    assertThat(tokens).hasSameSizeAs(x.tokens());
    assertThat(losses).hasSize(x.loss().targets());
    for (Token t : x.tokens()) {
      List<String> cells = tokens.get(t.index());
      Target target = t.target();
      row(cells.subList(0, 3), t.index(), Legible.token(t.text()), t.id());
      assertThat(cells.get(3)).contains(String.valueOf(t.from()));
      assertThat(cells.get(5)).isEqualTo(target == null ? "–" : String.valueOf(target.id()));
      if (target != null) {
        row(
            losses.get(t.index()),
            t.index(),
            Legible.token(t.text()),
            Legible.token(target.text()),
            target.lossBefore(),
            target.lossAfter(),
            target.lossAfter() - target.lossBefore(),
            Math.exp(-target.lossBefore()),
            Math.exp(-target.lossAfter()));
      }
    }
    assertThat(tile("loss", "mean loss before"))
        .isCloseTo(x.loss().before(), within(DIGITS * x.loss().before()));
    assertThat(tile("loss", "mean loss after"))
        .isCloseTo(x.loss().after(), within(DIGITS * x.loss().after()));
    assertThat(tile("loss", "targets")).isEqualTo(x.loss().targets());
  }

  private static double tile(String section, String name) {
    for (Element div : PageReader.in(read.byId(section), "div")) {
      List<Element> names = PageReader.in(div, "dt");
      if (names.size() == 1 && names.getFirst().getTextContent().equals(name)) {
        return number(PageReader.in(div, "dd").getFirst().getTextContent());
      }
    }
    throw new AssertionError("no tile " + name);
  }

  @Test
  void operatorsAreTheRecords() {
    List<List<String>> rows = new ArrayList<>();
    for (Element t : PageReader.in(read.byId("tree-0"), "table")) {
      rows.addAll(read.table(t.getAttribute("id")));
    }
    assertThat(rows).hasSameSizeAs(x.tape());
    for (Op op : x.tape()) {
      List<String> cells = rows.get(op.index());
      row(cells.subList(0, 3), op.index(), op.name(), op.part());
      assertThat(cells.get(4))
          .isEqualTo(op.parameters().isEmpty() ? "–" : String.join(", ", op.parameters()));
      assertThat(cells.get(6))
          .isEqualTo(
              op.out().getFirst().length == 0
                  ? "scalar"
                  : op.out().stream()
                      .map(o -> Arrays.toString(o).replaceAll("[\\[\\]]", "").replace(", ", "×"))
                      .collect(java.util.stream.Collectors.joining(", ")));
      row(
          cells.subList(7, 16),
          op.dtype(),
          (long) op.forward().flops(),
          (long) op.forward().bytes(),
          op.forward().nanos() / 1e3,
          op.forward().intensity(),
          (long) op.backward().flops(),
          (long) op.backward().bytes(),
          op.backward().nanos() / 1e3,
          op.backward().intensity());
      for (int r : op.ranges()) {
        Range range = x.memory().ranges().get(r);
        assertThat(cells.get(16))
            .contains(range.offset() + "–" + (range.offset() + range.bytes() - 1));
      }
    }
    List<Element> spans = PageReader.in(read.byId("tree-0"), "summary");
    double flops =
        spans.stream()
            .mapToDouble(s -> counted(PageReader.in(s, "span").getFirst().getTextContent()))
            .sum();
    double all =
        x.tape().stream().mapToDouble(o -> o.forward().flops() + o.backward().flops()).sum();
    assertThat(flops).isCloseTo(all, within(DIGITS * all));
  }

  private static double counted(String text) {
    String[] words = text.split(" ");
    double unit =
        switch (words[1]) {
          case "k" -> 1e3;
          case "M" -> 1e6;
          case "G" -> 1e9;
          default -> 1;
        };
    return unit * Double.parseDouble(words[0]);
  }

  @Test
  void attentionAndItsColoursAreTheRecords() {
    for (AttentionHead head : x.attention()) {
      String id = "head-" + head.layer() + "-" + head.head() + "-0";
      List<List<String>> rows = read.table(id);
      assertThat(rows).hasSameSizeAs(head.weights());
      int[][] levels = levels(id, rows.size());
      for (int q = 0; q < rows.size(); q++) {
        assertThat(rows.get(q)).hasSize(q + 1 < rows.size() ? q + 3 : q + 2);
        for (int k = 0; k <= q; k++) {
          same(rows.get(q).get(k + 1), head.weights()[q][k]);
          assertThat(levels[q][k]).isEqualTo((int) Math.ceil(9 * Math.sqrt(head.weights()[q][k])));
        }
        for (int k = q + 1; k < rows.size(); k++) {
          assertThat(levels[q][k]).isZero();
        }
      }
    }
  }

  private static final Pattern RUN = Pattern.compile("M(\\d+) (\\d+).5h(\\d+)");

  private static int[][] levels(String table, int size) {
    int[][] levels = new int[size][size];
    Element svg =
        read.all("svg").stream()
            .filter(s -> s.getAttribute("data-table").equals(table))
            .findFirst()
            .orElseThrow();
    for (Element path : PageReader.in(svg, "path")) {
      if (path.getAttribute("class").matches("k\\d")) {
        Matcher run = RUN.matcher(path.getAttribute("d"));
        while (run.find()) {
          int from = Integer.parseInt(run.group(1));
          int[] row = levels[Integer.parseInt(run.group(2))];
          Arrays.fill(
              row,
              from,
              from + Integer.parseInt(run.group(3)),
              path.getAttribute("class").charAt(1) - '0');
        }
      }
    }
    return levels;
  }

  @Test
  void streamAndLensAreTheRecords() {
    List<List<String>> norms = read.table("norms-0");
    List<List<String>> gradients = read.table("stream-gradients-0");
    List<List<String>> lenses = read.table("lens-0");
    assertThat(norms).hasSameSizeAs(x.stream());
    for (int p = 0; p < norms.size(); p++) {
      StreamPoint point = x.stream().get(p);
      assertThat(norms.get(p).getFirst()).endsWith(point.part());
      for (int t = 0; t < x.tokens().size(); t++) {
        same(norms.get(p).get(t + 1), point.norms()[t]);
        same(gradients.get(p).get(t + 1), point.gradients()[t]);
        Lens lens = point.lens().get(t);
        String[] words = lenses.get(p).get(t + 1).split("; ", 2);
        if (lens.rank() == 0) {
          assertThat(words[0]).isEqualTo("no target");
        } else {
          same(words[0].substring("target ".length(), words[0].indexOf(',')), lens.target());
          assertThat(words[0]).endsWith("rank " + lens.rank());
        }
        String rest = words[1];
        for (Guess guess : lens.top()) {
          String token = Legible.token(guess.text()) + " ";
          assertThat(rest).startsWith(token);
          int end = rest.indexOf('%', token.length()) + 1;
          same(rest.substring(token.length(), end), guess.probability());
          rest = end + 2 <= rest.length() ? rest.substring(end + 2) : "";
        }
        assertThat(rest).isEmpty();
      }
    }
  }

  @Test
  void gradientsAndUpdatesAreTheRecords() {
    List<List<String>> gradients = read.table("gradients-0");
    List<List<String>> updates = read.table("updates-0");
    assertThat(gradients).hasSameSizeAs(x.parameters());
    for (int i = 0; i < gradients.size(); i++) {
      ParameterFacts p = x.parameters().get(i);
      row(
          gradients.get(i),
          p.name(),
          p.layer() < 0 ? "–" : p.layer(),
          Legible.shape(p.shape()),
          p.count(),
          p.gradientNorm(),
          p.gradientRms(),
          p.weightNorm(),
          p.weightRms());
      row(
          updates.get(i),
          p.name(),
          p.layer() < 0 ? "–" : p.layer(),
          p.updateRatio(),
          p.updateRatio() < 3.16e-4 ? "below" : p.updateRatio() > 3.17e-3 ? "above" : "within",
          p.updateRms(),
          p.weightRms(),
          p.momentRms(),
          p.rootVarianceRms(),
          p.group(),
          p.learningRate(),
          p.decay());
    }
    int last = x.subject().layers() - 1;
    for (List<String> row : read.table("ends-0")) {
      double first = gradient("blocks.0." + row.getFirst());
      double end = gradient("blocks." + last + "." + row.getFirst());
      row(row, row.getFirst(), first, end, first / end);
    }
    assertThat(read.table("ends-0"))
        .hasSize((int) x.parameters().stream().filter(p -> p.layer() == 0).count());
    List<List<String>> units = read.table("units-0");
    assertThat(units).hasSameSizeAs(x.units());
    for (int i = 0; i < units.size(); i++) {
      var u = x.units().get(i);
      row(units.get(i), u.layer(), u.count(), u.silent(), u.untaught());
    }
    List<List<String>> saliency = read.table("saliency-0");
    for (int i = 0; i < saliency.size(); i++) {
      same(saliency.get(i).get(2), x.saliency()[i]);
    }
    long numbers = 0;
    for (List<String> group : read.table("groups-0")) {
      numbers += (long) number(group.getLast());
    }
    assertThat(numbers).isEqualTo(x.subject().parameters());
    assertThat(tile("optimizer", "norm of the whole gradient"))
        .isCloseTo(x.clip().norm(), within(DIGITS * x.clip().norm()));
    assertThat(tile("optimizer", "clip factor"))
        .isCloseTo(x.clip().factor(), within(DIGITS * x.clip().factor()));
  }

  private static double gradient(String name) {
    return x.parameters().stream()
        .filter(p -> p.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new AssertionError(name))
        .gradientNorm();
  }

  @Test
  void memoryAndRooflineAreTheRecords() {
    List<List<String>> ranges = read.table("ranges-0");
    assertThat(ranges).hasSameSizeAs(x.memory().ranges());
    for (int i = 0; i < ranges.size(); i++) {
      Range r = x.memory().ranges().get(i);
      row(ranges.get(i).subList(0, 4), r.owner(), r.slab(), r.offset(), r.bytes());
    }
    List<List<String>> live = read.table("live-0");
    assertThat(live).hasSameSizeAs(x.memory().events());
    for (int e = 0; e < live.size(); e++) {
      row(live.get(e).subList(1, 2), x.memory().live()[e]);
    }
    int dots = 0;
    List<List<String>> rows = read.table("dots-0");
    for (Op op : x.tape()) {
      for (Cost cost : List.of(op.forward(), op.backward())) {
        if (cost.flops() > 0 && cost.nanos() > 0) {
          List<String> cells = rows.get(dots++);
          double roof = Math.min(5e10, 1e10 * cost.flops() / cost.bytes());
          double rate = cost.flops() / cost.nanos();
          row(
              cells.subList(4, 9),
              cost.flops() / cost.bytes(),
              rate,
              cost.nanos() / 1e3,
              100 * rate * 1e9 / roof,
              cost.flops() < 5 * cost.bytes() ? "memory" : "arithmetic");
        }
      }
    }
    assertThat(rows).hasSize(dots);
  }

  /** A mark is where its row's number is: heights of the losses lie on one line with them. */
  @Test
  void marksLieWhereTheirNumbersAre() {
    Element svg =
        read.all("svg").stream()
            .filter(s -> s.getAttribute("data-table").equals("losses-0"))
            .findFirst()
            .orElseThrow();
    List<double[]> places = new ArrayList<>(); // loss, y
    for (Element mark : PageReader.in(svg, "path")) {
      if (mark.hasAttribute("data-r")) {
        Target target =
            java.util.Objects.requireNonNull(
                x.tokens().get(Integer.parseInt(mark.getAttribute("data-r"))).target());
        boolean before = mark.getAttribute("class").startsWith("hollow");
        double y = Double.parseDouble(mark.getAttribute("d").split("[M a-z]+")[2]);
        places.add(
            new double[] {before ? target.lossBefore() : target.lossAfter(), y + (before ? 5 : 4)});
      }
    }
    assertThat(places).hasSize(2 * x.loss().targets());
    double[] low = places.stream().min((a, b) -> Double.compare(a[0], b[0])).orElseThrow();
    double[] high = places.stream().max((a, b) -> Double.compare(a[0], b[0])).orElseThrow();
    double slope = (high[1] - low[1]) / (high[0] - low[0]);
    assertThat(slope).isNegative();
    for (double[] place : places) {
      assertThat(place[1]).isCloseTo(low[1] + slope * (place[0] - low[0]), within(0.2));
    }
  }

  @Test
  void threeDigitsAreThree() {
    SplittableRandom random = new SplittableRandom(5);
    for (int i = 0; i < 20_000; i++) {
      double v = Math.exp(random.nextDouble(-60, 60)) * (random.nextBoolean() ? 1 : -1);
      assertThat(number(Legible.three(v))).isCloseTo(v, within(DIGITS * Math.abs(v)));
      assertThat(Legible.three(v).length()).isLessThanOrEqualTo(9);
    }
    assertThat(
            Stream.of(0.0, 1.0, 0.5, 999.6, 1e6, 1234.5, -0.00123456, 1.5e-7, 9.999e-4)
                .map(Legible::three))
        .containsExactly(
            "0", "1", "0.5", "1\u202f000", "1e6", "1\u202f235", "-0.00123", "1.5e-7", "0.001");
    assertThat(Legible.three(Double.NaN)).isEqualTo("not a number");
    assertThat(Legible.bytes(1_234_567)).isEqualTo("1.23 MB");
    assertThat(Legible.bytes(999_700)).isEqualTo("1 MB");
    assertThat(Legible.whole(-1234567)).isEqualTo("-1\u202f234\u202f567");
  }

  @Test
  void itCanBeReadWithoutItsScript() {
    assertSound(read, 1);
    for (Element svg : read.all("svg")) {
      if (svg.hasAttribute("data-table")) {
        assertThat(read.table(svg.getAttribute("data-table"))).isNotEmpty();
        assertThat(svg.getAttribute("aria-label")).isNotBlank();
      } else if (!svg.hasAttribute("data-table")) {
        assertThat(svg.getAttribute("aria-hidden")).isEqualTo("true");
      }
    }
    assertThat(read.all("h2")).hasSize(9);
  }

  /** Whatever a page shows: no id twice, no reference to elsewhere, no script of others. */
  private static void assertSound(PageReader page, int snapshots) {
    Set<String> ids = new HashSet<>();
    for (Element e : page.all("*")) {
      if (e.hasAttribute("id")) {
        assertThat(ids.add(e.getAttribute("id"))).as(e.getAttribute("id")).isTrue();
      }
      assertThat(e.hasAttribute("src") || e.hasAttribute("srcset") || e.hasAttribute("action"))
          .isFalse();
      for (int i = 0; i < e.getAttributes().getLength(); i++) {
        assertThat(e.getAttributes().item(i).getNodeName()).doesNotStartWith("on");
      }
    }
    for (Element e : page.all("*")) {
      String to = e.getAttribute("href");
      assertThat(to.isEmpty() || to.equals("data:,") || ids.contains(to.substring(1)))
          .as(to)
          .isTrue();
    }
    assertThat(page.all("script")).isEmpty();
    assertThat(page.all("b").stream().filter(e -> e.hasAttribute("onclick"))).isEmpty();
    for (Section section : XrayPage.SECTIONS) {
      Element e = page.byId(section.id());
      assertThat(PageReader.in(e, "h2")).hasSize(1);
      assertThat(PageReader.in(e, "div").stream().filter(d -> d.hasAttribute("data-snap")))
          .hasSize(snapshots);
      Element exercises =
          PageReader.in(e, "details").stream()
              .filter(d -> d.getAttribute("class").equals("exercises"))
              .findFirst()
              .orElseThrow();
      assertThat(PageReader.in(exercises, "li")).hasSize(3);
      assertThat(PageReader.in(exercises, "p").stream().map(Element::getTextContent))
          .noneMatch(String::isBlank);
    }
  }

  @Test
  void nothingComesFromElsewhere() {
    assertThat(page).contains("default-src 'none'").doesNotContain("@import", "@font-face");
    assertThat(Pattern.compile("url\\(([^)]*)").matcher(page).results().map(r -> r.group(1)))
        .isNotEmpty()
        .allMatch("#mask"::equals);
    assertThat(
            Pattern.compile("https?://[^\"< ]*")
                .matcher(page)
                .results()
                .map(java.util.regex.MatchResult::group))
        .allMatch("http://www.w3.org/2000/svg"::equals); // a name, not an address
  }

  @Test
  void whereANumberComesFromExists() throws ClassNotFoundException {
    for (Section section : XrayPage.SECTIONS) {
      for (Section.Check check : section.checks()) {
        String[] source = check.source().split("#");
        String name = source[0].replaceAll("([.][A-Z]\\w*)[.]([A-Z])", "$1\\$$2");
        Class<?> type = Class.forName(name, false, XrayPage.class.getClassLoader());
        assertThat(Arrays.stream(type.getDeclaredMethods()).map(java.lang.reflect.Method::getName))
            .as(check.source())
            .contains(source[1]);
      }
    }
  }

  @Test
  void textsCanBeAnything() {
    String hostile = XrayPage.of(List.of(XrayMock.of(HOSTILE.size() + 1, 2, 2, HOSTILE, 1)));
    PageReader read = new PageReader(hostile);
    assertSound(read, 1);
    byte[] bytes = hostile.getBytes(StandardCharsets.UTF_8);
    assertThat(new String(bytes, StandardCharsets.UTF_8)).isEqualTo(hostile); // no lone surrogates
    assertThat(hostile.chars())
        .noneMatch(
            c -> c < ' ' && c != '\n' || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069);
    assertThat(hostile.split("<script>", -1)).hasSize(2);
    List<List<String>> tokens = read.table("tokens-0");
    assertThat(tokens.get(0).get(1)).isEqualTo("</script><script>alert(1)</script>");
    assertThat(tokens.get(2).get(1)).isEqualTo("␀␇␛[31m");
    assertThat(tokens.get(3).get(1)).isEqualTo("‹D83D›");
    assertThat(tokens.get(5).get(1)).isEqualTo("‹202E›evil‹2066›");
    assertThat(tokens.get(6).get(1)).isEqualTo("/*script*/");
    assertThat(tokens.get(7).get(1)).isEqualTo("(empty)");
    assertThat(tokens.get(17).get(1)).isEqualTo("$1\\0");
  }

  @Test
  void snapshotsStandTogether() {
    List<Xray> three =
        List.of(
            XrayMock.of(5, 2, 2, List.of("a", "b"), 1),
            XrayMock.of(5, 2, 2, List.of("a", "b"), 2),
            XrayMock.of(5, 2, 2, List.of("a", "b"), 3));
    String page = XrayPage.of(three);
    PageReader read = new PageReader(page);
    assertSound(read, 3);
    for (int i = 0; i < 3; i++) {
      same(read.table("norms-" + i).get(1).get(2), three.get(i).stream().get(1).norms()[1]);
    }
    assertThat(page).contains("<input type=\"range\"", "#at-2:target");
    assertThat(XrayPageTest.page).doesNotContain("<input", "#at-0");
  }

  @Test
  void largePagesLeaveOutAndSayWhat() {
    Xray large = XrayMock.of(256, 24, 18, List.of("token", "of", "a", "text"), 1);
    String page = XrayPage.of(List.of(large, large, large));
    assertThat(page.getBytes(StandardCharsets.UTF_8).length)
        .isBetween(200_000, XrayPage.MOST_BYTES);
    PageReader read = new PageReader(page);
    assertSound(read, 3);
    String told =
        read.all("p").stream()
            .filter(p -> p.getAttribute("class").equals("left-out"))
            .map(Element::getTextContent)
            .findFirst()
            .orElseThrow();
    assertThat(told).contains("of 256 tokens", "of 24: 0, ", "23").contains("Heads shown");
    assertThat(read.table("gradients-0")).hasSameSizeAs(large.parameters());
    assertThat(XrayPageTest.page).doesNotContain("left-out\"");
    assertThatThrownBy(() -> XrayPage.of(List.of())).hasMessage("a page needs a snapshot");
  }
}
