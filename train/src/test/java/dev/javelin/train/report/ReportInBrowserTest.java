package dev.javelin.train.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.report.Chromium.Tab;
import dev.javelin.train.report.ReportPage.Shown;
import dev.javelin.train.report.ReportPage.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The page as Chromium shows it; skipped where there is none. */
class ReportInBrowserTest {
  private static final int STEPS = 200;
  private static final Pattern NUMBER = Pattern.compile("-?[0-9.]+");

  @TempDir static Path profile = Path.of("");
  private static @Nullable Chromium chromium;

  @TempDir Path dir;
  private final List<Tab> tabs = new ArrayList<>();

  @BeforeAll
  static void open() throws IOException {
    var program = Chromium.find();
    assumeTrue(
        program.isPresent(),
        "no Chromium on the path: install it, or name it by -Djavelin.chromium");
    chromium = Chromium.open(program.get(), profile);
  }

  @AfterAll
  static void close() {
    if (chromium != null) {
      chromium.close();
    }
  }

  /** Whatever else a test looks at: nothing is complained of, nothing is asked for but the page. */
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

  private Tab tab(Path page, int width, int height, boolean phone, boolean dark) {
    Tab tab = java.util.Objects.requireNonNull(chromium).tab(width, height, phone, dark);
    tabs.add(tab);
    return tab.open(page.toUri());
  }

  private static double loss(int step) {
    return 1.5 + 4 / Math.sqrt(step) + 0.05 * Math.sin(step * 7.0);
  }

  /** A run with everything: all keys, a loss that is no number, marks, texts in any script. */
  private Path run(String name, int steps, double shift) throws IOException {
    Path run = Files.createDirectories(dir.resolve(name));
    StringBuilder lines = new StringBuilder();
    for (int s = 1; s <= steps; s++) {
      lines.append(
          String.format(
              Locale.ROOT,
              "{\"step\":%d,\"loss\":%s,\"grad_norm\":%s,\"lr\":%s,\"tokens\":%d,"
                  + "\"tokens_per_second\":%d,\"step_ms\":%s,\"loss_scale\":%d,\"skipped\":0,"
                  + "\"memory_rss\":%d,\"memory_heap\":%d,\"noise_scale\":%s,"
                  + "\"update_ratio/embed\":%s,\"update_ratio/blocks.0\":%s,\"my_number\":%d%s}%n",
              s,
              s == 100 ? "null" : Double.toString(loss(s) + shift),
              0.5 + (s == 120 ? 40 : 1.0 / s),
              1e-3 * s / steps,
              s * 1024L,
              9000 + s,
              110.5,
              s < 50 ? 65536 : 32768,
              (400L + s) << 20,
              (90L + s % 9) << 20,
              1e3 * s,
              1e-3 / s,
              3e-3 / s,
              s % 5,
              s % 20 == 0 ? ",\"eval_loss\":" + (1.6 + 4 / Math.sqrt(s) + shift) : ""));
    }
    Files.writeString(run.resolve("metrics.jsonl"), lines);
    Files.writeString(
        run.resolve("events.jsonl"),
        """
        {"step":0,"kind":"start","text":"up to step %d"}
        {"step":60,"kind":"checkpoint","text":"checkpoint-60"}
        {"step":120,"kind":"spike","text":"gradient norm 40.5, z = 31"}
        {"step":120,"kind":"skip","text":"the step is not applied"}
        """
            .formatted(STEPS));
    Files.writeString(
        run.resolve("texts.jsonl"),
        """
        {"step":100,"prompt":"Once","text":" upon a time </script><b>"}
        {"step":200,"prompt":"Once","text":" 起きた — ça va?\\n\\tyes"}
        """);
    Files.writeString(
        run.resolve("health.jsonl"),
        """
        {"step":190,"layers":["embed","blocks.0.wq"],"update_ratio":[0.001,0.002],"still":[0,0],"zero_gradient":[0,0],"underflow":[0,0],"ratios":[1,0,3]}
        {"step":200,"update_ratio":[0.00125,null],"still":[0,130],"zero_gradient":[0.25,1],"underflow":[0,0],"ratios":[1,0,3]}
        """);
    Files.writeString(
        run.resolve("config.yaml"), "learning_rate: %s\nseed: 7\n".formatted(0.01 + shift));
    return run;
  }

  private Path page(State state, Path... runs) throws IOException {
    List<Shown> shown = new ArrayList<>();
    for (Path run : runs) {
      shown.add(new Shown(RunHistory.of(run).refresh(), state));
    }
    Path page = dir.resolve("report.html");
    AtomicFile.write(page, ReportPage.of(shown));
    return page;
  }

