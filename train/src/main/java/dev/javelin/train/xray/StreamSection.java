package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.Lens;
import dev.javelin.train.xray.Xray.StreamPoint;
import dev.javelin.train.xray.Xray.Token;
import java.util.List;
import java.util.stream.Collectors;

/** What flows from layer to layer. */
record StreamSection() implements Section {
  @Override
  public String id() {
    return "stream";
  }

  @Override
  public String title() {
    return "The residual stream and what it would say";
  }

  @Override
  public String lead() {
    return "Each token carries an array of numbers through the whole model: its residual stream. The embedding starts it from a table, and every layer adds to it twice: attention adds what other tokens had to say, the MLP (a small network that works on each token alone) adds what follows from that. The logit lens stops half way and asks what the model would guess if it ended there, so one sees at which depth a guess comes about.";
  }

  static String name(StreamPoint p) {
    return p.layer() < 0 ? p.part() : p.layer() + " " + p.part();
  }

  /** The places whose layers are shown. */
  static List<StreamPoint> shown(Xray x, Detail detail) {
    return x.stream().stream().filter(p -> detail.shows(x, p.layer())).toList();
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    List<Token> tokens = x.tokens().subList(0, detail.tokens(x));
    List<StreamPoint> points = shown(x, detail);
    List<String> names = points.stream().map(StreamSection::name).toList();
    html.leaf("h3", "How long the stream is");
    html.open("figure")
        .leaf(
            "figcaption",
            "The length ‖x‖ of each token's stream (a column) behind the embedding, and behind attention and MLP of each layer (rows, from top to bottom as the model computes).");
    new Grid(detail.id("norms"), "Length of the residual stream, by place and token", names, tokens)
        .numbers(html, (r, t) -> points.get(r).norms()[t]);
    html.close("figure");
    html.leaf("h3", "The logit lens");
    html.open("figure")
        .leaf(
            "figcaption",
            "The likeliest next token if the model ended at this place, in each cell; the stronger the colour, the likelier it holds the token that really follows. The last column has no target, since the text ends.");
    Grid lens = new Grid(detail.id("lens"), "Logit lens, by place and token", names, tokens);
    lens.words(
        html,
        (r, t) -> points.get(r).lens().get(t).target(),
        (r, t) -> points.get(r).lens().get(t).top().getFirst().text());
    lens.wordTable(html, (r, t) -> words(points.get(r).lens().get(t)));
    html.close("figure");
  }

  /** The target's probability and rank, and the likeliest tokens. */
  static String words(Lens lens) {
    String target =
        lens.rank() == 0
            ? "no target"
            : "target %s, rank %d".formatted(Legible.percent(lens.target()), lens.rank());
    return target
        + "; "
        + lens.top().stream()
            .map(g -> Legible.token(g.text()) + " " + Legible.percent(g.probability()))
            .collect(Collectors.joining(", "));
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "length", "√Σ x², over the width of the stream", "dev.javelin.train.xray.Sums#lengths"),
        new Check(
            "guess of the lens",
            "softmax(head · norm(x)): the model's own last norm and head, on the stream at that place",
            "dev.javelin.train.xray.LogitLens#of"),
        new Check(
            "probability",
            "exp(logit − ln Σ exp(logits))",
            "dev.javelin.train.xray.LogitLens#lens"),
        new Check(
            "rank", "1 + how many tokens are likelier", "dev.javelin.train.xray.LogitLens#rank"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    StreamPoint first = x.stream().getFirst();
    StreamPoint last = x.stream().getLast();
    Lens lens = last.lens().getFirst();
    Lens begin = first.lens().getFirst();
    double loss =
        x.tokens().getFirst().target() == null
            ? Double.NaN
            : x.tokens().getFirst().target().lossBefore();
    return List.of(
        new Exercise(
            "The target of the first token has which probability at the very end, and what is its loss?",
            "Probability %s at the last place; the loss is −ln of it, %s, which section 9 has as the loss before the step."
                .formatted(Legible.percent(lens.target()), Legible.three(loss))),
        new Exercise(
            "By how much does the stream of the first token grow from the embedding to the end?",
            "From %s to %s, times %s. It grows because layers only ever add."
                .formatted(
                    Legible.three(first.norms()[0]),
                    Legible.three(last.norms()[0]),
                    Legible.three(last.norms()[0] / first.norms()[0]))),
        new Exercise(
            "A model that knows nothing gives each of its %d tokens the same probability. Which, and how far from it is the lens behind the embedding?"
                .formatted(x.subject().vocab()),
            "1 ÷ %d = %s. Behind the embedding the likeliest successor of the first token has %s."
                .formatted(
                    x.subject().vocab(),
                    Legible.percent(1.0 / x.subject().vocab()),
                    Legible.percent(begin.top().getFirst().probability()))));
  }
}
