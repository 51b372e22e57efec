package dev.javelin.train.settings;

import dev.javelin.kernels.Quantization;
import dev.javelin.nn.Grouping;
import dev.javelin.train.data.InputException;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** How the linear layers of a model that is not trained are kept: as they are, or in few bits. */
public enum Quantize {
  NONE(null),
  INT8(Quantization.INT8),
  NF4(Quantization.NF4);

  private final @Nullable Quantization format;

  Quantize(@Nullable Quantization format) {
    this.format = format;
  }

  /**
   * The one of that name.
   *
   * @throws InputException for any other
   */
  public static Quantize named(String name) {
    for (Quantize q : values()) {
      if (q.label().equals(name)) {
        return q;
      }
    }
    throw new InputException("--quantize must be one of none, int8, nf4, got " + name);
  }

  /** {@code none}, {@code int8} or {@code nf4}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Frozen parameters in that form. */
  public Grouping frozen() {
    return frozen(false);
  }

  /**
   * The same.
   *
   * @param int8Activations what quantised weights are multiplied with is rounded to 8 bits: on
   *     CPUs, for inference; without an effect for {@link #NONE}
   */
  public Grouping frozen(boolean int8Activations) {
    return format == null ? Grouping.frozen() : Grouping.quantized(format, int8Activations);
  }
}
