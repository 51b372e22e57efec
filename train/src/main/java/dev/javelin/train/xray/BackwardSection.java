package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.ParameterFacts;
import dev.javelin.train.xray.Xray.StreamPoint;
import dev.javelin.train.xray.Xray.Token;
import dev.javelin.train.xray.Xray.Units;
import java.util.Arrays;
import java.util.List;

/** How the gradient flows. */
record BackwardSection() implements Section {
  @Override
  public String id() {
    return "backward";
  }

  @Override
  public String title() {
    return "Backward: how the gradient flows";
  }

  @Override
  public String lead() {
    return "The gradient tells for every single number of the model by how much the loss would change if that number grew a little. It is computed from the loss back to the text, operator by operator, by the chain rule. What one looks for: that it reaches the first layer about as strong as the last one, that it is neither zero (nothing is learned) nor huge (training breaks), and that no units are dead.";
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    tensors(html, x, detail);
    ends(html, x, detail);
    List<Token> tokens = x.tokens().subList(0, detail.tokens(x));
    List<StreamPoint> points = StreamSection.shown(x, detail);
    html.leaf("h3", "Gradient of the residual stream");
    html.open("figure")
        .leaf(
            "figcaption",
            "How strongly the loss depends on each token's stream at each place; read it from the bottom up, as the gradient flows.");
    new Grid(
            detail.id("stream-gradients"),
            "Length of the loss's gradient by the residual stream, by place and token",
            points.stream().map(StreamSection::name).toList(),
            tokens)
        .numbers(html, (r, t) -> points.get(r).gradients()[t]);
    html.close("figure");
    units(html, x, detail);
    saliency(html, x, detail);
  }

  private static void tensors(Html html, Xray x, Detail detail) {
    html.leaf("h3", "Gradient of each parameter tensor");
    html.open("figure")
        .leaf(
            "figcaption",
            "The length ‖g‖ of the gradient of each tensor, on a logarithmic axis: a line for a role, a mark for each layer.");
    String id = detail.id("gradients");
    Strip.draw(html, x, id, "Length of the gradient", ParameterFacts::gradientNorm);
    Table table =
        new Table(
            id,
            "Parameter tensors and their gradients, before clipping",
            "Parameter",
            "Layer",
            "Shape",
            "#Numbers",
            "#‖g‖",
            "#√mean g²",
            "#‖W‖",
            "#√mean W²");
    for (ParameterFacts p : x.parameters()) {
      table.row(
          p.name(),
          layer(p),
          Legible.shape(p.shape()),
          Legible.whole(p.count()),
          gradient(p, p.gradientNorm()),
          gradient(p, p.gradientRms()),
          Legible.three(p.weightNorm()),
          Legible.three(p.weightRms()));
    }
    table.fold(html, "The same as a table");
    html.close("figure");
  }

  static String layer(ParameterFacts p) {
    return p.layer() < 0 ? "–" : String.valueOf(p.layer());
  }

  private static String gradient(ParameterFacts p, double value) {
    return p.frozen() ? "frozen" : Legible.three(value);
  }

  private static void ends(Html html, Xray x, Detail detail) {
    int last = x.subject().layers() - 1;
    html.leaf("h3", "The first layer against the last");
    Table table =
        new Table(
            detail.id("ends"),
            "Length of the gradient in layer 0 and in layer " + last,
            "Role",
            "#Layer 0",
            "#Layer " + last,
            "#Layer 0 ÷ layer " + last);
    for (ParameterFacts first : x.parameters()) {
      if (first.layer() == 0) {
        x.parameters().stream()
            .filter(p -> p.layer() == last && Strip.role(p).equals(Strip.role(first)))
            .findFirst()
            .ifPresent(
                p ->
                    table.row(
                        Strip.role(first),
                        gradient(first, first.gradientNorm()),
                        gradient(p, p.gradientNorm()),
                        first.frozen() || p.frozen()
                            ? "frozen"
                            : Legible.three(first.gradientNorm() / p.gradientNorm())));
      }
    }
    html.leaf(
        "p",
        "Near 1 means that the gradient comes through. Far below 1 it vanishes on its way to the first layer, far above 1 it explodes.");
    table.write(html);
  }

