package dev.javelin.train.monitor;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A logged step, as it stands in a line of {@code metrics.jsonl}.
 *
 * @param step steps done, this one included
 * @param loss mean cross-entropy of the step's target tokens, nats
 * @param gradNorm global norm of the gradient before clipping
 * @param lr learning rate this step used
 * @param tokens target tokens seen since the run began
 * @param tokensPerSecond read since the line before, padding left out
 * @param stepMs mean duration of a step since the line before, evaluation and saving left out
 * @param lossScale factor on the loss; 1 but for fp16
 * @param skipped steps skipped for an overflow since the run began
 * @param padding share of the places since the line before that only fill up sequences
 * @param evalLoss validation loss, where this step was evaluated
 * @param more what hooks have measured, by key: further keys of the line
 */
public record StepMetrics(
    long step,
    double loss,
    double gradNorm,
    double lr,
    long tokens,
    double tokensPerSecond,
    double stepMs,
    double lossScale,
    long skipped,
    double padding,
    @Nullable Double evalLoss,
    SequencedMap<String, Double> more) {
  private static final Set<String> OWN =
      Set.of(
          "step",
          "loss",
          "grad_norm",
          "lr",
          "tokens",
          "tokens_per_second",
          "step_ms",
          "loss_scale",
          "skipped",
          "padding",
          "eval_loss");

  public StepMetrics {
    more = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(more));
  }

  /** A line without further numbers. */
  public StepMetrics(
      long step,
      double loss,
      double gradNorm,
      double lr,
      long tokens,
      double tokensPerSecond,
      double stepMs,
      double lossScale,
      long skipped,
      double padding,
      @Nullable Double evalLoss) {
    this(
        step,
        loss,
        gradNorm,
        lr,
        tokens,
        tokensPerSecond,
        stepMs,
        lossScale,
        skipped,
        padding,
        evalLoss,
        new LinkedHashMap<>());
  }

  /** One line of JSON; what is not finite becomes {@code null}, for JSON has no name for it. */
  String json() {
    StringBuilder s = new StringBuilder(200);
    s.append("{\"step\":").append(step);
    append(s, "loss", loss);
    append(s, "grad_norm", gradNorm);
    append(s, "lr", lr);
    s.append(",\"tokens\":").append(tokens);
    append(s, "tokens_per_second", Math.rint(tokensPerSecond * 10) / 10);
    append(s, "step_ms", Math.rint(stepMs * 1000) / 1000);
    append(s, "loss_scale", lossScale);
    s.append(",\"skipped\":").append(skipped);
    if (padding > 0) {
      append(s, "padding", Math.rint(padding * 1e5) / 1e5);
    }
    if (evalLoss != null) {
      append(s, "eval_loss", evalLoss);
    }
    more.forEach((key, value) -> append(s, key, value));
    return s.append('}').toString();
  }

  /**
   * Reads {@link #json}'s form; a number that is null, or not there, is NaN.
   *
   * @throws FileFormatException where there is no step, or something else in the place of a number
   */
  static StepMetrics of(JsonObject line) {
    return new StepMetrics(
        count(line, "step"),
        line.number("loss", Double.NaN),
        line.number("grad_norm", Double.NaN),
        line.number("lr", Double.NaN),
        line.has("tokens") ? count(line, "tokens") : 0,
        line.number("tokens_per_second", Double.NaN),
        line.number("step_ms", Double.NaN),
        line.number("loss_scale", 1),
        line.has("skipped") ? count(line, "skipped") : 0,
        line.number("padding", 0),
        line.members().containsKey("eval_loss") ? line.number("eval_loss", Double.NaN) : null,
        more(line));
  }

  private static SequencedMap<String, Double> more(JsonObject line) {
    SequencedMap<String, Double> more = new LinkedHashMap<>();
    line.members()
        .forEach(
            (key, value) -> {
              if (!OWN.contains(key) && (value == null || value instanceof Number)) {
                more.put(key, value == null ? Double.NaN : line.number(key));
              }
            });
    return more;
  }

  private static long count(JsonObject line, String key) {
    if (line.members().get(key) instanceof Long count && count >= 0) {
      return count;
    }
    throw line.error(key, "must be a whole number, 0 or more");
  }

  private static void append(StringBuilder s, String name, double value) {
    s.append(",\"").append(name).append("\":");
    if (Double.isFinite(value)) {
      s.append(value);
    } else {
      s.append("null");
    }
  }
}
