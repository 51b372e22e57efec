package dev.javelin.train.xray;

import static dev.javelin.train.xray.PageReader.number;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** Whatever a page shows: it is sound, safe, small and legible. */
class XrayPageFormTest {
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

  private static String page;
  private static PageReader read;

  @BeforeAll
  static void make() {
    page = XrayPage.of(List.of(XrayFixture.llama()));
    read = new PageReader(page);
  }

  @Test
  void threeDigitsAreThree() {
    SplittableRandom random = new SplittableRandom(5);
    for (int i = 0; i < 20_000; i++) {
      double v = Math.exp(random.nextDouble(-60, 60)) * (random.nextBoolean() ? 1 : -1);
      assertThat(number(Legible.three(v))).isCloseTo(v, within(XrayPageTest.DIGITS * Math.abs(v)));
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
  void theLensOfAboutThirtyTokensFitsIntoThePage() {
    for (int tokens : new int[] {8, 27, 30, 60}) {
      PageReader wide =
          new PageReader(XrayPage.of(List.of(XrayMock.of(tokens, 2, 2, List.of(" word"), 1))));
      for (Element svg : wide.all("svg")) {
        if (svg.getAttribute("data-table").startsWith("lens")) {
          double width = Double.parseDouble(svg.getAttribute("viewBox").split(" ")[2]);
          assertThat(width <= 1180).as("%d tokens take %s", tokens, width).isEqualTo(tokens <= 30);
        }
      }
    }
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
      XrayPageTest.same(
          read.table("norms-" + i).get(1).get(2), three.get(i).stream().get(1).norms()[1]);
    }
    assertThat(page).contains("<input type=\"range\"", "#at-2:target");
    assertThat(XrayPageFormTest.page).doesNotContain("<input", "#at-0");
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
    assertThat(XrayPageFormTest.page).doesNotContain("left-out\"");
    assertThatThrownBy(() -> XrayPage.of(List.of())).hasMessage("a page needs a snapshot");
  }
}