  private static void units(Html html, Xray x, Detail detail) {
    html.leaf("h3", "Dead units");
    html.leaf(
        "p",
        "A unit is one number inside a layer's MLP. Silent: it is exactly 0 for every token of this text. Untaught: its gradient is exactly 0 for every token, so this step teaches it nothing. A unit that stays so on every text is dead.");
    Table table =
        new Table(
            detail.id("units"),
            "Units inside each layer's MLP",
            "#Layer",
            "#Units",
            "#Silent",
            "#Untaught");
    for (Units u : x.units()) {
      table.row(
          String.valueOf(u.layer()),
          Legible.whole(u.count()),
          Legible.whole(u.silent()),
          Legible.whole(u.untaught()));
    }
    table.write(html);
  }

  private static void saliency(Html html, Xray x, Detail detail) {
    double[] s = x.saliency();
    double most = Arrays.stream(s).filter(Double::isFinite).max().orElse(0);
    html.leaf("h3", "Which input tokens mattered");
    html.open("figure")
        .leaf(
            "figcaption",
            "Saliency: how much the loss of the whole text hangs on a token's embedding, as a bar under the token. The last token has no target; it matters only if others look at it, and none can.");
    html.open("ol", "class", "tokens");
    for (Token t : x.tokens()) {
      double v = s[t.index()];
      html.open("li")
          .open("bdi", "class", "mono")
          .text(Legible.token(t.text()))
          .close("bdi")
          .leaf("small", Legible.three(v));
      html.open("svg", "width", "40", "height", "8", "viewBox", "0 0 40 8", "aria-hidden", "true");
      html.empty("rect", "width", "40", "height", "8", "class", "k1");
      html.empty(
          "rect",
          "width",
          Picture.at(most > 0 && v > 0 ? 40 * v / most : 0),
          "height",
          "8",
          "class",
          "s0");
      html.close("svg", "li");
    }
    html.close("ol");
    Table table =
        new Table(
            detail.id("saliency"),
            "Saliency of the tokens that are read",
            "#Place",
            "Token",
            "#Saliency");
    for (Token t : x.tokens()) {
      table.row(String.valueOf(t.index()), Legible.token(t.text()), Legible.three(s[t.index()]));
    }
    table.fold(html, "The same as a table");
    html.close("figure");
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "‖g‖ of a tensor",
            "√Σ g², g = d loss / d W, before clipping",
            "dev.javelin.train.xray.ParameterReader#read"),
        new Check(
            "√mean g²",
            "‖g‖ ÷ √(numbers of the tensor)",
            "dev.javelin.train.xray.ParameterReader#of"),
        new Check(
            "gradient of the stream",
            "√Σ (d loss / d x)², by token",
            "dev.javelin.train.xray.Look#gradient"),
        new Check(
            "silent, untaught",
            "columns of the MLP's inside, and of its gradient, that are 0 in every row",
            "dev.javelin.train.xray.Look#silent"),
        new Check(
            "saliency",
            "‖d loss / d e · e‖, element by element, e the token's embedding",
            "dev.javelin.train.xray.Look#saliency"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    double squares =
        x.parameters().stream()
            .filter(p -> !p.frozen())
            .mapToDouble(p -> p.gradientNorm() * p.gradientNorm())
            .sum();
    ParameterFacts most =
        x.parameters().stream()
            .filter(p -> !p.frozen())
            .max((a, b) -> Double.compare(a.gradientNorm(), b.gradientNorm()))
            .orElse(x.parameters().getFirst());
    int units = x.units().stream().mapToInt(Units::count).sum();
    int silent = x.units().stream().mapToInt(Units::silent).sum();
    return List.of(
        new Exercise(
            "Square the lengths of all tensors, add them up, and take the root. Which number of section 6 is it?",
            "√Σ‖g‖² = %s: the norm of the whole gradient, %s, by which it is clipped."
                .formatted(Legible.three(Math.sqrt(squares)), Legible.three(x.clip().norm()))),
        new Exercise(
            "Which tensor has the longest gradient, and what is it per number?",
            "%s with %s; over its %s numbers that is %s each (root mean square)."
                .formatted(
                    most.name(),
                    Legible.three(most.gradientNorm()),
                    Legible.whole(most.count()),
                    Legible.three(most.gradientRms()))),
        new Exercise(
            "What share of the MLPs' units is silent on this text? Which activation function could make more of them so?",
            "%d of %d. A ReLU gives exactly 0 for every negative input; smooth functions such as SiLU and GELU hardly ever do."
                .formatted(silent, units)));
  }
}
