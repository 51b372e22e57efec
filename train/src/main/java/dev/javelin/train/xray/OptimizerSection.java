package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.ClipFacts;
import dev.javelin.train.xray.Xray.ParameterFacts;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** How the weights move. */
record OptimizerSection() implements Section {
  /** Around a thousandth, by half a decade. */
  private static final double[] HEALTHY = {1e-3 / Math.sqrt(10), 1e-3 * Math.sqrt(10)};

  @Override
  public String id() {
    return "optimizer";
  }

  @Override
  public String title() {
    return "The optimizer: how far the weights move";
  }

  @Override
  public String lead() {
    return "The optimizer turns the gradient into a change of the weights. If the whole gradient is too long it is first shortened (clipped). Then, with AdamW, every weight moves against a running mean of its gradient, m, divided by √v, the root of a running mean of its square: a weight whose gradient is steady moves by about the learning rate, whatever the gradient's size. Decay also pulls some weights a little towards zero. A rule of thumb says that a step should change weights by about a thousandth of their size.";
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    ClipFacts clip = x.clip();
    html.open("dl", "class", "tiles");
    tile(html, "norm of the whole gradient", Legible.three(clip.norm()));
    tile(
        html,
        "clipped from",
        Double.isInfinite(clip.threshold()) ? "never" : Legible.three(clip.threshold()));
    tile(html, "clip factor", Legible.three(clip.factor()));
    tile(html, "loss scale", Legible.three(clip.lossScale()));
    tile(html, "step left out", clip.skipped() ? "yes" : "no");
    html.close("dl");
    html.open("figure")
        .leaf(
            "figcaption",
            "The length of the update over the length of the weights, ‖ΔW‖ ÷ ‖W‖, on a logarithmic axis. The band is half a decade to both sides of 0.001. Far left: hardly learning. Far right: likely to break.");
    String id = detail.id("updates");
    Strip.draw(html, x, id, "Update over weight", ParameterFacts::updateRatio, HEALTHY);
    Table table =
        new Table(
            id,
            "What the step did to each parameter tensor",
            "Parameter",
            "Layer",
            "#‖ΔW‖ ÷ ‖W‖",
            "Band",
            "#√mean ΔW²",
            "#√mean W²",
            "#√mean m²",
            "#√mean v",
            "Group",
            "#Learning rate",
            "#Decay");
    for (ParameterFacts p : x.parameters()) {
      if (p.frozen()) {
        table.row(
            p.name(),
            BackwardSection.layer(p),
            "frozen",
            "–",
            "–",
            Legible.three(p.weightRms()),
            "–",
            "–",
            p.group(),
            "–",
            "–");
      } else {
        table.row(
            p.name(),
            BackwardSection.layer(p),
            kept(p.updateRatio()),
            band(p.updateRatio()),
            Legible.three(p.updateRms()),
            Legible.three(p.weightRms()),
            kept(p.momentRms()),
            kept(p.rootVarianceRms()),
            p.group(),
            Legible.three(p.learningRate()),
            Legible.three(p.decay()));
      }
    }
    table.fold(html, "The same as a table, with m and √v");
    html.close("figure").leaf("h3", "Groups");
    groups(html, x, detail);
  }

  private static void groups(Html html, Xray x, Detail detail) {
    Map<String, List<ParameterFacts>> groups =
        x.parameters().stream()
            .filter(p -> !p.frozen())
            .collect(
                Collectors.groupingBy(
                    ParameterFacts::group, LinkedHashMap::new, Collectors.toList()));
    html.leaf(
        "p",
        "Matrices usually decay; scales of norms and biases do not, since they are not what grows too large.");
    Table table =
        new Table(
            detail.id("groups"),
            "Groups of parameters that are updated alike",
            "Group",
            "#Learning rate",
            "#Decay",
            "#Tensors",
            "#Numbers");
    groups.forEach(
        (name, all) ->
            table.row(
                name,
                Legible.three(all.getFirst().learningRate()),
                Legible.three(all.getFirst().decay()),
                Legible.whole(all.size()),
                Legible.whole(all.stream().mapToLong(ParameterFacts::count).sum())));
    table.write(html);
  }

  private static String kept(double value) {
    return Double.isNaN(value) ? "–" : Legible.three(value);
  }

  static String band(double ratio) {
    return Double.isNaN(ratio)
        ? "–"
        : ratio < HEALTHY[0] ? "below" : ratio > HEALTHY[1] ? "above" : "within";
  }

  private static void tile(Html html, String name, String value) {
    html.open("div").leaf("dt", name).leaf("dd", value).close("div");
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "norm of the whole gradient",
            "√Σ g² over all trained numbers",
            "dev.javelin.tensor.op.GlobalNorm#run"),
        new Check(
            "clip factor",
            "min(1, threshold ÷ (norm + 1e-6))",
            "dev.javelin.train.optim.GradientClip#run"),
        new Check(
            "m, v",
            "m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g²",
            "dev.javelin.tensor.op.AdamW#step"),
        new Check(
            "ΔW",
            "−lr · (m̂ ÷ (√v̂ + ε) + decay · W), m̂ = m ÷ (1 − β₁ᵗ), v̂ = v ÷ (1 − β₂ᵗ)",
            "dev.javelin.tensor.op.AdamW#step"),
        new Check(
            "‖ΔW‖ ÷ ‖W‖",
            "√Σ(W after − W before)² ÷ √ΣW before²; about 1e-3 is the rule of thumb of Stanford's CS231n, “Neural Networks part 3”",
            "dev.javelin.train.xray.ParameterReader#of"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    List<ParameterFacts> trained = x.parameters().stream().filter(p -> !p.frozen()).toList();
    ParameterFacts p = trained.isEmpty() ? x.parameters().getFirst() : trained.getFirst();
    long within = trained.stream().filter(f -> band(f.updateRatio()).equals("within")).count();
    ClipFacts clip = x.clip();
    return List.of(
        new Exercise(
            "Compute the clip factor from norm and threshold.",
            "min(1, %s ÷ %s) = %s."
                .formatted(
                    Legible.three(clip.threshold()),
                    Legible.three(clip.norm()),
                    Legible.three(clip.factor()))),
        new Exercise(
            "In the very first step of AdamW, m̂ ÷ √v̂ is g ÷ |g|. How large is √mean ΔW² then, and what is it here for %s?"
                .formatted(p.name()),
            "About the learning rate, %s, wherever the gradient is not zero. Here it is %s%s."
                .formatted(
                    Legible.three(p.learningRate()),
                    Legible.three(p.updateRms()),
                    x.subject().step() == 0
                        ? ""
                        : ": this is not the first step, and m averages gradients of different signs")),
        new Exercise(
            "How many tensors are within the band, and what does it mean for those that start at zero, such as biases?",
            "%d of %d. A ratio to a length of zero says nothing; that of small tensors such as norms' scales is no cause for alarm either."
                .formatted(within, trained.size())));
  }
}
