package dev.javelin.tensor.step;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class StepStateLayoutTest {
  private static final Map<String, Integer> BYTES =
      Map.of("int64_t", 8, "double", 8, "float", 4, "int", 4);

  /**
   * {@code step_state.cuh} has the fields of {@link StepState} where Java reads and writes them.
   */
  @Test
  void kernelsSeeEachFieldWhereTheHostPutsIt() throws IOException, ReflectiveOperationException {
    String source = Files.readString(Path.of("../kernels/src/main/cuda/step_state.cuh"));
    String struct = source.substring(source.indexOf("struct StepState {"), source.indexOf("};"));
    Matcher field = Pattern.compile("(?m)^  (int64_t|double|float|int) (\\w+);").matcher(struct);
    Map<String, Long> offsets = new LinkedHashMap<>();
    long end = 0;
    while (field.find()) {
      int bytes = Objects.requireNonNull(BYTES.get(field.group(1)));
      assertThat(end % bytes).as(field.group(2) + " is aligned").isZero();
      offsets.put(field.group(2).toUpperCase(Locale.ROOT), end);
      end += bytes;
    }
    assertThat(offsets).hasSize(18);
    assertThat(offsets.remove("UNUSED")).as("fills up to a multiple of 8").isNotNull();
    offsets.put("BYTES", end);
    for (Map.Entry<String, Long> e : offsets.entrySet()) {
      Field constant = StepState.class.getDeclaredField(e.getKey());
      constant.setAccessible(true);
      assertThat(constant.getLong(null)).as(e.getKey()).isEqualTo(e.getValue());
    }
  }
}