  private static void smooth(Tab tab, double weight) {
    tab.run(
        "{const s = document.getElementById('smooth'); s.value = %s; s.dispatchEvent(new Event('input'))}"
            .formatted(weight));
    tab.settle();
  }

  private static double[] path(Tab tab, String selector) {
    Matcher m =
        NUMBER.matcher(tab.text("document.querySelector(`" + selector + "`).getAttribute('d')"));
    List<Double> numbers = new ArrayList<>();
    while (m.find()) {
      numbers.add(Double.valueOf(m.group()));
    }
    return numbers.stream().mapToDouble(d -> d).toArray();
  }

  @Test
  void curvesAreWhereTheirValuesAre() throws IOException {
    Tab tab = tab(page(State.FINISHED, run("a", STEPS, 0)), 1280, 900, false, false);
    assertThat(
            tab.text("[...document.querySelectorAll('svg.plot')].map(p => p.dataset.chart).join()"))
        .isEqualTo(
            "loss,grad_norm,lr,noise_scale,update_ratio,tokens_per_second,step_ms,memory,loss_scale,my_number");
    assertThat(
            tab.run(
                """
                [...document.querySelectorAll('svg.plot')].every(plot => {
                  const box = plot.getBoundingClientRect(), lines = [...plot.querySelectorAll('path.line')];
                  return lines.length > 0 && lines.every(line => {
                    const own = line.getBoundingClientRect();
                    return line.getTotalLength() > 150 && own.left >= box.left && own.right <= box.right + 1
                        && own.width > box.width / 2 && getComputedStyle(line).stroke.startsWith('rgb');
                  });
                })
                """))
        .isEqualTo(true);
    smooth(tab, 0);
    double[] d = path(tab, "[data-chart=loss] path.line");
    assertThat(d).hasSize(2 * (STEPS - 1)); // all but the loss that was none
    int[] steps = java.util.stream.IntStream.rangeClosed(1, STEPS).filter(s -> s != 100).toArray();
    int last = steps.length - 1;
    double perStep = (d[2 * last] - d[0]) / (steps[last] - 1);
    double perNat = (d[2 * last + 1] - d[1]) / (loss(STEPS) - loss(1));
    assertThat(perStep).isGreaterThan(4); // over the whole of the chart
    assertThat(perNat).isNegative().isLessThan(-50);
    for (int i = 0; i <= last; i++) {
      assertThat(d[2 * i]).isCloseTo(d[0] + perStep * (steps[i] - 1), within(0.2));
      assertThat(d[2 * i + 1]).isCloseTo(d[1] + perNat * (loss(steps[i]) - loss(1)), within(0.2));
    }
    smooth(tab, 0.9);
    double[] smoother = path(tab, "[data-chart=loss] path.line");
    assertThat(roughness(smoother)).isLessThan(roughness(d) / 4);
  }

  private static double roughness(double[] d) {
    double sum = 0;
    for (int i = d.length / 2; i + 5 < d.length; i += 2) {
      sum +=
          Math.abs(
              d[i + (i % 2 == 0 ? 1 : 0)]
                  - 2 * d[i + (i % 2 == 0 ? 3 : 2)]
                  + d[i + (i % 2 == 0 ? 5 : 4)]);
    }
    return sum;
  }

  private static double[] box(Tab tab, String selector) {
    return Arrays.stream(
            tab.text(
                    "(b => [b.left, b.top, b.width, b.height].join())(document.querySelector(`%s`).getBoundingClientRect())"
                        .formatted(selector))
                .split(","))
        .mapToDouble(Double::parseDouble)
        .toArray();
  }

  private static String legend(Tab tab, String chart) {
    return tab.text(
        "document.querySelector('[data-chart=%s]').parentElement.querySelector('.legend').innerText"
            .formatted(chart));
  }

  private static String note(Tab tab, String chart) {
    return tab.text(
        "document.querySelector('[data-chart=%s]').parentElement.querySelector('.note').innerText"
            .formatted(chart));
  }

