package dev.javelin.train.xray;

import dev.javelin.train.xray.Section.Check;
import dev.javelin.train.xray.Section.Exercise;
import dev.javelin.train.xray.Xray.Subject;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/**
 * X-rays as one HTML file that needs nothing else, of at most {@value #MOST_BYTES} bytes. Pictures
 * are SVG with a table beside each, so that it can be read without its script; where that would be
 * too much, it shows fewer tokens, layers and heads, and says so. Of several, those of a training
 * in the order of their steps, a slider chooses one for all sections.
 */
public final class XrayPage {
  /** That a page has at most. */
  public static final int MOST_BYTES = 2_000_000;

  static final List<Section> SECTIONS =
      List.of(
          new TokenSection(),
          new TapeSection(),
          new AttentionSection(),
          new StreamSection(),
          new BackwardSection(),
          new OptimizerSection(),
          new MemorySection(),
          new RooflineSection(),
          new LossSection());

  private static final String PAGE =
      resource("xray.html")
          .replace("/*style*/", resource("xray.css") + "/*rules*/")
          .replace("/*script*/", resource("xray.js"));

  private static final String HATCH =
      "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" style=\"position:absolute\"><defs>"
          + "<pattern id=\"mask\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\">"
          + "<path d=\"M0 5L5 0\" class=\"hatch\"/></pattern></defs></svg>";

  private final List<Xray> snapshots;
  private final Detail detail;
  private final Html html = new Html();

  private XrayPage(List<Xray> snapshots, Detail detail) {
    this.snapshots = snapshots;
    this.detail = detail;
  }

  /**
   * The page.
   *
   * @param snapshots at least one, of one model and text
   */
  public static String of(List<Xray> snapshots) {
    if (snapshots.isEmpty()) {
      throw new IllegalArgumentException("a page needs a snapshot");
    }
    String page = "";
    for (Detail detail : Detail.ALL) {
      page = new XrayPage(snapshots, detail).write();
      if (page.length() <= MOST_BYTES
          && page.getBytes(StandardCharsets.UTF_8).length <= MOST_BYTES) {
        return page;
      }
    }
    throw new IllegalArgumentException(
        "%d snapshots do not fit into a page of %,d bytes: take fewer, or a shorter text"
            .formatted(snapshots.size(), MOST_BYTES));
  }

  private String write() {
    Subject s = snapshots.getFirst().subject();
    body(s);
    StringBuilder rules = new StringBuilder();
    for (int i = 0; i < snapshots.size() && snapshots.size() > 1; i++) {
      rules.append(
          "html:not(.js) #at-%d:target ~ * [data-snap]:not([data-snap=\"%d\"]) { display: none }\n"
              .formatted(i, i));
    }
    String title = new Html().text("X-ray of " + Legible.token(s.model())).toString();
    return PAGE.replace("/*rules*/", rules)
        .replace("/*body*/", html.toString())
        .replace("/*title*/", title);
  }

  private void body(Subject s) {
    html.leaf(
        "a", "Skip to the first section", "class", "skip", "href", "#" + SECTIONS.getFirst().id());
    for (int i = 0; i < snapshots.size() && snapshots.size() > 1; i++) {
      html.open("span", "id", "at-" + i).close("span");
    }
    html.raw(HATCH);
    header(s);
    if (snapshots.size() > 1) {
      slider();
    }
    html.open("main", "id", "main");
    int number = 1;
    for (Section section : SECTIONS) {
      section(number++, section);
    }
    html.close("main");
    html.open("footer");
    html.leaf(
        "p",
        "Made by Javelin %s (%s) on %s. This file loads nothing: it can be kept, sent and read without a network. Numbers have three significant digits."
            .formatted(s.version(), s.commit(), s.made()));
    html.close("footer");
  }

