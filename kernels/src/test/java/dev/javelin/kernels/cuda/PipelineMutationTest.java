package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.CudaException;
import dev.javelin.device.Emulator;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.Sample;
import dev.javelin.kernels.cuda.Mutants.Mutant;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * An asynchronous pipeline, right and with one mistake at a time: the emulated device is silent
 * about the one and names the cause of each other, whatever the order of its threads and the moment
 * at which copies and products take effect.
 */
@RequiresEmulator
class PipelineMutationTest {
  private static Mutants mutants;

  @TempDir static Path folder;

  /** When threads run, and when what they ask for takes effect. */
  private record Schedule(String order, String async) {
    /** All of those with a name, and some seeds. */
    static Stream<Schedule> several() {
      return Stream.of("forward", "reverse", "1", "2")
          .flatMap(order -> Stream.of("late", "early", "3").map(a -> new Schedule(order, a)));
    }

    static Stream<Schedule> seeds(int n) {
      return IntStream.range(0, n).mapToObj(i -> new Schedule("" + 7 * i, "" + i));
    }
  }

  @BeforeAll
  static void read() throws IOException {
    mutants =
        new Mutants(
            Path.of("src/test/cuda/check_pipeline.cu"),
            Path.of("src/test/mutants/check_pipeline.txt"));
  }

  @Test
  void theRightPipelineIsSilent() {
    assertThat(Stream.concat(Schedule.several(), Schedule.seeds(3)).map(s -> run(null, s)).toList())
        .containsOnly("");
  }

  @Test
  @Tag("long")
  void theRightPipelineIsSilentOverManySeeds() {
    assertThat(Schedule.seeds(50).map(s -> run(null, s)).toList()).containsOnly("");
  }

  static List<Sample<Mutant>> some() throws IOException {
    read();
    return Sample.of("mutants of check_pipeline", mutants.all(), 4);
  }

  @ParameterizedTest
  @MethodSource("some")
  void someMistakesAreReportedByTheirCause(Sample<Mutant> mutant) {
    mutant.check(m -> judge(m, Stream.of(new Schedule("forward", "late"), new Schedule("5", "6"))));
  }

  static List<Mutant> all() throws IOException {
    read();
    return mutants.all();
  }

  @ParameterizedTest
  @MethodSource("all")
  @Tag("long")
  void everyMistakeIsReportedByItsCause(Mutant mutant) throws Exception {
    judge(mutant, Stream.concat(Schedule.several(), Schedule.seeds(4)));
  }

  private static void judge(Mutant m, Stream<Schedule> schedules) throws Exception {
    assumeTrue(Mutants.canCompile(), "mutants are compiled by g++, or by $CXX");
    byte[] image = mutants.compile(mutants.edited(m), m.name(), folder);
    for (Schedule s : schedules.toList()) {
      String report = run(image, s);
      if (m.reports().isEmpty()) {
        assertThat(report).as("%s, %s", m, s).isEmpty();
      } else {
        assertThat(m.reports().stream().filter(report::contains))
            .as("%s, %s: %s", m, s, report)
            .isNotEmpty();
      }
    }
  }

  /** What the device reports; "" where it reports nothing and the product is right. */
  private static String run(byte @Nullable [] image, Schedule schedule) {
    try (Gpu gpu = image == null ? Gpu.checked() : Gpu.withImage(image)) {
      Emulator.set("order", schedule.order);
      Emulator.set("async", schedule.async);
      return Pipeline.run(gpu);
    } catch (CudaException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
