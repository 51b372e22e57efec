package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Gradients by id have the CPU's bits on a GPU, however often an id comes, in every order of
 * threads.
 */
@RequiresCuda
class EmbeddingCudaTest {
  @AfterEach
  void restore() {
    if (TestCuda.isEmulated()) {
      TestCuda.set("order", "forward");
      TestCuda.set("guard", "0");
      TestCuda.set("capability", "9.0");
    }
  }

  /**
   * The ids of a case are about as unequal as words of a text: of {@code frequent} in 8 positions
   * it is the same one. The sizes pass what a block sorts (512 ids), what its warps read at a time
   * (256 positions), what a warp adds up alone (32 rows) and a block's tile (64 rows).
   */
  @ParameterizedTest
  @CsvSource({
    "1,    1,   1,    0, F32",
    "255,  1,   7,    8, F32", // all the same
    "513,  3,   600,  0, BF16", // most ids once
    "700,  2,   31,   4, F16",
    "1000, 511, 8,    5, BF16", // the id of what gets none is the last of a block
    "1100, 512, 40,   2, F32", // and the first of the next one
    "1500, 1300, 264, 3, BF16",
    "5000, 2000, 1,   1, BF16",
    "4200, 40,  3,    6, F16"
  })
  void sumsAreInTheOrderOfPositions(
      int tokens, int vocabulary, int cols, int frequent, DType type) {
    Random random = new Random(tokens);
    int often = random.nextInt(vocabulary);
    double[] ids =
        random
            .ints(tokens, 0, vocabulary)
            .mapToDouble(id -> random.nextInt(8) < frequent ? often : id)
            .toArray();
    double[] dy = random.doubles((long) tokens * cols, -1, 1).toArray();
    double[] before = random.doubles((long) vocabulary * cols, -1, 1).toArray();
    int padding = vocabulary > 2 ? (often + 1) % vocabulary : Embedding.NO_PADDING;
    double[] expected;
    try (Cpu cpu = Cpu.open(1)) {
      expected = gradient(cpu, type, vocabulary, before, ids, dy, padding);
    }
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(gradient(cuda, type, vocabulary, before, ids, dy, padding)).isEqualTo(expected);
      assertThat(gradient(cuda, type, vocabulary, before, ids, dy, padding)).isEqualTo(expected);
    }
    if (TestCuda.isEmulated()) {
      for (String order : List.of("reverse", "12345")) {
        TestCuda.set("order", order);
        TestCuda.set("guard", "1");
        TestCuda.set("capability", order.equals("reverse") ? "8.0" : "9.0");
        try (Cuda cuda = TestCuda.open(new BundledKernels())) {
          assertThat(gradient(cuda, type, vocabulary, before, ids, dy, padding))
              .as("order %s", order)
              .isEqualTo(expected);
        }
      }
    }
  }

  /** The host cannot see ids in the device's memory: those outside the table get no gradient. */
  @Test
  void idsOutsideTheTableAreLeftOut() {
    double[] ids = {2, -1, 0, 3, Integer.MIN_VALUE, 2, Integer.MAX_VALUE, 512};
    double[] dy = {1, 2, 4, 8, 16, 32, 64, 128};
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(gradient(cuda, DType.F32, 3, new double[] {0.5, 0.5, 0.5}, ids, dy, -1))
          .containsExactly(4.5, 0.5, 33.5);
    }
  }

  private static double[] gradient(
      Device device,
      DType type,
      int vocabulary,
      double[] before,
      double[] ids,
      double[] dy,
      int padding) {
    int cols = before.length / vocabulary;
    try (Workspace ws = Workspace.poisoned(device, 1 << 24)) {
      Tensor table = ws.alloc(DType.F32, Shape.of(vocabulary, cols));
      Tensor which = ws.alloc(DType.I32, Shape.of(ids.length));
      Tensor rows = ws.alloc(type, Shape.of(ids.length, cols));
      Tensors.fill(table, before);
      Tensors.fill(which, ids);
      Tensors.fill(rows, dy);
      Embedding.backward(new Grad(table, true), rows, which, padding);
      return Tensors.toDoubles(table);
    }
  }
}
