package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.DType;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.LossScaling;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The families against transformers, in fp32: what it computes and what it writes. */
class GoldenFamilyTest {
  static final List<String> NAMES = ModelCase.FAMILIES;

  @TempDir Path dir;

  @ParameterizedTest
  @FieldSource("NAMES")
  void hiddenStatesAndLogitsAreThoseOfTheReference(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      GoldenModelTest.assertLogits(c, GoldenModelTest.LOGITS);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void lossAndEveryGradientAreThoseOfTheReference(String name) {
    for (boolean recompute : new boolean[] {false, true}) {
      try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
        GoldenModelTest.assertGradients(
            c, recompute, GoldenModelTest.LOSS, GoldenModelTest.GRADIENTS);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void greedyContinuationIsThatOfTheReferenceWithCacheAndWithout(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      GoldenModelTest.assertGreedy(c, true);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void twentyStepsFollowTheReferenceCurve(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertCurve(c);
    }
  }

  static void assertCurve(ModelCase c) {
    List<Training.Step> steps = Training.run(c, LossScaling.NONE);
    List<JsonObject> curve = Training.reference(c, "steps");
    assertThat(steps).hasSameSizeAs(curve);
    for (int i = 0; i < steps.size(); i++) {
      double loss = curve.get(i).number("loss");
      double norm = curve.get(i).number("grad_norm");
      assertThat(steps.get(i).loss()).as("loss of step " + i).isCloseTo(loss, within(1e-4 * loss));
      assertThat(steps.get(i).gradNorm())
          .as("norm of step " + i)
          .isCloseTo(norm, within(1e-3 * norm));
    }
  }

  /** What is loaded and written has the names, shapes, types and bits, and the keys, it had. */
  @ParameterizedTest
  @FieldSource("NAMES")
  void writesTheDirectoryThatItRead(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      HuggingFace.save(c.buffer, dir);
      assertThat(TransformerConfig.read(dir)).isEqualTo(c.model().config());
      assertThat(tensors(dir)).isEqualTo(tensors(c.directory));
      Map<String, @Nullable Object> written = Json.read(dir.resolve("config.json")).members();
      Json.read(c.directory.resolve("config.json"))
          .members()
          .forEach(
              (key, value) -> {
                if (value != null && !key.equals("transformers_version")) {
                  assertThat(same(written.get(key), value))
                      .as("%s is %s, was %s", key, written.get(key), value)
                      .isTrue();
                }
              });
      try (ModelCase again = ModelCase.open(name, Precision.BF16)) {
        HuggingFace.save(again.buffer, dir);
        assertThat(tensors(dir).keySet()).isEqualTo(tensors(c.directory).keySet());
        assertThat(Json.read(dir.resolve("config.json")).text("dtype")).isEqualTo("bfloat16");
      }
    }
  }

  /** Equal, where 1 is 1.0 and what is not there is null. */
  private static boolean same(@Nullable Object a, @Nullable Object b) {
    if (a instanceof Number x && b instanceof Number y) {
      return x.doubleValue() == y.doubleValue();
    }
    if (a instanceof Map<?, ?> x && b instanceof Map<?, ?> y) {
      return y.keySet().stream().allMatch(k -> same(x.get(k), y.get(k)));
    }
    return Objects.equals(a, b);
  }

  private static Map<String, String> tensors(Path directory) {
    try (Safetensors file = Safetensors.open(directory.resolve("model.safetensors"))) {
      return file.entries().values().stream()
          .collect(
              Collectors.toMap(
                  Safetensors.Entry::name,
                  e ->
                      "%s%s %08x"
                          .formatted(
                              e.dtype() == DType.F32 ? "F32" : "",
                              e.shape(),
                              e.data().asByteBuffer().hashCode()),
                  (a, b) -> a,
                  TreeMap::new));
    }
  }

  /** Published BLOOM and GPT-2 files leave the model's name out. */
  @ParameterizedTest
  @FieldSource("NAMES")
  void namesMayStandWithoutTheModels(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      List<Safetensors.Item> items =
          HuggingFace.items(c.buffer, "", Parameter::value).stream()
              .map(
                  i ->
                      new Safetensors.Item(
                          i.name().replaceFirst("^(transformer|model|gpt_neox)\\.", ""),
                          i.dtype(),
                          i.shape(),
                          i.data()))
              .toList();
      Safetensors.write(dir.resolve("model.safetensors"), Map.of(), items);
      try (ModelCase again = ModelCase.open(name, Precision.FP32)) {
        again.buffer.weights().segment().fill((byte) 0);
        HuggingFace.load(again.buffer, dir);
        assertThat(again.buffer.weights().segment().mismatch(c.buffer.weights().segment()))
            .isEqualTo(-1);
      }
    }
  }
}
