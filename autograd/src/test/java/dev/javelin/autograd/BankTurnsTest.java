package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.BankTurns;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Emulator;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * How many turns the kernels with tiles in shared memory take at its banks: as few as their
 * accesses allow, but for two places that stand outside of the loops over tiles.
 */
@RequiresEmulator
class BankTurnsTest {
  /**
   * By file, what a place may take of the least: results on their way out, whose rows are padded
   * for 16-byte rows of halves, and scores of fp32 that one product stores for the next.
   */
  private static final Map<String, Integer> LIMITS =
      Map.of("common.cuh", 2, "attention_product.cuh", 2);

  @AfterEach
  void restore() {
    Emulator.set("banks", "0");
    TestMachine.restore();
  }

  @ParameterizedTest
  @CsvSource({"80, F32", "80, BF16", "90, F32", "90, BF16"})
  void kernelsTakeNoMoreTurnsThanTheyMust(int capability, DType t) {
    TestMachine machine = new TestMachine("forward", capability, true, "exact");
    try (Cuda cuda = machine.open(BundledKernels.checked())) {
      Emulator.set("banks", "1");
      check(
          cuda,
          t,
          w -> Functional.linear(w[0], w[1], null),
          Shape.of(264, 136),
          Shape.of(200, 136));
      for (int dim : new int[] {64, 128}) {
        Shape heads = Shape.of(1, 130, 1, dim);
        check(
            cuda,
            t,
            w -> Functional.attention(w[0], w[1], w[2], AttentionMask.CAUSAL),
            heads,
            heads,
            heads);
      }
    }
  }

  private static void check(Cuda cuda, DType t, Function<Var[], Var> op, Shape... shapes) {
    BankTurns.take();
    run(cuda, t, op, shapes);
    List<BankTurns> places = BankTurns.take();
    long least = places.stream().mapToLong(BankTurns::least).sum();
    long turns = places.stream().mapToLong(BankTurns::turns).sum();
    assertThat(least).as("turns counted").isGreaterThan(300);
    assertThat(turns).as("turns in all, least %d", least).isLessThan(least * 11 / 10);
    for (BankTurns b : places) {
      int limit = LIMITS.getOrDefault(b.place().replaceFirst(":.*", ""), 1);
      assertThat(b.turns()).as(b.toString()).isLessThanOrEqualTo(limit * b.least());
    }
  }

  private static void run(Cuda cuda, DType t, Function<Var[], Var> op, Shape... shapes) {
    Random random = new Random(1);
    List<Memory> memories = new ArrayList<>();
    try (Workspace ws = Workspace.on(cuda)) {
      Tape tape = new Tape(ws);
      Var[] w = new Var[shapes.length];
      for (int i = 0; i < w.length; i++) {
        Memory value = cuda.allocate(t.bytes(shapes[i].elements()));
        Memory grad = cuda.allocate(DType.F32.bytes(shapes[i].elements()));
        memories.addAll(List.of(value, grad));
        double[] values = random.doubles(shapes[i].elements(), -1, 1).toArray();
        Tensor x = Tensors.of(value, 0, t, shapes[i], values);
        boolean weight = shapes.length == 2 && i == 1; // of linear
        Tensor dx = Tensor.of(grad, 0, weight ? DType.F32 : t, shapes[i]);
        w[i] =
            weight
                ? tape.param(new Parameter("w", x, dx, new Group("all", 1, 0, false)))
                : tape.leaf(x, new Grad(dx, false));
      }
      Var y = op.apply(w);
      Tensor dy = ws.alloc(y.value().dtype(), y.shape());
      Tensors.fill(dy, random.doubles(dy.elements(), -1, 1).toArray());
      tape.backward(List.of(y), List.of(dy));
    } finally {
      memories.forEach(Memory::close);
    }
  }
}