  @Test
  void thePointerAndTheKeysShowValues() throws IOException {
    Tab tab = tab(page(State.FINISHED, run("a", STEPS, 0)), 1280, 900, false, false);
    assertThat(legend(tab, "loss")).contains("training " + four(loss(STEPS)));
    smooth(tab, 0);
    double[] d = path(tab, "[data-chart=loss] path.line");
    double[] box = box(tab, "[data-chart=loss]");
    tab.hover(box[0] + d[2 * 41], box[1] + box[3] / 2); // the 42nd step
    assertThat(note(tab, "loss")).isEqualTo("step 42");
    assertThat(legend(tab, "loss")).contains("training " + four(loss(42)));
    assertThat(legend(tab, "noise_scale")).contains("42 k"); // all charts follow
    tab.hover(box[0] + d[2 * (120 - 2)], box[1] + box[3] / 2);
    assertThat(note(tab, "loss")).contains("step 120: spike gradient norm 40.5");
    assertThat(legend(tab, "grad_norm")).contains("40.5");
    tab.run("document.querySelector('[data-chart=loss]').focus()");
    tab.press("End");
    assertThat(note(tab, "loss")).isEqualTo("step 200");
    tab.press("ArrowLeft");
    assertThat(note(tab, "loss")).isEqualTo("step 198");
    tab.press("Escape");
    assertThat(note(tab, "loss")).isEmpty();
  }

  private static String four(double value) {
    return new java.math.BigDecimal(value)
        .round(new java.math.MathContext(4))
        .stripTrailingZeros()
        .toPlainString();
  }

  @Test
  void scaleAxisAndMarksDoWhatTheySay() throws IOException {
    Tab tab = tab(page(State.FINISHED, run("a", STEPS, 0)), 1280, 900, false, false);
    smooth(tab, 0);
    String log = "[data-chart=grad_norm]";
    double[] before = path(tab, log + " path.line");
    tab.run(
        "document.querySelector('%s').parentElement.querySelector('button').click()"
            .formatted(log));
    double[] after = path(tab, log + " path.line");
    // Where one value is far above the rest the scale is logarithmic, unless told otherwise: 41.5
    // to 1 then takes less of the room that 1 to 0.5 takes.
    assertThat(share(before)).isGreaterThan(0.1);
    assertThat(share(after)).isLessThan(0.05);
    tab.run(
        "{const a = document.getElementById('axis'); a.value = 'tokens'; a.dispatchEvent(new Event('change'))}");
    tab.run("document.querySelector('[data-chart=loss]').focus()");
    tab.press("End");
    assertThat(note(tab, "loss")).isEqualTo("205 k tokens");
    assertThat(
            tab.text(
                "[...document.querySelectorAll('[data-chart=loss] .event')].map(e => e.dataset.kind).join()"))
        .isEqualTo("checkpoint,spike,skip");
    assertThat(
            tab.text(
                "document.getElementById('main').textContent + document.getElementById('head').textContent"))
        .contains("1 × spike", "upon a time </script><b>", "起きた", "learning_rate");
    assertThat(
            tab.text(
                    "[...document.querySelectorAll('details')].filter(d => d.innerText.includes('layers at')).map(d => d.innerText).join()")
                .replaceAll("\\s+", " "))
        .contains(
            "2 layers at step 200", "embed 0.00125 – 25 % –", "blocks.0.wq – 130 steps 100 %");
    tab.open(page(State.FINISHED, dir.resolve("a")).toUri()); // what was chosen is kept
    assertThat(tab.text("document.getElementById('axis').value")).isEqualTo("tokens");
  }

  /** Of the height of a curve, the part between its second value and its last. */
  private static double share(double[] d) {
    double low = Double.POSITIVE_INFINITY;
    double high = Double.NEGATIVE_INFINITY;
    for (int i = 1; i < d.length; i += 2) {
      low = Math.min(low, d[i]);
      high = Math.max(high, d[i]);
    }
    return Math.abs(d[3] - d[d.length - 1]) / (high - low);
  }

  @Test
  void aPhoneShowsAllOfItAndFeelsATap() throws IOException {
    Tab tab = tab(page(State.FINISHED, run("a", STEPS, 0)), 390, 844, true, false);
    assertThat(tab.number("document.documentElement.scrollWidth")).isLessThanOrEqualTo(390);
    assertThat(tab.number("innerWidth")).isEqualTo(390);
    assertThat(
            tab.number(
                "Math.min(...[...document.querySelectorAll('body *:not(script):not(style)')].filter(e => e.textContent.trim() && e.getClientRects().length).map(e => parseFloat(getComputedStyle(e).fontSize)))"))
        .isGreaterThanOrEqualTo(11);
    assertThat(
            tab.number(
                "Math.min(...[...document.querySelectorAll('button, select, summary')].map(e => e.getBoundingClientRect().height))"))
        .isGreaterThanOrEqualTo(26);
    smooth(tab, 0);
    tab.run("document.querySelector('[data-chart=loss]').scrollIntoView({block: 'center'})");
    double[] box = box(tab, "[data-chart=loss]");
    double[] d = path(tab, "[data-chart=loss] path.line");
    tab.tap(box[0] + d[2 * 79], box[1] + box[3] / 2);
    assertThat(note(tab, "loss")).isEqualTo("step 80");
    assertThat(legend(tab, "loss")).contains("training " + four(loss(80)));
  }

