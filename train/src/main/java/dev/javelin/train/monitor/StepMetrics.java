package dev.javelin.train.monitor;

import com.fasterxml.jackson.databind.JsonNode;
import org.jspecify.annotations.Nullable;

/**
 * A logged step, as it stands in a line of {@code metrics.jsonl}.
 *
 * @param step steps done, this one included
 * @param loss mean cross-entropy of the step's target tokens, nats
 * @param gradNorm global norm of the gradient before clipping
 * @param lr learning rate this step used
 * @param tokens target tokens seen since the run began
 * @param tokensPerSecond since the line before
 * @param stepMs mean duration of a step since the line before, evaluation and saving left out
 * @param lossScale factor on the loss; 1 but for fp16
 * @param skipped steps skipped for an overflow since the run began
 * @param evalLoss validation loss, where this step was evaluated
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
    @Nullable Double evalLoss) {

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
    if (evalLoss != null) {
      append(s, "eval_loss", evalLoss);
    }
    return s.append('}').toString();
  }

  static StepMetrics of(JsonNode line) {
    return new StepMetrics(
        line.path("step").asLong(),
        line.path("loss").asDouble(Double.NaN),
        line.path("grad_norm").asDouble(Double.NaN),
        line.path("lr").asDouble(Double.NaN),
        line.path("tokens").asLong(),
        line.path("tokens_per_second").asDouble(Double.NaN),
        line.path("step_ms").asDouble(Double.NaN),
        line.path("loss_scale").asDouble(1),
        line.path("skipped").asLong(),
        line.hasNonNull("eval_loss") ? line.get("eval_loss").asDouble() : null);
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
