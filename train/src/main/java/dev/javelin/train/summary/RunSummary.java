package dev.javelin.train.summary;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a run has cost and reached, since this process began it. What is {@code null} is not known.
 *
 * @param from steps that were done before
 * @param steps done now
 * @param tokensRead by the steps of this process
 * @param targets that counted, since the run first began
 * @param seconds in all, from the first step to the end
 * @param stepSeconds of that in steps
 * @param evaluationSeconds of that in evaluations
 * @param flops by the model's shape, see {@link Flops}
 * @param peak operations a second that were measured on this machine, see {@link Peak}
 * @param loss of the last logged step
 * @param bestLoss smallest validation loss of this process
 * @param bestStep the step that had it
 * @param joules taken by the processors, everything that ran on them
 */
public record RunSummary(
    long from,
    long steps,
    long tokensRead,
    long targets,
    double seconds,
    double stepSeconds,
    double evaluationSeconds,
    @Nullable Double flops,
    @Nullable Double peak,
    double loss,
    @Nullable Double bestLoss,
    long bestStep,
    @Nullable Double joules) {
  /** Its file in the directory of a run. */
  public static final String FILE = "summary.json";

  /**
   * Model FLOPs utilisation: the model's arithmetic over what the machine could have done in the
   * time of the steps.
   */
  public @Nullable Double mfu() {
    return flops == null || peak == null || stepSeconds == 0 ? null : flops / stepSeconds / peak;
  }

  /** For a screen. */
  public List<String> lines() {
    List<String> lines = new ArrayList<>();
    double other = Math.max(0, seconds - stepSeconds - evaluationSeconds);
    lines.add(
        String.format(
            Locale.ROOT,
            "%,d steps, %,d tokens in %s: steps %.0f %%, evaluation %.0f %%, the rest %.0f %%",
            steps - from,
            tokensRead,
            time(seconds),
            percent(stepSeconds),
            percent(evaluationSeconds),
            percent(other)));
    if (flops != null && stepSeconds > 0) {
      Double mfu = mfu();
      lines.add(
          String.format(Locale.ROOT, "%.3g FLOP, %s", flops, rate(flops / stepSeconds))
              + (mfu == null || peak == null
                  ? ""
                  : String.format(
                      Locale.ROOT,
                      ": %.0f %% of the %s that a large matrix product reaches here (MFU)",
                      100 * mfu,
                      rate(peak))));
    }
    if (bestLoss != null) {
      lines.add(
          String.format(Locale.ROOT, "best validation loss %.4f at step %,d", bestLoss, bestStep));
    }
    if (joules != null) {
      lines.add(
          String.format(
              Locale.ROOT, "%,.0f J of the processors, all that ran on them included", joules));
    }
    return lines;
  }

  private double percent(double part) {
    return seconds == 0 ? 0 : 100 * part / seconds;
  }

  private static String time(double seconds) {
    return seconds < 120
        ? String.format(Locale.ROOT, "%.1f s", seconds)
        : String.format(
            Locale.ROOT, "%d h %02d min", (long) seconds / 3600, (long) seconds / 60 % 60);
  }

  private static String rate(double flopsPerSecond) {
    return flopsPerSecond < 1e12
        ? String.format(Locale.ROOT, "%.1f GFLOP/s", flopsPerSecond * 1e-9)
        : String.format(Locale.ROOT, "%.1f TFLOP/s", flopsPerSecond * 1e-12);
  }

  /** Writes {@value #FILE}. */
  public void write(Path directory) {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("first_step", from + 1);
    json.put("last_step", steps);
    json.put("tokens_read", tokensRead);
    json.put("targets", targets);
    json.put("seconds", seconds);
    json.put("step_seconds", stepSeconds);
    json.put("evaluation_seconds", evaluationSeconds);
    json.put("flops", flops);
    json.put("peak_flops_per_second", peak);
    json.put("mfu", mfu());
    json.put("loss", Double.isFinite(loss) ? (Object) loss : null);
    json.put("best_eval_loss", bestLoss);
    json.put("best_step", bestLoss == null ? null : (Object) bestStep);
    json.put("joules", joules);
    AtomicFile.write(directory.resolve(FILE), Json.write(json) + "\n");
  }
}
