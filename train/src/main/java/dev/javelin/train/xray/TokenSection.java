package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.Target;
import dev.javelin.train.xray.Xray.Token;
import java.util.List;

/** Text, tokens, targets. */
record TokenSection() implements Section {
  @Override
  public String id() {
    return "tokens";
  }

  @Override
  public String title() {
    return "Text becomes tokens";
  }

  @Override
  public String lead() {
    return "A model computes with numbers, so the text is first cut into tokens: frequent pieces of bytes, each with a number, its id, in a fixed table, the vocabulary. Training needs no labels made by people: the right answer at every token is simply the token that follows, its target. So a text of T tokens is T − 1 exercises at once.";
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    html.open("figure")
        .leaf(
            "figcaption",
            "Each box is a token: its text, its id, and which bytes of the UTF-8 text it covers. ␣ is a space, ↵ a line's end.");
    html.open("ol", "class", "tokens");
    for (Token t : x.tokens()) {
      html.open("li").open("bdi", "class", "mono").text(Legible.token(t.text())).close("bdi");
      html.leaf("small", "id " + t.id()).leaf("small", bytes(t)).close("li");
    }
    html.close("ol", "figure");
    Table table =
        new Table(
            detail.id("tokens"),
            "Tokens of the text, and the token that should follow each",
            "#Place",
            "Token",
            "#Id",
            "Bytes",
            "Target",
            "#Target's id");
    for (Token t : x.tokens()) {
      Target target = t.target();
      table.row(
          String.valueOf(t.index()),
          Legible.token(t.text()),
          String.valueOf(t.id()),
          bytes(t),
          target == null ? "none: the text ends" : Legible.token(target.text()),
          target == null ? "–" : String.valueOf(target.id()));
    }
    table.fold(html, "The same as a table, with targets");
  }

  private static String bytes(Token t) {
    return t.to() == t.from()
        ? "added"
        : t.to() - t.from() == 1 ? "byte " + t.from() : "bytes " + t.from() + "–" + (t.to() - 1);
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "id",
            "the tokenizer's, of the text as a prompt",
            "dev.javelin.train.tokenizer.Tokenizer#encodePrompt"),
        new Check(
            "bytes",
            "places in the UTF-8 of the text; “added” for a token that the tokenizer put in itself",
            "dev.javelin.train.xray.TextTokens#place"),
        new Check(
            "target",
            "token i has token i + 1; the last has none",
            "dev.javelin.train.xray.XrayStep#on"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    int n = x.tokens().size();
    int bytes = x.tokens().stream().mapToInt(t -> t.to() - t.from()).sum();
    Token first = x.tokens().getFirst();
    Target target = first.target();
    return List.of(
        new Exercise(
            "How many guesses does the model make in this step that can be right or wrong?",
            "One fewer than there are tokens: %d tokens give %d targets, since nothing follows the last."
                .formatted(n, x.loss().targets())),
        new Exercise(
            "How many bytes of text does a token cover on average, and why do few tokens save work?",
            "%d bytes over %d tokens: %s bytes a token. Every token costs a pass through all layers, so fewer tokens for the same text cost less."
                .formatted(bytes, n, Legible.three((double) bytes / n))),
        new Exercise(
            "What is the target of the first token, and where else on this page does it stand as a token?",
            target == null
                ? "There is only one token, so there is no target."
                : "It is “%s” (id %d): the next token of the text, at place 1."
                    .formatted(Legible.token(target.text()), target.id())));
  }
}
