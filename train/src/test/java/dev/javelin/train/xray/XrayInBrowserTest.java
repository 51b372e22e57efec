package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.train.report.Chromium;
import dev.javelin.train.report.Chromium.Tab;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page as Chromium shows it with the network cut off; skipped where there is none. */
class XrayInBrowserTest {
  private static final List<String> TEXTS =
      List.of("The", " cat", "<i>", "\u0000", "\u202e", " sat", " on", "</script>");
  private static final int RIGHT = 39;
  private static final int ENTER = 13;

  @TempDir static Path profile = Path.of("");
  @TempDir static Path dir = Path.of("");
  private static @Nullable Chromium chromium;
  private static List<Xray> three = List.of();
  private static Path page = Path.of("");

  private final List<Tab> tabs = new ArrayList<>();

  @BeforeAll
  static void open() throws IOException {
    var program = Chromium.find();
    assumeTrue(
        program.isPresent(),
        "no Chromium on the path: install it, or name it by -Djavelin.chromium");
    three =
        List.of(
            XrayMock.of(9, 3, 4, TEXTS, 1),
            XrayMock.of(9, 3, 4, TEXTS, 2),
            XrayMock.of(9, 3, 4, TEXTS, 3));
    page = dir.resolve("xray.html");
    Files.writeString(page, XrayPage.of(three));
    chromium = Chromium.open(program.get(), profile);
  }

  @AfterAll
  static void close() {
    if (chromium != null) {
      chromium.close();
    }
  }

  @AfterEach
  void noComplaintsAndNoRequests() {
    for (Tab tab : tabs) {
      assertThat(tab.complaints()).isEmpty();
      assertThat(tab.requests())
          .isNotEmpty()
          .allMatch(url -> url.startsWith(dir.toUri().toString()) || url.equals("data:,"));
      tab.close();
    }
  }

  private Tab tab(int width, int height, boolean phone, boolean dark) {
    Tab tab = Objects.requireNonNull(chromium).tab(width, height, phone, dark).offline();
    tabs.add(tab);
    return tab;
  }

  private Tab desktop() {
    return tab(1280, 900, false, false).open(page.toUri());
  }

  private static String note(Tab tab, String table) {
    return tab.text("document.getElementById('note-%s').textContent".formatted(table));
  }

  private static List<String> shown(Tab tab) {
    return List.of(
        tab.text(
                "[...new Set([...document.querySelectorAll('[data-snap]')].filter(e => e.getClientRects().length).map(e => e.dataset.snap))].join()")
            .split(","));
  }

  @Test
  void theSliderChangesAllSectionsByKeyboard() {
    Tab tab = desktop();
    assertThat(shown(tab)).containsExactly("0");
    tab.run("document.getElementById('snapshot').focus()");
    tab.press("ArrowRight", RIGHT, "");
    assertThat(shown(tab)).containsExactly("1");
    assertThat(
            tab.number(
                "[...document.querySelectorAll('section')].filter(s => [...s.querySelectorAll('[data-snap]')].filter(e => e.getClientRects().length).length === 1).length"))
        .isEqualTo(9);
    assertThat(tab.text("document.getElementById('snapshot').getAttribute('aria-valuetext')"))
        .isEqualTo(three.get(1).subject().step() + " steps done");
    tab.run("document.querySelector('a[data-to=\"2\"]').focus()");
    tab.press("Enter", ENTER, "\r");
    assertThat(shown(tab)).containsExactly("2");
    assertThat(tab.text("document.getElementById('snapshot').value")).isEqualTo("2");
  }

  @Test
  void blocksFoldAndTablesSortByKeyboard() {
    Tab tab = desktop();
    tab.run("document.querySelector('#tree-0 summary').focus()");
    tab.press("Enter", ENTER, "\r");
    assertThat(tab.run("document.querySelector('#tree-0 details').open")).isEqualTo(true);
    tab.press("Enter", ENTER, "\r");
    assertThat(tab.run("document.querySelector('#tree-0 details').open")).isEqualTo(false);
    tab.run("document.querySelector('button[data-fold=open]').focus()");
    tab.press("Enter", ENTER, "\r");
    assertThat(tab.run("[...document.querySelectorAll('#tree-0 details')].every(d => d.open)"))
        .isEqualTo(true);
    tab.run(
        "document.getElementById('gradients-0').closest('details').open = true; document.querySelectorAll('#gradients-0 th button')[4].focus()");
    tab.press("Enter", ENTER, "\r");
    String column =
        "[...document.getElementById('gradients-0').tBodies[0].rows].map(r => parseFloat(r.cells[4].textContent.replaceAll('\u202f', '')))";
    String sorted = column + ".every((v, i, a) => i === 0 || %s)";
    assertThat(tab.run(sorted.formatted("a[i - 1] <= v"))).isEqualTo(true);
    assertThat(
            tab.text("document.querySelectorAll('#gradients-0 th')[4].getAttribute('aria-sort')"))
        .isEqualTo("ascending");
    tab.press("Enter", ENTER, "\r");
    assertThat(tab.run(sorted.formatted("a[i - 1] >= v"))).isEqualTo(true);
    // a mark still finds its row
    tab.run("document.querySelector('svg[data-table=gradients-0]').focus()");
    tab.press("Home");
    assertThat(note(tab, "gradients-0"))
        .startsWith("blocks.0.norm1.weight")
        .contains("‖g‖ " + Legible.three(three.getFirst().parameters().getFirst().gradientNorm()));
  }

