package dev.javelin.train.health;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.op.FlatSample;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.HealthFile;
import dev.javelin.train.monitor.LayerReading;
import dev.javelin.train.optim.Optimizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * What the layers do, every so many steps: how far an update moves each, which have not moved for
 * long, what of their gradients underflows, how the ratios m/√v are spread. It looks at a sample of
 * each layer ({@link FlatSample}), so that its memory and time do not grow with the model, and does
 * nothing on other steps.
 *
 * <p>A layer is still in a reading if all its gradients are zero, or its update is less than a
 * thousandth of the median layer's, both measured by the weights.
 */
public final class LayerHealth implements StepHook {
  /** A layer that has not moved for as many steps is dead. */
  public static final int DEAD_AFTER = 100;

  private static final double STILL_SHARE = 1e-3;

  private final int every;
  private final @Nullable Path file;
  private final List<SampledFlat> flats = new ArrayList<>();
  private final List<String> names = new ArrayList<>();
  private double[] moved; // the last step in which a layer has
  private @Nullable HealthFile lines;
  private @Nullable LayerReading reading;
  private boolean looking;
  private boolean skipped;

  /**
   * @param every how many steps from one reading to the next
   * @param file where readings are written, a line each; null for nowhere
   */
  public LayerHealth(
      ParameterBuffer<?> parameters, Optimizer optimizer, int every, @Nullable Path file) {
    this.every = every;
    this.file = file;
    for (ParameterBuffer.Flat flat : parameters.flats()) {
      SampledFlat sampled = new SampledFlat(parameters, flat, optimizer);
      flats.add(sampled);
      names.addAll(sampled.names());
    }
    this.moved = new double[names.size()];
  }

  @Override
  public String name() {
    return "layer_health";
  }

  @Override
  public void begin(long step, long place, int rows) {
    looking = (step + 1) % every == 0;
  }

  @Override
  public void gradient(StepState state) {
    if (looking) {
      flats.forEach(SampledFlat::gradient);
    }
  }

  @Override
  public void decided(StepState state) {
    if (looking) {
      flats.forEach(SampledFlat::before);
    }
  }

  @Override
  public void updated(StepState state) {
    if (looking) {
      flats.forEach(SampledFlat::after);
      skipped = state.overflow(); // waits for a GPU, as the log does after such a step
    }
  }

  @Override
  public After after(long step) {
    if (looking && !skipped) {
      read(step);
    }
    return After.GO_ON;
  }

  private void read(long step) {
    int n = names.size();
    double[] ratio = new double[n];
    double[] zero = new double[n];
    double[] underflow = new double[n];
    double[] bins =
        new double[flats.stream().anyMatch(SampledFlat::hasMoments) ? FlatSample.BINS : 0];
    int at = 0;
    for (SampledFlat flat : flats) {
      flat.read(at, ratio, zero, underflow, bins);
      at += flat.names().size();
    }
    double[] still = new double[n];
    LayerReading now = new LayerReading(step, names, ratio, still, zero, underflow, bins);
    double least = STILL_SHARE * now.medianRatio();
    for (int i = 0; i < n; i++) {
      // Weights that are all zero have no ratio; they have moved if they have a gradient.
      boolean rests = zero[i] == 1 || ratio[i] <= least;
      moved[i] = rests ? Math.min(moved[i], step) : step;
      still[i] = step - moved[i];
    }
    reading = now;
    if (file != null) {
      lines = lines == null ? new HealthFile(file) : lines;
      lines.write(now);
    }
  }

  @Override
  public void measure(ObjDoubleConsumer<String> out) {
    LayerReading now = reading;
    if (now == null || !looking || skipped) {
      return;
    }
    out.accept("update_ratio_max", now.maxRatio());
    out.accept("update_ratio_median", now.medianRatio());
    out.accept("dead_layers", now.dead(DEAD_AFTER));
    if (flats.stream().anyMatch(SampledFlat::isHalf)) {
      out.accept("underflow", share(now.underflow()));
    }
  }

  /** Of all values that were looked at. */
  private double share(double[] shares) {
    double values = 0;
    double all = 0;
    int at = 0;
    for (SampledFlat flat : flats) {
      for (int i = 0; i < flat.names().size(); i++, at++) {
        values += shares[at] * flat.elements(i);
        all += flat.elements(i);
      }
    }
    return values / all;
  }

  @Override
  public Map<String, double[]> save() {
    return Map.of("moved", moved.clone());
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    double[] before = saved.get("moved");
    if (before != null && before.length == moved.length) {
      moved = before.clone();
    }
  }

  @Override
  public void close() {
    flats.forEach(SampledFlat::close);
    if (lines != null) {
      lines.close();
    }
  }
}
