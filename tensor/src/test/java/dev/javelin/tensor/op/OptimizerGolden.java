package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;

/** The golden files of the optimizers, in the test resources. */
final class OptimizerGolden {
  private static final Path FOLDER = Path.of("src/test/resources/golden/optim");

  private OptimizerGolden() {}

  static JsonObject json(String file) {
    return Json.read(FOLDER.resolve(file));
  }

  /** An object of an array or object of the manifest. */
  @SuppressWarnings("unchecked") // Json reads objects as maps of this type only
  static JsonObject object(Object value) {
    return new JsonObject(FOLDER, "", (SequencedMap<String, Object>) value);
  }

  static JsonObject caseNamed(String list, String name) {
    return json("manifest.json").array(list).stream()
        .map(OptimizerGolden::object)
        .filter(c -> c.text("case").equals(name))
        .findFirst()
        .orElseThrow();
  }

  static double[] numbers(List<?> values) {
    return values.stream().mapToDouble(v -> ((Number) v).doubleValue()).toArray();
  }

  /** The values of the named F32 tensors, one after the other. */
  static float[] tensors(String... names) {
    try (Safetensors file = Safetensors.open(FOLDER.resolve("optimizers.safetensors"))) {
      float[] all = new float[0];
      for (String name : names) {
        float[] values = file.get(name).data().toArray(JAVA_FLOAT_UNALIGNED);
        int at = all.length;
        all = java.util.Arrays.copyOf(all, at + values.length);
        System.arraycopy(values, 0, all, at, values.length);
      }
      return all;
    }
  }
}
