package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What parts of a training remember, as {@code training_state.json} has it: {@code "parts":
 * {"name": {"key": [1.5, "NaN"]}}}. What is not finite is written as text, for JSON has no number
 * for it.
 */
final class Parts {
  private Parts() {}

  static Map<String, Object> json(Map<String, Map<String, double[]>> parts) {
    Map<String, Object> json = new LinkedHashMap<>();
    parts.forEach(
        (name, keys) -> {
          Map<String, Object> part = new LinkedHashMap<>();
          keys.forEach((key, values) -> part.put(key, list(values)));
          json.put(name, part);
        });
    return json;
  }

  private static List<Object> list(double[] values) {
    List<Object> list = new ArrayList<>();
    for (double v : values) {
      list.add(Double.isFinite(v) ? (Object) v : Double.toString(v));
    }
    return list;
  }

  /**
   * @throws dev.javelin.tensor.io.FileFormatException for anything but arrays of numbers
   */
  static Map<String, Map<String, double[]>> of(JsonObject json) {
    Map<String, Map<String, double[]>> parts = new LinkedHashMap<>();
    for (String name : json.members().keySet()) {
      JsonObject part = json.object(name);
      Map<String, double[]> keys = new LinkedHashMap<>();
      for (String key : part.members().keySet()) {
        List<? extends @Nullable Object> list = part.array(key);
        double[] values = new double[list.size()];
        for (int i = 0; i < values.length; i++) {
          values[i] = number(part, key, list.get(i));
        }
        keys.put(key, values);
      }
      parts.put(name, keys);
    }
    return parts;
  }

  private static double number(JsonObject part, String key, @Nullable Object value) {
    return switch (value) {
      case Number n -> n.doubleValue();
      case String s when s.equals("NaN") -> Double.NaN;
      case String s when s.equals("Infinity") -> Double.POSITIVE_INFINITY;
      case String s when s.equals("-Infinity") -> Double.NEGATIVE_INFINITY;
      case null, default -> throw part.error(key, "must hold numbers");
    };
  }
}