  @Test
  void aTokenChoosesItsRowInAllHeads() {
    Tab tab = desktop();
    float[] row = three.getFirst().attention().get(5).weights()[3]; // layer 1, head 1
    int most = 0;
    for (int k = 0; k < row.length; k++) {
      most = row[k] > row[most] ? k : most;
    }
    tab.run("document.querySelector('button[data-set=set-0][data-row=\"3\"]').focus()");
    tab.settle();
    assertThat(note(tab, "head-1-1-0"))
        .startsWith(
            "3 ␀ looks at "
                + most
                + " "
                + Legible.token(TEXTS.get(most))
                + " "
                + Legible.three(row[most]));
    assertThat(
            tab.number("document.querySelectorAll('#attention [data-snap=\"0\"] .cursor').length"))
        .isEqualTo(12);
    double[] box =
        java.util.Arrays.stream(
                tab.text(
                        "(b => [b.left, b.top, b.width, b.height].join())((e => { e.scrollIntoView({block: 'center', behavior: 'instant'}); return e.getBoundingClientRect() })(document.querySelector('svg[data-table=head-0-0-0]')))")
                    .split(","))
            .mapToDouble(Double::parseDouble)
            .toArray();
    tab.hover(box[0] + box[2] / 18, box[1] + 5.5 * box[3] / 9);
    assertThat(note(tab, "head-2-3-0")).startsWith("5 ␣sat looks at ");
    assertThat(
            tab.text(
                "[...document.querySelectorAll('button[data-set=set-0][aria-pressed=true]')].map(b => b.dataset.row).join()"))
        .isEqualTo("5");
    tab.run("document.querySelector('svg[data-table=lens-0]').focus()");
    tab.press("ArrowDown");
    tab.press("ArrowRight");
    assertThat(note(tab, "lens-0"))
        .isEqualTo(
            "embedding × 1 ␣cat: "
                + StreamSection.words(three.getFirst().stream().getFirst().lens().get(1)));
  }

  @Test
  void withoutScriptLinksChooseAndTablesAreThere() throws IOException {
    Path plain = dir.resolve("plain.html");
    Files.writeString(plain, Files.readString(page).replaceAll("(?s)<script>.*?</script>", ""));
    Tab tab = tab(1280, 900, false, false).open(plain.toUri());
    assertThat(shown(tab)).containsExactly("0", "1", "2");
    assertThat(
            tab.number(
                "[...document.querySelectorAll('.js-only')].filter(e => e.getClientRects().length).length"))
        .isZero();
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)");
    assertThat(
            tab.run(
                "[...document.querySelectorAll('table')].every(t => t.getClientRects().length)"))
        .isEqualTo(true);
    Tab last = tab(1280, 900, false, false).open(URI.create(plain.toUri() + "#at-2"));
    assertThat(shown(last)).containsExactly("2");
  }

  @Test
  void phonesAndTheDarkShowAllOfIt() {
    for (boolean dark : List.of(false, true)) {
      Tab tab = tab(390, 844, true, dark).open(page.toUri());
      tab.run("document.querySelectorAll('details').forEach(d => d.open = true)");
      tab.settle();
      assertThat(tab.number("document.documentElement.scrollWidth")).isLessThanOrEqualTo(390);
      assertThat(tab.number("innerWidth")).isEqualTo(390);
      assertThat(
              tab.number(
                  "Math.min(...[...document.querySelectorAll('body *:not(script)')].filter(e => e.textContent.trim() && e.getClientRects().length).map(e => parseFloat(getComputedStyle(e).fontSize)))"))
          .isGreaterThanOrEqualTo(11);
      assertThat(
              tab.number(
                  "Math.min(...[...document.querySelectorAll('summary, .tool, .tokens button, nav a')].filter(e => e.getClientRects().length).map(e => e.getBoundingClientRect().height))"))
          .isGreaterThanOrEqualTo(26);
    }
  }
}
