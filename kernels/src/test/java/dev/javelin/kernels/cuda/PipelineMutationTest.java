package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.CudaException;
import dev.javelin.device.Emulator;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.Sample;
import dev.javelin.kernels.cuda.Mutants.Mutant;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Kernels with asynchronous pipelines, right and with one mistake at a time: the emulated device is
 * silent about the one and names the cause of each other, whatever the order of its threads and the
 * moment at which copies and products take effect.
 */
@RequiresEmulator
class PipelineMutationTest {
  /** What several kernels include. */
  private static final String SHARED = " src/main/cuda/hopper_tile.cuh";

  /** A kernel with a table of mistakes, and what launches it. */
  enum Suite {
    PIPELINE("check_pipeline", "", "src/test/cuda/check_pipeline.cu"),
    CLUSTER("check_cluster", "", "src/test/cuda/check_cluster.cu"),
    PRODUCT(
        "matmul_hopper",
        "MATMUL_HOPPER_KERNEL(128, nt, false, true, true, bf16, bf16, bf16, bf16)",
        "src/main/cuda/matmul_hopper.cuh" + SHARED),
    PRODUCT_ACROSS(
        "matmul_hopper_tn",
        "MATMUL_HOPPER_KERNEL(128, tn, true, false, false, bf16, bf16, bf16, bf16)",
        "src/main/cuda/matmul_hopper.cuh" + SHARED),
    PRODUCT_PAIR(
        "matmul_hopper_pair",
        "MATMUL_HOPPER_PAIR(128, nt, false, true, true, bf16, bf16, bf16, bf16)",
        "src/main/cuda/matmul_hopper.cuh" + SHARED),
    PRODUCT_PAIR_ACROSS(
        "matmul_hopper_pair_tn",
        "MATMUL_HOPPER_PAIR(128, tn, true, false, false, bf16, bf16, bf16, bf16)",
        "src/main/cuda/matmul_hopper.cuh" + SHARED),
    LOSSES(
        "linear_cross_entropy_hopper",
        "LCE_STATISTICS_KERNEL(256, bf16, bf16)\nLCE_GRADIENT_KERNEL(256, bf16, bf16)",
        "src/main/cuda/linear_cross_entropy_hopper.cuh src/main/cuda/matmul_hopper.cuh" + SHARED),
    LOSSES_AT_ONCE(
        "linear_cross_entropy_hopper_weights",
        "LCE_WEIGHTS_KERNEL(256, bf16, bf16)",
        "src/main/cuda/linear_cross_entropy_hopper.cuh src/main/cuda/matmul_hopper.cuh" + SHARED),
    ATTENTION("attention_forward_hopper", "", "src/main/cuda/attention_forward_hopper.cu" + SHARED),
    ATTENTION_GRADIENTS(
        "attention_backward_hopper",
        "BACKWARD(64, bf16, bf16)",
        "src/main/cuda/attention_backward_hopper.cuh" + SHARED);

    private final String table;
    private final String instance;
    private final String files; // spaces between them

    Suite(String table, String instance, String files) {
      this.table = table;
      this.instance = instance;
      this.files = files;
    }

    Mutants mutants() {
      try {
        List<Path> paths = Stream.of(files.split(" ")).map(Path::of).toList();
        return new Mutants(paths, Path.of("src/test/mutants", table + ".txt"), instance);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** Launches it, and says where results are wrong; "" where they are right. */
    String launch(Gpu gpu) {
      return switch (this) {
        case PIPELINE -> Pipeline.run(gpu);
        case CLUSTER -> Multicast.run(gpu);
        case PRODUCT -> HopperProducts.layer(gpu, 1);
        case PRODUCT_ACROSS -> HopperProducts.weightGradient(gpu, 1);
        case PRODUCT_PAIR -> HopperProducts.layer(gpu, 2);
        case PRODUCT_PAIR_ACROSS -> HopperProducts.weightGradient(gpu, 2);
        case LOSSES -> HopperLosses.inTurn(gpu);
        case LOSSES_AT_ONCE -> HopperLosses.atOnce(gpu);
        case ATTENTION -> HopperAttention.causal(gpu);
        case ATTENTION_GRADIENTS -> HopperAttentionGradients.causal(gpu);
      };
    }

    /** How the kernel's name begins; others that it is launched with are those of the build. */
    String kernel() {
      return this == LOSSES || this == LOSSES_AT_ONCE ? "linear_cross_entropy_hopper" : "";
    }

    List<Case> cases() {
      return mutants().all().stream().map(m -> new Case(this, m)).toList();
    }
  }

  /** One mistake in one kernel. */
  record Case(Suite suite, Mutant mutant) {
    @Override
    public String toString() {
      return suite.table + "/" + mutant;
    }
  }

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

  @ParameterizedTest
  @EnumSource
  void theRightKernelIsSilent(Suite suite) {
    assertSilent(suite, Schedule.several());
  }

  @ParameterizedTest
  @EnumSource
  @Tag("long")
  void theRightKernelIsSilentOverManySeeds(Suite suite) {
    assertSilent(suite, Schedule.seeds(50));
  }

  private static void assertSilent(Suite suite, Stream<Schedule> schedules) {
    assertThat(schedules.map(s -> run(suite, null, s)).toList()).containsOnly("");
  }

  @ParameterizedTest
  @EnumSource
  void everyEditFitsTheSource(Suite suite) {
    Mutants mutants = suite.mutants();
    assertThat(mutants.all().stream().map(mutants::edited)).doesNotHaveDuplicates();
  }

  static List<Sample<Case>> some() {
    return Stream.of(Suite.values())
        .flatMap(s -> Sample.of("mutants of " + s.table, s.cases(), 2).stream())
        .toList();
  }

  @ParameterizedTest
  @MethodSource("some")
  void someMistakesAreReportedByTheirCause(Sample<Case> mistake) {
    mistake.check(
        c -> judge(c, Stream.of(new Schedule("forward", "late"), new Schedule("5", "6"))));
  }

  static List<Case> all() {
    return Stream.of(Suite.values()).flatMap(s -> s.cases().stream()).toList();
  }

  @ParameterizedTest
  @MethodSource("all")
  @Tag("long")
  void everyMistakeIsReportedByItsCause(Case mistake) throws Exception {
    judge(mistake, Stream.concat(Schedule.several(), Schedule.seeds(4)));
  }

  private static void judge(Case c, Stream<Schedule> schedules) throws Exception {
    assumeTrue(Mutants.canCompile(), "mutants are compiled by g++, or by $CXX");
    Mutants mutants = c.suite.mutants();
    Mutant m = c.mutant;
    byte[] image = mutants.compile(mutants.edited(m), m.name(), folder);
    for (Schedule s : schedules.toList()) {
      String report = run(c.suite, image, s);
      if (m.reports().isEmpty()) {
        assertThat(report).as("%s, %s", c, s).isEmpty();
      } else {
        assertThat(m.reports().stream().filter(report::contains))
            .as("%s, %s: %s", c, s, report)
            .isNotEmpty();
      }
    }
  }

  /** What the device reports, or what is wrong; "" where it reports nothing and all is right. */
  private static String run(Suite suite, byte @Nullable [] image, Schedule schedule) {
    try (Gpu gpu = image == null ? Gpu.checked() : Gpu.withImage(suite.kernel(), image)) {
      Emulator.set("order", schedule.order);
      Emulator.set("async", schedule.async);
      return suite.launch(gpu);
    } catch (CudaException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
