package dev.javelin.train.trace;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.DType;
import dev.javelin.device.Emulator;
import dev.javelin.device.TestCuda;
import dev.javelin.train.data.InputException;
import dev.javelin.train.trace.Event.Access;
import dev.javelin.train.trace.Event.Copy;
import dev.javelin.train.trace.Event.WarpOperation;
import dev.javelin.train.trace.TracedKernel.Sizes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KernelTraceTest {
  @BeforeEach
  void requireEmulator() {
    assumeTrue(
        TestCuda.isEmulated() && KernelTrace.isAvailable(),
        "this build has no emulated device with checked kernels");
  }

  private static KernelTrace trace(String kernel, int thread, int rows, int cols) {
    return KernelTrace.of(
        TracedKernel.named(kernel), 0, thread, new Sizes(rows, cols, 16), DType.F32);
  }

  /** All that was read of, or written to, a tensor: by element, in the last dimension's count. */
  private static Map<String, Float> values(KernelTrace trace, String what, String tensor) {
    Map<String, Float> all = new TreeMap<>();
    for (Step s : trace.all()) {
      if (s.what().equals(what) && s.of().equals(tensor)) {
        String[] values = s.values().split(" ");
        String[] ends = s.where().replaceAll(".*[\\[ ]|]", "").split("[.][.]");
        String row = s.where().contains(", ") ? s.where().replaceAll(".*\\[|,.*", "") + " " : "";
        for (int i = 0; i < values.length; i++) {
          all.put(row + (Integer.parseInt(ends[0]) + i), Float.parseFloat(values[i]));
        }
      }
    }
    return all;
  }

  /** A warp has a row; a lane takes 16 bytes where rows are aligned to as many, else an element. */
  @ParameterizedTest
  @CsvSource({"0,4,256", "5,3,256", "37,2,260", "31,1,31", "65,4,7", "33,1,32"})
  void aThreadOfRmsNormReadsWhatItsFormulaSays(int thread, int rows, int cols) {
    KernelTrace trace = trace("rms_norm", thread, rows, cols);
    int row = thread / 32;
    int width = cols % 4 == 0 ? 4 : 1;
    List<String> expected =
        IntStream.range(0, row < rows ? cols : 0)
            .filter(c -> c / width % 32 == thread % 32)
            .mapToObj(c -> row + " " + c)
            .toList();
    assertThat(values(trace, "read", "x").keySet()).containsExactlyInAnyOrderElementsOf(expected);
    assertThat(values(trace, "write", "y").keySet()).containsExactlyInAnyOrderElementsOf(expected);
    assertThat(trace.all().stream().anyMatch(s -> s.where().equals("rstd[" + row + "]")))
        .isEqualTo(row < rows && thread % 32 == 0);
  }

  @Test
  void whatItWritesFollowsFromWhatItWasGiven() {
    int cols = 260;
    KernelTrace trace = trace("rms_norm", 7, 1, cols);
    Map<String, Float> x = values(trace, "read", "x");
    Map<String, Float> w = values(trace, "read", "w");
    float[] row = matrix(2, 1, cols)[0];
    x.forEach((at, v) -> assertThat(v).isEqualTo(row[Integer.parseInt(at.substring(2))]));
    // Squares are multiples of 1/64: exact.
    double own = x.values().stream().mapToDouble(v -> v * v).sum();
    double all = IntStream.range(0, cols).mapToDouble(c -> row[c] * row[c]).sum();
    assertThat((double) warpOperation(trace).given().number(0, DType.F32)).isEqualTo(own);
    assertThat((double) warpOperation(trace).got().number(0, DType.F32)).isEqualTo(all);
    double rstd = 1 / Math.sqrt(all / cols + 1e-5);
    Map<String, Float> y = values(trace, "write", "y");
    assertThat(y).hasSize(x.size());
    y.forEach(
        (at, v) ->
            assertThat((double) v)
                .isCloseTo(
                    requireNonNull(x.get(at)) * rstd * requireNonNull(w.get(at.substring(2))),
                    offset(1e-6)));
  }

  private static WarpOperation warpOperation(KernelTrace trace) {
    return trace.all().stream()
        .map(Step::event)
        .filter(WarpOperation.class::isInstance)
        .map(WarpOperation.class::cast)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void aProductsTilesTravelThroughSharedMemory() {
    KernelTrace trace =
        KernelTrace.of(TracedKernel.named("matmul"), 0, 33, new Sizes(64, 64, 32), DType.BF16);
    List<Step> copies = trace.all().stream().filter(s -> s.event() instanceof Copy).toList();
    assertThat(copies).isNotEmpty().allMatch(s -> s.where().matches("[ab]\\[.*] to .*[+]\\d+"));
    assertThat(trace.all().stream().map(Step::what))
        .contains("__syncthreads", "ldmatrix.x4", "mma.m16n8k16 bf16");
    // c = a · b from the same values, in double.
    float[][] a = matrix(1, 64, 32);
    float[][] b = matrix(2, 32, 64);
    Map<String, Float> c = values(trace, "write", "c");
    assertThat(c).isNotEmpty();
    c.forEach(
        (at, value) -> {
          int row = Integer.parseInt(at.split(" ")[0]);
          int col = Integer.parseInt(at.split(" ")[1]);
          double sum = 0;
          for (int k = 0; k < 32; k++) {
            sum += (double) a[row][k] * b[k][col];
          }
          assertThat((double) value).isCloseTo(sum, offset(Math.abs(sum) / 128 + 1e-6));
        });
  }

  /** The values of tensor number {@code n} of a stage. */
  private static float[][] matrix(int n, int rows, int cols) {
    float[][] all = new float[rows][cols];
    for (int i = 0; i < rows * cols; i++) {
      all[i / cols][i % cols] = ((7 * i + 3 * (n + 1)) % 17 - 8) / 8f;
    }
    return all;
  }

  @ParameterizedTest
  @CsvSource({"softmax", "swiglu", "rope", "embedding", "cross_entropy", "adam_w", "layer_norm"})
  void everyAccessHasItsTensorAndLine(String name) {
    TracedKernel kernel = TracedKernel.named(name);
    KernelTrace trace = KernelTrace.of(kernel, 0, 0, kernel.sizes(), DType.F32);
    List<Step> accesses = trace.all().stream().filter(s -> s.event() instanceof Access).toList();
    assertThat(accesses.stream().map(Step::what)).contains("read", "write");
    assertThat(accesses.stream().filter(s -> s.of().equals("scratch")).count())
        .isEqualTo(name.equals("adam_w") ? 1 : 0); // what adam_w_constants left
    boolean known = trace.all().stream().anyMatch(s -> s.line() != null);
    assumeTrue(known, "no addr2line on PATH");
    assertThat(trace.all()).allMatch(s -> s.line() != null);
  }

  @Test
  void loopsAreFolded() {
    KernelTrace trace =
        KernelTrace.of(TracedKernel.named("rms_norm"), 0, 0, new Sizes(1, 8192, 1), DType.BF16);
    String folded = trace.text(false);
    String all = trace.text(true);
    assertThat(folded)
        .contains("    1  read x[0, 0..7]")
        .contains("    …  3 more times, to step 4: x[0, 6144..6151], 2048 elements apart")
        .doesNotContain("    2  read");
    assertThat(all).contains("    2  read x[0, 2048..2055]").doesNotContain("more times");
    assertThat(steps(all)).isEqualTo(IntStream.rangeClosed(1, trace.all().size()).boxed().toList());
    assertThat(steps(folded)).hasSizeLessThan(steps(all).size());
    assertThat(folded).contains("read x               4 times, 64 bytes; the first: 32 lanes, 512");
  }

  private static List<Integer> steps(String text) {
    List<Integer> all = new ArrayList<>();
    for (String line : text.split("\n")) {
      if (line.matches(" +\\d+  .*")) {
        all.add(Integer.parseInt(line.strip().split(" ")[0]));
      }
    }
    return all;
  }

  @Test
  void whatDoesNotFitIsNamed() {
    assertThatThrownBy(() -> TracedKernel.named("rmsnorm"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("did you mean rms_norm?");
    assertThatThrownBy(() -> trace("rms_norm", 128, 4, 8))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "--thread must be from 0 to 127 (rms_norm_forward_f32 has 128 at this size), got 128");
    assertThatThrownBy(() -> trace("rms_norm", 1024, 4, 8)).isInstanceOf(InputException.class);
    assertThatThrownBy(() -> trace("rope", 0, 4, 7)).hasMessageContaining("--cols must be even");
    for (String value : List.of("", "1", "0:0:", "0:1024:/tmp/x", "0:0:/none/x")) {
      assertThatThrownBy(() -> Emulator.set("trace", value))
          .as(value)
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void sectorsTellWhetherLanesReadNeighbours() {
    assertThat(Coalescing.of(lanes(0, 4, 8, 12, 16, 20, 24, 28)))
        .isEqualTo("8 lanes, 32 bytes in 1 sector of 32: coalesced");
    assertThat(Coalescing.of(lanes(0, 32, 64, 96)))
        .isEqualTo("4 lanes, 16 bytes in 4 sectors of 32: not coalesced, 1 would do");
    assertThat(Coalescing.of(lanes(64, 64, 64)))
        .isEqualTo("3 lanes, 4 bytes in 1 sector of 32: a broadcast, all read the same");
    assertThat(Coalescing.of(lanes(64))).isEqualTo("1 lane, 4 bytes in 1 sector of 32: alone");
  }

  private static List<Access> lanes(long... addresses) {
    return Arrays.stream(addresses)
        .mapToObj(a -> new Access(0, 0, false, Event.Space.GLOBAL, a, new Bytes("00000000")))
        .toList();
  }
}
