package dev.javelin.nn.adapter;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Parameter;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A plain model that computes what a base with its adapters does. */
final class Merge {
  private Merge() {}

  /** A new model; the two that it is made of stay as they are. */
  static ParameterBuffer<Transformer> of(
      ParameterBuffer<Adapters> adapters, ParameterBuffer<Transformer> base, Precision precision) {
    Transformer adapted = adapters.model().on(base.model());
    boolean tied = adapted.head() == null;
    TransformerConfig config = base.model().config().with(b -> b.tied(tied));
    Cpu host = base.model().tokens().value().device() instanceof Cpu cpu ? cpu : null;
    ParameterBuffer<Transformer> merged =
        Transformer.allocate(
            base.model().tokens().value().device(), config, precision, Grouping.frozen());
    try {
      for (Parameter p : merged.named().values()) {
        float[] values = values(adapters, base, adapted, p.name());
        for (Adapters.Layer layer : adapters.model().layers()) {
          if (layer.weight().equals(p.name())) {
            add(adapters, layer.adapter(), values, p.value().dim(1), host);
          }
        }
        merged.put(p, 0, values, values.length);
      }
      return merged;
    } catch (RuntimeException | OutOfMemoryError e) {
      merged.close();
      throw e;
    }
  }

  private static float[] values(
      ParameterBuffer<Adapters> adapters,
      ParameterBuffer<Transformer> base,
      Transformer adapted,
      String name) {
    for (Adapters.Saved s : adapters.model().saved()) {
      if (s.name().equals(name)) {
        return adapters.precise(s.value()).toFloats();
      }
    }
    Parameter p = base.named().get(name);
    if (p == null && adapted.head() != null) { // the embedding was the head, and is trained alone
      p = base.model().tokens();
    }
    if (p == null) {
      throw new IllegalStateException("the base has no " + name);
    }
    return base.values(p);
  }

  /** {@code W_p ← g_p ⊙ (W_p + s_p·B_p·A_p)}, sums in double. */
  private static void add(
      ParameterBuffer<Adapters> adapters,
      LowRankAdapter adapter,
      float[] weights,
      int in,
      @Nullable Cpu host) {
    float[] down = adapters.precise(adapter.down()).toFloats();
    int first = 0;
    for (LowRankAdapter.Part p : adapter.parts()) {
      float[] up = adapters.precise(p.up()).toFloats();
      float[] magnitude = p.magnitude() == null ? null : adapters.precise(p.magnitude()).toFloats();
      int rank = p.rank();
      int from = first * in;
      Rows rows =
          (start, end) -> {
            double[] sum = new double[in];
            for (int r = start; r < end; r++) {
              Arrays.fill(sum, 0);
              for (int k = 0; k < rank; k++) {
                double b = (double) p.scale() * up[r * rank + k];
                for (int i = 0; i < in; i++) {
                  sum[i] += b * down[from + k * in + i];
                }
              }
              int at = (p.row() + r) * in;
              double squares = 0;
              for (int i = 0; i < in; i++) {
                sum[i] += weights[at + i];
                squares += sum[i] * sum[i];
              }
              double gain = magnitude == null ? 1 : magnitude[r] / Math.sqrt(squares);
              for (int i = 0; i < in; i++) {
                weights[at + i] = (float) (gain * sum[i]);
              }
            }
          };
      if (host == null) {
        rows.run(0, p.rows());
      } else {
        host.parallel(p.rows(), 16, rows::run);
      }
      first += rank;
    }
  }

  private interface Rows {
    void run(int from, int to);
  }
}