  @Test
  void byNightAndByDayTextAndCurvesStandOut() throws IOException {
    Path page = page(State.FINISHED, run("a", STEPS, 0));
    for (boolean dark : List.of(false, true)) {
      Tab tab = tab(page, 1280, 900, false, dark);
      double paper = luminance(tab, "getComputedStyle(document.body).backgroundColor");
      assertThat(paper < 0.05).isEqualTo(dark);
      for (String faint : List.of("body", ".faint", ".chip", "button")) {
        assertThat(contrast(luminance(tab, colour(faint, "color")), paper))
            .as(faint)
            .isGreaterThan(4.5);
      }
      double card = luminance(tab, colour(".card", "backgroundColor"));
      for (int c = 0; c < 8; c++) {
        tab.run(
            "document.querySelector('path.line').setAttribute('stroke', 'var(--c%d)')"
                .formatted(c));
        assertThat(contrast(luminance(tab, colour("path.line", "stroke")), card))
            .as("colour " + c)
            .isGreaterThan(3);
      }
      tab.run("document.getElementById('theme').click()"); // light
      assertThat(luminance(tab, colour("body", "backgroundColor"))).isGreaterThan(0.8);
      tab.run("document.getElementById('theme').click()"); // dark
      assertThat(luminance(tab, colour("body", "backgroundColor"))).isLessThan(0.05);
      tab.run("document.getElementById('theme').click()"); // as the system
    }
  }

  private static String colour(String selector, String property) {
    return "getComputedStyle(document.querySelector('%s')).%s".formatted(selector, property);
  }

  /** Relative luminance and contrast as WCAG 2 has them. */
  private static double luminance(Tab tab, String colour) {
    Matcher m = NUMBER.matcher(tab.text(colour));
    double sum = 0;
    for (double weight : new double[] {0.2126, 0.7152, 0.0722}) {
      assertThat(m.find()).isTrue();
      double c = Double.parseDouble(m.group()) / 255;
      sum += weight * (c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
  }

  private static double contrast(double a, double b) {
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }

  @Test
  void aRunThatGoesOnShowsItsNewsWhereTheReaderIs() throws IOException {
    Path run = run("a", 150, 0);
    Tab tab = tab(page(State.RUNNING, run), 900, 500, false, false);
    assertThat(tab.text("document.title")).startsWith("75 % ");
    tab.run("document.getElementById('theme').click(); document.getElementById('theme').click()");
    tab.run("scrollTo(0, 300); window.old = true");
    run("a", 160, 0);
    page(State.RUNNING, run);
    Chromium.waitFor(
        () ->
            Boolean.TRUE.equals(
                tab.run(
                    "document.readyState === 'complete' && document.title.startsWith('80 %') && !window.old")));
    tab.settle();
    assertThat(tab.number("scrollY")).isEqualTo(300);
    assertThat(tab.text("document.documentElement.dataset.theme")).isEqualTo("dark");
    run("a", STEPS, 0);
    page(State.FINISHED, run);
    Chromium.waitFor(
        () ->
            Boolean.TRUE.equals(
                tab.run(
                    "document.readyState === 'complete' && document.querySelector('.chip').innerText === 'finished'")));
    assertThat(tab.number("data.refresh")).isZero();
  }

  @Test
  void runsLieOverEachOther() throws IOException {
    Path page = page(State.FINISHED, run("a", STEPS, 0), run("b", 150, 0.5), run("c", STEPS, 0));
    Tab tab = tab(page, 1280, 900, false, false);
    smooth(tab, 0);
    assertThat(tab.number("document.querySelectorAll('[data-chart=loss] path.line').length"))
        .isEqualTo(6);
    double[] a = path(tab, "[data-chart=grad_norm] path.line");
    assertThat(a).hasSize(2 * STEPS);
    assertThat(tab.text("[...document.querySelectorAll('h2')].map(h => h.innerText).join()"))
        .isEqualTo("Results,Samples of text,Settings that differ");
    String tables =
        tab.text("[...document.querySelectorAll('table')].map(t => t.innerText).join('|')");
    assertThat(tables).contains("learning_rate\t0.01\t0.51\t0.01").doesNotContain("seed");
    Tab phone = tab(page, 390, 844, true, true);
    assertThat(phone.number("document.documentElement.scrollWidth")).isLessThanOrEqualTo(390);
  }
}
