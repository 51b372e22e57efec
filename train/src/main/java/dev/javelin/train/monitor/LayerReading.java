package dev.javelin.train.monitor;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What the layers of a model do in one step, as it stands in a line of {@code health.jsonl}; arrays
 * have an entry for each layer, a layer being a trained tensor.
 *
 * @param step steps done, this one included
 * @param layers their names
 * @param updateRatio norm of the update over the norm of the weights before it; NaN where those are
 *     all zero
 * @param still steps since the layer has last moved, 0 for one that moves
 * @param zeroGradient share of gradient values that are exactly zero
 * @param underflow share of gradient values that the half type of the weights rounds to zero or
 *     keeps with fewer bits; 0 for fp32
 * @param ratios how many m/√v lie in each power of two, see {@link
 *     dev.javelin.tensor.op.FlatSample#ratios}, over all layers; empty for a rule without moments
 */
public record LayerReading(
    long step,
    List<String> layers,
    double[] updateRatio,
    double[] still,
    double[] zeroGradient,
    double[] underflow,
    double[] ratios) {
  private static final int DIGITS = 6;

  /** The largest ratio; 0 without layers. */
  public double maxRatio() {
    return Arrays.stream(updateRatio).filter(Double::isFinite).max().orElse(0);
  }

  /** The middle one of the ratios; 0 without layers. */
  public double medianRatio() {
    double[] sorted = Arrays.stream(updateRatio).filter(Double::isFinite).sorted().toArray();
    return sorted.length == 0 ? 0 : sorted[sorted.length / 2];
  }

  /**
   * Layers that have not moved.
   *
   * @param steps for at least so many steps
   */
  public int dead(int steps) {
    return (int) Arrays.stream(still).filter(s -> s >= steps).count();
  }

  String json(boolean named) {
    StringBuilder s = new StringBuilder(32 + 48 * layers.size());
    s.append("{\"step\":").append(step);
    if (named) {
      s.append(",\"layers\":").append(Json.writeCompact(layers));
    }
    append(s, "update_ratio", updateRatio);
    append(s, "still", still);
    append(s, "zero_gradient", zeroGradient);
    append(s, "underflow", underflow);
    if (ratios.length > 0) {
      append(s, "ratios", ratios);
    }
    return s.append('}').toString();
  }

  private static void append(StringBuilder s, String key, double[] values) {
    s.append(",\"").append(key).append("\":[");
    for (int i = 0; i < values.length; i++) {
      double v = values[i];
      s.append(i == 0 ? "" : ",");
      if (!Double.isFinite(v)) {
        s.append("null");
      } else if (v == Math.rint(v) && Math.abs(v) < 1L << 53) {
        s.append((long) v);
      } else {
        s.append(String.format(Locale.ROOT, "%." + DIGITS + "g", v));
      }
    }
    s.append(']');
  }

  /**
   * Reads {@link #json}'s form.
   *
   * @param before the line before; null for the first
   */
  static LayerReading of(JsonObject line, @Nullable LayerReading before) {
    if (!(line.members().get("step") instanceof Long step) || step < 0) {
      throw line.error("step", "must be a whole number, 0 or more");
    }
    List<String> layers = new ArrayList<>();
    if (line.has("layers")) {
      for (Object name : line.array("layers")) {
        layers.add(String.valueOf(name));
      }
    } else if (before != null) {
      layers.addAll(before.layers);
    }
    return new LayerReading(
        step,
        List.copyOf(layers),
        numbers(line, "update_ratio", layers.size()),
        numbers(line, "still", layers.size()),
        numbers(line, "zero_gradient", layers.size()),
        numbers(line, "underflow", layers.size()),
        line.has("ratios") ? numbers(line, "ratios", line.array("ratios").size()) : new double[0]);
  }

  private static double[] numbers(JsonObject line, String key, int count) {
    List<@Nullable Object> all = line.array(key);
    if (all.size() != count) {
      throw line.error(key, "must have a number for each of " + count + " layers");
    }
    double[] numbers = new double[count];
    for (int i = 0; i < count; i++) {
      Object value = all.get(i);
      if (value != null && !(value instanceof Number)) {
        throw line.error(key, "must hold numbers");
      }
      numbers[i] = value instanceof Number n ? n.doubleValue() : Double.NaN;
    }
    return numbers;
  }
}
