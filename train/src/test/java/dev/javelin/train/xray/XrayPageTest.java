package dev.javelin.train.xray;

import static dev.javelin.train.xray.PageReader.number;
import static org.assertj.core.api.Assertions.assertThat;
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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** The page of a real step, read as a reader would, against what the step was. */
class XrayPageTest {
  /** Half of the last of three digits, relative to the least that they can be. */
  static final double DIGITS = 5.001e-3;

  private static Xray x;
  private static String page;
  private static PageReader read;

  @BeforeAll
  static void make() {
    x = XrayFixture.llama();
    page = XrayPage.of(List.of(x));
    read = new PageReader(page);
  }

  static void same(String cell, double value) {
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
}