  private void header(Subject s) {
    html.open("header");
    html.leaf("h1", "Inside one training step of " + Legible.token(s.model()));
    html.leaf(
        "p",
        "A language model reads a text and guesses, at every token, which token comes next. A training step measures how wrong the guesses are, finds out in which direction each of the model's numbers should move to make them less wrong, and moves all of them a little. This page shows one such step, with the numbers that really occurred.");
    StringBuilder text = new StringBuilder();
    for (Xray.Token t : snapshots.getFirst().tokens()) {
      text.append(t.text());
    }
    html.leaf("p", "The text of this step:", "class", "faint");
    html.open("div", "class", "text", "tabindex", "0", "role", "group", "aria-label", "The text");
    html.open("bdi").text(Legible.prose(text.toString())).close("bdi", "div");
    for (int i = 0; i < snapshots.size(); i++) {
      Xray x = snapshots.get(i);
      openSnapshot(i);
      html.open("dl", "class", "tiles");
      tile("model", s.family() + ", " + Legible.count(s.parameters()) + " parameters");
      tile("layers × heads", s.layers() + " × " + s.heads());
      tile("width, vocabulary", s.width() + ", " + Legible.whole(s.vocab()));
      tile("steps done before", Legible.whole(x.subject().step()));
      tile("loss before the step", Legible.three(x.loss().before()));
      tile("loss after the step", Legible.three(x.loss().after()));
      tile("arithmetic", s.precision() + " on " + s.device());
      tile("update", s.rule() + ", learning rate " + Legible.three(x.subject().learningRate()));
      html.close("dl", "div");
    }
    String out = detail.leftOut(snapshots.getFirst());
    if (!out.isEmpty()) {
      html.leaf("p", out, "class", "left-out");
    }
    html.open("nav", "aria-label", "Sections").open("ol");
    int number = 1;
    for (Section section : SECTIONS) {
      html.open("li").leaf("a", number++ + " " + section.title(), "href", "#" + section.id());
      html.close("li");
    }
    html.close("ol", "nav", "header");
  }

  private void tile(String name, String value) {
    html.open("div").leaf("dt", name).leaf("dd", value).close("div");
  }

  private void slider() {
    int last = snapshots.size() - 1;
    html.open("nav", "class", "time", "aria-label", "Snapshots");
    html.open("span", "class", "js-only");
    html.leaf("label", "Training steps done ", "for", "snapshot");
    html.empty(
        "input",
        "type",
        "range",
        "id",
        "snapshot",
        "min",
        "0",
        "max",
        String.valueOf(last),
        "step",
        "1",
        "value",
        "0");
    html.text(" ").open("output", "id", "snapshot-step", "for", "snapshot").close("output", "span");
    html.open("ul");
    for (int i = 0; i <= last; i++) {
      String step = Legible.whole(snapshots.get(i).subject().step());
      html.open("li");
      html.leaf(
          "a",
          "after " + step,
          "href",
          "#at-" + i,
          "data-to",
          String.valueOf(i),
          "data-step",
          step);
      html.close("li");
    }
    html.close("ul", "nav");
  }

  private void openSnapshot(int i) {
    html.open("div", "data-snap", String.valueOf(i));
    if (snapshots.size() > 1) {
      html.leaf(
          "p",
          "After %s steps of training".formatted(Legible.whole(snapshots.get(i).subject().step())),
          "class",
          "when");
    }
  }

  private void section(int number, Section section) {
    html.open("section", "id", section.id(), "aria-labelledby", "h-" + section.id());
    html.leaf("h2", number + " " + section.title(), "id", "h-" + section.id());
    html.leaf("p", section.lead());
    for (int i = 0; i < snapshots.size(); i++) {
      openSnapshot(i);
      section.show(html, snapshots.get(i), detail.of(i));
      html.close("div");
    }
    checks(section);
    exercises(section);
    html.close("section");
  }

  private void checks(Section section) {
    html.open("details", "class", "check").leaf("summary", "Check it yourself");
    Table table =
        new Table(
                "check-" + section.id(),
                "How each number comes about, and where",
                "Number",
                "Formula",
                "Source")
            .inOrder();
    for (Check check : section.checks()) {
      table.row(check.number(), check.formula(), check.source());
    }
    table.write(html);
    html.close("details");
  }

  private void exercises(Section section) {
    Xray x = snapshots.getFirst();
    html.open("details", "class", "exercises").leaf("summary", "Three exercises");
    if (snapshots.size() > 1) {
      html.leaf(
          "p",
          "Their numbers are those after %s steps.".formatted(Legible.whole(x.subject().step())));
    }
    html.open("ol");
    for (Exercise exercise : section.exercises(x)) {
      html.open("li").text(exercise.question()).open("details").leaf("summary", "Answer");
      html.leaf("p", exercise.answer()).close("details", "li");
    }
    html.close("ol", "details");
  }

  private static String resource(String name) {
    try (InputStream in = Objects.requireNonNull(XrayPage.class.getResourceAsStream(name), name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(name, e);
    }
  }
}
