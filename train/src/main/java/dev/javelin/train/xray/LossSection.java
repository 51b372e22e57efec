package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.Target;
import dev.javelin.train.xray.Xray.Token;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.stream.DoubleStream;

/** What the step was good for. */
record LossSection() implements Section {
  private static final double LEFT = 56;
  private static final double BOTTOM = 220;

  @Override
  public String id() {
    return "loss";
  }

  @Override
  public String title() {
    return "The loss before and after the step";
  }

  @Override
  public String lead() {
    return "The loss of a guess is −ln of the probability that the model gave to the right token: 0 for certainty, 0.69 for an even bet, large for a surprise. The step's loss is the mean over all targets. After the weights have moved, the same text is read once more: the loss should be lower, though not at every token, since all of them pull on the same weights.";
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    html.open("dl", "class", "tiles");
    tile(html, "mean loss before", Legible.three(x.loss().before()));
    tile(html, "mean loss after", Legible.three(x.loss().after()));
    tile(html, "change", Legible.three(x.loss().after() - x.loss().before()));
    tile(html, "targets", Legible.whole(x.loss().targets()));
    html.close("dl");
    List<Token> tokens = x.tokens().stream().filter(t -> t.target() != null).toList();
    String id = detail.id("losses");
    html.open("figure")
        .leaf(
            "figcaption",
            "For each token of the text, the loss of guessing the next one: a hollow circle before the step, a filled square after it.");
    html.open("ul", "class", "legend");
    key(html, 0, "hollow s0", "before");
    key(html, 1, "s1", "after");
    html.close("ul");
    double step = Math.max(16, 640.0 / Math.max(1, tokens.size()));
    double right = LEFT + step * tokens.size();
    html.open(
        "div", "class", "wide", "tabindex", "0", "role", "group", "aria-label", "Loss by token");
    Picture p = new Picture(html);
    p.open(
        "marks",
        "Loss of each token before and after the step: the table below has the numbers",
        id,
        right + 30,
        BOTTOM + 90,
        "style",
        "min-width:%dpx;max-width:%dpx".formatted((int) (right + 30), (int) (1.5 * right + 45)));
    Scale scale =
        Scale.linear(
            tokens.stream()
                .map(t -> Objects.requireNonNull(t.target()))
                .flatMapToDouble(t -> DoubleStream.of(t.lossBefore(), t.lossAfter())),
            BOTTOM,
            10);
    p.up(scale, LEFT, right, Legible::three);
    Table table =
        new Table(
            id,
            "Loss of each token's target, in nats",
            "#Place",
            "Token",
            "Target",
            "#Loss before",
            "#Loss after",
            "#Change",
            "#Probability before",
            "#Probability after");
    for (int i = 0; i < tokens.size(); i++) {
      Token t = tokens.get(i);
      Target target = Objects.requireNonNull(t.target());
      double at = LEFT + (i + 0.5) * step;
      if (scale.shows(target.lossBefore()) && scale.shows(target.lossAfter())) {
        p.line(at, scale.at(target.lossBefore()), at, scale.at(target.lossAfter()), "link");
        p.mark(0, at, scale.at(target.lossBefore()), 5, "hollow s0", i);
        p.mark(1, at, scale.at(target.lossAfter()), 4, "s1", i);
      }
      html.leaf(
          "text",
          Legible.brief(target.text(), 9),
          "class",
          "end",
          "transform",
          "translate(" + Picture.at(at + 4) + " " + Picture.at(BOTTOM + 14) + ") rotate(-60)");
      table.row(
          String.valueOf(t.index()),
          Legible.token(t.text()),
          Legible.token(target.text()),
          Legible.three(target.lossBefore()),
          Legible.three(target.lossAfter()),
          Legible.three(target.lossAfter() - target.lossBefore()),
          Legible.percent(Math.exp(-target.lossBefore())),
          Legible.percent(Math.exp(-target.lossAfter())));
    }
    p.close();
    html.close("div");
    Picture.note(html, id);
    table.fold(html, "The same as a table");
    html.close("figure");
  }

  private static void key(Html html, int shape, String kind, String text) {
    html.open("li").open("svg", "viewBox", "0 0 16 16", "aria-hidden", "true");
    html.empty("path", "d", Picture.shape(shape, 8, 8, 5), "class", kind);
    html.close("svg").text(text).close("li");
  }

  private static void tile(Html html, String name, String value) {
    html.open("div").leaf("dt", name).leaf("dd", value).close("div");
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "loss of a token",
            "−ln p(target) = ln Σ exp(logits) − logit of the target",
            "dev.javelin.tensor.op.LinearCrossEntropy#forward"),
        new Check("mean loss", "Σ losses ÷ targets", "dev.javelin.train.xray.XrayStep.Work#mean"),
        new Check(
            "after",
            "the same text with the weights that the step has moved; afterwards they are put back",
            "dev.javelin.train.xray.XrayStep.Work#take"),
        new Check("probability", "exp(−loss)", "dev.javelin.train.xray.LossSection#show"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    List<Token> tokens = x.tokens().stream().filter(t -> t.target() != null).toList();
    Token worst =
        tokens.stream()
            .max(Comparator.comparingDouble(t -> Objects.requireNonNull(t.target()).lossBefore()))
            .orElseThrow();
    Target target = Objects.requireNonNull(worst.target());
    long better =
        tokens.stream()
            .map(t -> Objects.requireNonNull(t.target()))
            .filter(t -> t.lossAfter() < t.lossBefore())
            .count();
    return List.of(
        new Exercise(
            "Which target surprised the model most, and what probability had it?",
            "“%s” after “%s”: loss %s, probability exp(−%s) = %s."
                .formatted(
                    Legible.token(target.text()),
                    Legible.token(worst.text()),
                    Legible.three(target.lossBefore()),
                    Legible.three(target.lossBefore()),
                    Legible.percent(Math.exp(-target.lossBefore())))),
        new Exercise(
            "Which loss has a model of %d tokens that guesses blindly, and how does this one compare?"
                .formatted(x.subject().vocab()),
            "ln %d = %s; here it is %s before the step."
                .formatted(
                    x.subject().vocab(),
                    Legible.three(Math.log(x.subject().vocab())),
                    Legible.three(x.loss().before()))),
        new Exercise(
            "At how many of the targets did the step help?",
            "%d of %d are likelier than before; the mean went from %s to %s."
                .formatted(
                    better,
                    tokens.size(),
                    Legible.three(x.loss().before()),
                    Legible.three(x.loss().after()))));
  }
}
