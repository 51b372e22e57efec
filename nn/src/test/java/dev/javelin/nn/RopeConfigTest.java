package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class RopeConfigTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/rope/cases.json");

  @Test
  void frequenciesAreThoseOfTransformers() {
    for (JsonObject c : objects(Json.read(GOLDEN), "frequencies")) {
      int headDim = c.integer("head_dim", 2, 256);
      RopeConfig rope =
          RopeJson.read(
              c, "rope_theta", 1e4, c.integer("max_position_embeddings", 1, 1 << 20), n -> {});
      int length = c.integer("length", 1, 1 << 20);
      double[] got = rope.frequencies(headDim, length);
      List<@Nullable Object> expected = c.array("frequencies");
      assertThat(got).hasSize(expected.size());
      for (int i = 0; i < got.length; i++) {
        double f = ((Number) expected.get(i)).doubleValue();
        // Theirs are float32: a power of theta good to a few ulps.
        assertThat(got[i])
            .as("%s, %d tokens, pair %d", rope, length, i)
            .isCloseTo(f, within(1e-5 * f));
      }
      assertThat(rope.amplitude()).isCloseTo(c.number("amplitude"), within(1e-12));
    }
  }

  /** The objects of an array. */
  static List<JsonObject> objects(JsonObject json, String key) {
    return json.array(key).stream()
        .map(
            element -> {
              @SuppressWarnings("unchecked") // objects are read as maps of this type
              var members = (SequencedMap<String, @Nullable Object>) element;
              return new JsonObject(json.file(), key + ".", members);
            })
        .toList();
  }

  @Test
  void plainFrequenciesFallFromOneByEqualFactors() {
    double[] f = RopeConfig.of(10_000).frequencies(8, 1);
    assertThat(f).hasSize(4);
    for (int i = 0; i < 4; i++) {
      assertThat(f[i]).isCloseTo(Math.pow(10, -i), within(1e-15));
    }
  }
}
