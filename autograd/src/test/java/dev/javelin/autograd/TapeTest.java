package dev.javelin.autograd;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class TapeTest {
  private static final int ROWS = 3;
  private static final int COLS = 8;
  private static final float EPS = 1e-5f;

  private final Cpu cpu = Cpu.open(1);
  private final Workspace ws = Workspace.poisoned(cpu, 1 << 20);
  private final HostMemory memory = cpu.allocate(1 << 16);
  private final Tensor x = model(0, DType.F32, ROWS, COLS);
  private final Tensor dx = model(1, DType.F32, ROWS, COLS);
  private final Tensor half = model(4, DType.F32, COLS / 2);
  private final Tensor dhalf = model(5, DType.F32, COLS / 2);
  private final Tensor dw = model(3, DType.F32, COLS);
  private final Parameter w =
      new Parameter(
          "w", model(2, DType.F32, COLS), model(3, DType.F32, COLS), new Group("all", 1, 0, false));
  private final Parameter wHalf = new Parameter("half", half, dhalf, new Group("all", 1, 0, false));

  TapeTest() {
    Random random = new Random(3);
    Tensors.fill(x, random.doubles(ROWS * COLS, -1, 1).toArray());
    Tensors.fill(w.value(), random.doubles(COLS, -1, 1).toArray());
    Tensors.fill(half, random.doubles(COLS / 2, -1, 1).toArray());
  }

  @AfterEach
  void close() {
    memory.close();
    ws.close();
    cpu.close();
  }

  private Tensor model(int slot, DType t, int... dims) {
    return Tensor.of(memory, slot * 1024L, t, Shape.of(dims));
  }

  private Var leaf(Tape tape) {
    dx.segment().fill((byte) 0xFF);
    return tape.leaf(x, new Grad(dx, false));
  }

  private Tensor ones(Var y) {
    Tensor dy = ws.alloc(DType.F32, y.shape());
    double[] one = new double[(int) y.shape().elements()];
    Arrays.fill(one, 1);
    Tensors.fill(dy, one);
    return dy;
  }

  @Test
  void theSameParameterIsTheSameVariable() {
    Tape tape = new Tape(ws);
    assertThat(tape.param(w)).isSameAs(tape.param(w));
    assertThat(tape.param(wHalf)).isNotSameAs(tape.param(w));
  }

  @Test
  void aNodesMemoryIsReleasedAsSoonAsItsClosureHasRun() {
    Tape tape = new Tape(ws);
    Var a = Functional.rmsNorm(leaf(tape), tape.param(w), EPS);
    Var b = Functional.rmsNorm(a, tape.param(w), EPS);
    long forward = ws.liveBytes();
    Tensor dy = ones(b);
    tape.backward(List.of(b), List.of(dy));
    // What stays: the root's value and its gradient.
    assertThat(ws.liveBytes()).isEqualTo(512);
    assertThat(forward).isEqualTo(4 * 256);
    b.value().segment();
    assertThatThrownBy(() -> a.value().segment()).hasMessageContaining("released");
    assertThat(Tensors.toDoubles(dx)).doesNotContain(Double.NaN);
  }

  /** Memory of a scope that has closed, of which a recorded closure still wants to read. */
  @Test
  void whatDiesBeforeTheTapeIsDoneWithItSaysWhoseItWasAndWhatToDo() {
    Tape tape = new Tape(ws);
    Var y;
    try (Workspace.Scope scope = ws.scope()) {
      Tensor gone = ws.alloc(DType.F32, Shape.of(ROWS, COLS), "my own input");
      gone.copyFrom(x);
      y = Functional.rmsNorm(tape.constant(gone), tape.param(w), EPS);
      scope.keep(y.value());
    }
    Tensor dy = ones(y);
    assertThatThrownBy(() -> tape.backward(List.of(y), List.of(dy)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContainingAll(
            "F32[%d, %d] used after its memory was released (it belonged to my own input"
                .formatted(ROWS, COLS),
            "Tape.leaf",
            "docs/memory.md");
  }

  @Test
  void inferenceRecordsNothing() {
    Tape tape = Tape.inference(ws);
    Var y = Functional.rmsNorm(tape.constant(x), tape.param(w), EPS);
    assertThat(y.requiresGrad()).isFalse();
    assertThat(tape.names()).isEmpty();
  }

  @Test
  void aNodeThatNobodyUsedIsSkipped() {
    Tape tape = new Tape(ws);
    Var in = leaf(tape);
    Var used = Functional.rmsNorm(in, tape.param(w), EPS);
    Functional.rmsNorm(in, tape.param(w), EPS);
    assertThat(tape.names()).containsExactly("rms_norm", "rms_norm");
    tape.backward(List.of(used), List.of(ones(used)));
    double[] once = Tensors.toDoubles(dx);

    ws.reset();
    Tape again = new Tape(ws);
    Var y = Functional.rmsNorm(leaf(again), again.param(w), EPS);
    again.backward(List.of(y), List.of(ones(y)));
    assertThat(Tensors.toDoubles(dx)).isEqualTo(once);
  }

  @Test
  void partsOfASplitWriteTheirGradientsInPlaceAndUnusedOnesAreZero() {
    double[] both = splitGradient(0, 1);
    double[] left = splitGradient(0);
    double[] right = splitGradient(1);
    assertThat(both).doesNotContain(Double.NaN);
    for (int i = 0; i < both.length; i++) {
      boolean inLeft = i % COLS < COLS / 2;
      assertThat(left[i]).isEqualTo(inLeft ? both[i] : 0);
      assertThat(right[i]).isEqualTo(inLeft ? 0 : both[i]);
    }
  }

  /** The gradient of x, of whose two halves the given ones are normalised. */
  private double[] splitGradient(int... used) {
    ws.reset();
    Tape tape = new Tape(ws);
    Var in = leaf(tape);
    Var y =
        tape.record(
            "identity",
            x,
            Tape.inputs(in),
            out -> Tensors.fill(requireNonNull(in.grad()).tensor(), Tensors.toDoubles(out.dy())));
    List<Var> parts = y.split(1, COLS / 2, COLS / 2);
    List<Var> roots =
        Arrays.stream(used)
            .mapToObj(
                i ->
                    Functional.rmsNorm(
                        parts.get(i).reshape(ROWS, 1, COLS / 2), tape.param(wHalf), EPS))
            .toList();
    tape.backward(roots, roots.stream().map(this::ramp).toList());
    return Tensors.toDoubles(dx);
  }

  private Tensor ramp(Var y) {
    Tensor dy = ws.alloc(DType.F32, y.shape());
    double[] v = new double[(int) y.shape().elements()];
    for (int i = 0; i < v.length; i++) {
      v[i] = 1 + i * 0.25;
    }
    Tensors.fill(dy, v);
    return dy;
  }

  @Test
  void aVariableAndItsPartsMayBothBeUsedInAnyOrder() {
    double[] wholeOnly = gradientThrough(true, false, false);
    double[] partOnly = gradientThrough(false, true, false);
    double[] sum = new double[wholeOnly.length];
    for (int i = 0; i < sum.length; i++) {
      sum[i] = (float) wholeOnly[i] + (float) partOnly[i];
    }
    assertThat(partOnly[0]).isZero();
    assertThat(gradientThrough(true, true, false)).containsExactly(sum, offset(1e-6));
    assertThat(gradientThrough(true, true, true)).containsExactly(sum, offset(1e-6));
  }

  /**
   * The gradient of x where it is normalised as a whole, or its right half is, or both in either
   * order.
   */
  private double[] gradientThrough(boolean useWhole, boolean usePart, boolean partFirst) {
    ws.reset();
    Tape tape = new Tape(ws);
    Var in = leaf(tape);
    Var y =
        tape.record(
            "identity",
            x,
            Tape.inputs(in),
            out -> Tensors.fill(requireNonNull(in.grad()).tensor(), Tensors.toDoubles(out.dy())));
    Var right = y.split(1, COLS / 2, COLS / 2).get(1);
    List<Var> roots = new ArrayList<>();
    if (usePart && partFirst) {
      roots.add(Functional.rmsNorm(right, tape.param(wHalf), EPS));
    }
    if (useWhole) {
      roots.add(Functional.rmsNorm(y, tape.param(w), EPS));
    }
    if (usePart && !partFirst) {
      roots.add(Functional.rmsNorm(right, tape.param(wHalf), EPS));
    }
    tape.backward(roots, roots.stream().map(this::ramp).toList());
    return Tensors.toDoubles(dx);
  }

  @Test
  void aRecomputedBlockHasTheSameGradientsToTheBit() {
    double[] plain = blockGradient(x -> twoNorms(x));
    double[] wPlain = Tensors.toDoubles(dw);
    dw.segment().fill((byte) 0);
    double[] again = blockGradient(x -> Recompute.block(x, this::twoNorms));
    assertThat(again).isEqualTo(plain);
    assertThat(Tensors.toDoubles(dw)).isEqualTo(wPlain);
  }

  private Var twoNorms(Var v) {
    Var a = Functional.rmsNorm(v, v.tape().param(w), EPS);
    return Functional.rmsNorm(a, v.tape().param(w), EPS);
  }

  private double[] blockGradient(UnaryOperator<Var> block) {
    ws.reset();
    Tape tape = new Tape(ws);
    Var y = block.apply(Functional.rmsNorm(leaf(tape), tape.param(w), EPS));
    tape.backward(List.of(y), List.of(ramp(y)));
    return Tensors.toDoubles(dx);
  }

  @Test
  void theRootMustBeOneNumberThatDependsOnAParameter() {
    Tape tape = new Tape(ws);
    Var y = Functional.rmsNorm(leaf(tape), tape.param(w), EPS);
    assertThatThrownBy(() -> tape.backward(y)).hasMessageContaining("one F32 number");
    Var constant = tape.constant(ws.alloc(DType.F32, Shape.of()));
    assertThatThrownBy(() -> tape.backward(constant)).hasMessageContaining("no parameter");
  }

  /** What a function that nobody tracks has requested belongs to the next that is. */
  @Test
  void memoryOfConstantsIsReleasedWithTheNodeThatReadsThem() {
    ws.reset();
    Tape tape = new Tape(ws);
    Var frozen = Algebra.add(tape.constant(x), tape.constant(x));
    assertThat(ws.isAlive(0)).isTrue();
    Var y = Functional.rmsNorm(frozen, tape.param(w), EPS);
    tape.backward(List.of(y), List.of(ramp(y)));
    assertThat(ws.isAlive(0)).isFalse();
  }
}
