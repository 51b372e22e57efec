package dev.javelin.train;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.train.TrainConfig.Number;
import dev.javelin.train.TrainConfig.Scheduler;
import java.util.Arrays;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads an enum's constant in any spelling: its own in kebab-case or snake_case, or an alias. */
record Choices<E extends Enum<E>>(Class<E> type, Map<String, E> aliases)
    implements ITypeConverter<E> {

  /** Spellings of PyTorch and nanoGPT. */
  static final Map<String, Number> NUMBERS =
      Map.of(
          "float32", Number.FP32,
          "f32", Number.FP32,
          "no", Number.FP32,
          "bfloat16", Number.BF16,
          "float16", Number.FP16,
          "f16", Number.FP16,
          "half", Number.FP16);

  /** Spellings of Hugging Face. */
  static final Map<String, Scheduler> SCHEDULERS =
      Map.of(
          "warmup-stable-decay", Scheduler.WSD,
          "constant-with-warmup", Scheduler.CONSTANT,
          "cosine-with-min-lr", Scheduler.COSINE);

  /** PyTorch's {@code norm_type}. */
  static final Map<String, VectorNorm> NORMS =
      Map.of("1", VectorNorm.L1, "2", VectorNorm.L2, "inf", VectorNorm.MAX);

  @Override
  public E convert(String value) {
    String wanted = Names.kebab(value);
    for (E constant : type.getEnumConstants()) {
      if (Settings.kebabName(constant).equals(wanted)) {
        return constant;
      }
    }
    E alias = aliases.get(wanted);
    if (alias != null) {
      return alias;
    }
    throw new TypeConversionException(
        "must be one of "
            + String.join(
                ", ", Arrays.stream(type.getEnumConstants()).map(Settings::kebabName).toList())
            + ", got "
            + value);
  }
}
