package dev.javelin.train.settings;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Recomputation;
import dev.javelin.train.data.Fold;
import dev.javelin.train.data.InputException;
import dev.javelin.train.schedule.BatchRamp;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Values of settings as text, and text as values. */
final class Values {
  /** Spellings of PyTorch and nanoGPT. */
  private static final Map<String, String> PRECISIONS =
      Map.of(
          "float32", "fp32",
          "f32", "fp32",
          "no", "fp32",
          "bfloat16", "bf16",
          "float16", "fp16",
          "f16", "fp16",
          "half", "fp16");

  /** PyTorch's {@code norm_type}. */
  private static final Map<String, String> NORMS = Map.of("1", "l1", "2", "l2", "inf", "max");

  private Values() {}

  /**
   * Reads a value; one that has the type already is returned as it is.
   *
   * @throws InputException that goes on from the setting's name: {@code must be …, got …}
   */
  static Object parse(Class<?> type, Object value) {
    if (type.isInstance(value)) {
      return value;
    }
    String text = String.valueOf(value);
    try {
      if (type == int.class || type == Integer.class) {
        return Integer.valueOf(text);
      } else if (type == long.class || type == Long.class) {
        return Long.valueOf(text);
      } else if (type == double.class || type == Double.class) {
        return Double.valueOf(text);
      } else if (type == float.class || type == Float.class) {
        return Float.valueOf(text);
      } else if (type == boolean.class) {
        return bool(text);
      } else if (type == Path.class) {
        return path(text);
      } else if (type == Precision.class) {
        return precision(text);
      } else if (type == Recomputation.class) {
        return recomputation(text);
      } else if (type == TimeSpan.class) {
        return TimeSpan.parse(text);
      } else if (type == BatchRamp.class) {
        return ramp(text);
      } else if (type == ByteSize.class) {
        return ByteSize.parse(text);
      } else if (type == Fold.class) {
        return Fold.parse(text);
      } else if (type.isEnum()) {
        return constant(type, text);
      }
      return text;
    } catch (NumberFormatException e) {
      boolean whole =
          type == int.class || type == Integer.class || type == long.class || type == Long.class;
      String wanted = whole ? "a whole number" : "a number";
      throw new InputException(
          (whole && text.matches("[+-]?\\d+") ? "is out of range" : "must be " + wanted)
              + ", got "
              + text,
          e);
    }
  }

  private static BatchRamp ramp(String text) {
    if (!text.matches("[1-9]\\d{0,8}:[1-9]\\d{0,8}:[1-9]\\d{0,8}")) {
      throw new InputException(
          "must be three numbers of 1 or more, FROM:INCREMENT:STEPS, got " + text);
    }
    String[] numbers = text.split(":", -1);
    return new BatchRamp(
        Integer.parseInt(numbers[0]), Integer.parseInt(numbers[1]), Integer.parseInt(numbers[2]));
  }

  private static boolean bool(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new InputException("must be true or false, got " + text);
    };
  }

  private static Path path(String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new InputException("is not a valid path: " + e.getReason() + ": " + text, e);
    }
  }

  private static Recomputation recomputation(String text) {
    try {
      return Recomputation.named(text.toLowerCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new InputException(String.valueOf(e.getMessage()), e);
    }
  }

  private static Precision precision(String text) {
    String name = Names.kebab(text);
    String first = PRECISIONS.getOrDefault(name, name);
    List<String> names = List.of("fp32", "bf16", "fp16");
    if (!names.contains(first)) {
      throw oneOf(names, text);
    }
    return Precision.named(first);
  }

  /** A constant by its name in kebab-case or snake_case, or by another it has. */
  private static Object constant(Class<?> type, String text) {
    String wanted = Names.kebab(text);
    wanted = type == VectorNorm.class ? NORMS.getOrDefault(wanted, wanted) : wanted;
    List<String> names = new ArrayList<>();
    for (Object constant : type.getEnumConstants()) {
      String name = Names.kebab(((Enum<?>) constant).name());
      if (name.equals(wanted) || aliases(type, (Enum<?>) constant).contains(wanted)) {
        return constant;
      }
      names.add(name);
    }
    throw oneOf(names, text);
  }

  private static List<String> aliases(Class<?> type, Enum<?> constant) {
    try {
      Also also = type.getField(constant.name()).getAnnotation(Also.class);
      return also == null ? List.of() : Arrays.asList(also.value());
    } catch (NoSuchFieldException e) {
      throw new IllegalStateException(e);
    }
  }

  private static InputException oneOf(List<String> names, String text) {
    return new InputException("must be one of " + String.join(", ", names) + ", got " + text);
  }

  /** What YAML shows of a value; {@code null} for an empty list. */
  static @Nullable Object plain(@Nullable Object value) {
    return switch (value) {
      case null -> null;
      case Enum<?> e -> Names.kebab(e.name());
      case Precision p -> p.name();
      case Recomputation r -> r.label();
      case Path p -> p.toString();
      case ByteSize size -> size.toString();
      case TimeSpan time -> time.toString();
      case BatchRamp ramp -> ramp.toString();
      case Fold fold -> fold.toString();
      case Collection<?> c when c.isEmpty() -> null;
      case Collection<?> c -> c.stream().map(Values::plain).toList();
      case Float f -> Double.valueOf(f.toString());
      default -> value;
    };
  }
}
