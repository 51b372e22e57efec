package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A chain of operators, forward and backward, gives the same bits whatever the order in which the
 * threads of the emulated device run, and as a device of another compute capability; and it stays
 * within its memory where each allocation ends at a guard page.
 */
@RequiresEmulator
class ThreadOrderTest {
  private static final int VOCABULARY = 11;

  @AfterEach
  void restore() {
    TestCuda.set("order", "forward");
    TestCuda.set("capability", "9.0");
    TestCuda.set("guard", "0");
  }

  static Stream<Arguments> sizes() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            t ->
                Stream.of(
                    Arguments.of(t, 1, 1),
                    Arguments.of(t, 2, 7),
                    Arguments.of(t, 31, 33),
                    Arguments.of(t, 7, 127),
                    Arguments.of(t, 5, 1000),
                    Arguments.of(t, 3, 2056)));
  }

  @ParameterizedTest
  @MethodSource("sizes")
  void neitherOrderNorCapabilityChangesABit(DType t, int rows, int cols) {
    List<Shape> weights = new ArrayList<>(Collections.nCopies(7, Shape.of(cols)));
    weights.addFirst(Shape.of(VOCABULARY, cols));
    check(t, weights, (w, random, state) -> chain(w, rows, cols, random, state));
  }

  static Stream<Arguments> heads() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            t ->
                Stream.of(
                    Arguments.of(t, 2, 7, 3, 1, 6),
                    Arguments.of(t, 1, 33, 4, 2, 16),
                    Arguments.of(t, 1, 5, 2, 2, 64),
                    Arguments.of(t, 2, 3, 1, 1, 576)));
  }

  @ParameterizedTest
  @MethodSource("heads")
  void norDoTheyWhereHeadsTurn(DType t, int batch, int seqLen, int heads, int kvHeads, int dim) {
    int width = (heads + 2 * kvHeads) * dim;
    List<Shape> weights =
        List.of(
            Shape.of(batch, seqLen, width),
            Shape.of(seqLen, dim / 2),
            Shape.of(dim),
            Shape.of(dim));
    check(t, weights, (w, random, state) -> turned(w, heads, kvHeads));
  }

  /** From parameters to results. */
  private interface Body {
    List<Var> run(Var[] w, Random random, StepState state);
  }

  private static void check(DType t, List<Shape> weights, Body body) {
    double[][] expected = run(t, weights, body);
    for (String order : List.of("reverse", "12345")) {
      TestCuda.set("order", order);
      assertThat(run(t, weights, body)).as("order %s", order).isDeepEqualTo(expected);
    }
    TestCuda.set("order", "forward");
    TestCuda.set("capability", "8.0");
    TestCuda.set("guard", "1");
    assertThat(run(t, weights, body)).as("capability 8.0").isDeepEqualTo(expected);
  }

  private static double[][] run(DType t, List<Shape> weights, Body body) {
    Random random = new Random(weights.getFirst().last());
    List<double[]> results = new ArrayList<>();
    List<Memory> memories = new ArrayList<>();
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace ws = Workspace.poisoned(cuda, 1 << 20);
        StepState state = StepState.on(cuda)) {
      Tape tape = new Tape(ws);
      List<Tensor> gradients = new ArrayList<>();
      Var[] w = new Var[weights.size()];
      for (int i = 0; i < w.length; i++) {
        Shape shape = weights.get(i);
        double[] values = random.doubles(shape.elements(), -1, 1).toArray();
        Memory value = cuda.allocate(t.bytes(shape.elements()));
        Memory grad = cuda.allocate(DType.F32.bytes(shape.elements()));
        memories.add(value);
        memories.add(grad);
        gradients.add(Tensor.of(grad, 0, DType.F32, shape));
        w[i] =
            tape.param(
                new Parameter(
                    "w" + i,
                    Tensors.of(value, 0, t, shape, values),
                    gradients.get(i),
                    new Group("all", 1, 0, false)));
      }
      List<Var> outs = body.run(w, random, state);
      List<Tensor> dys = new ArrayList<>();
      for (Var out : outs) {
        results.add(Tensors.toDoubles(out.value()));
        Tensor dy = ws.alloc(out.value().dtype(), out.shape());
        Tensors.fill(dy, random.doubles(dy.elements(), -1, 1).toArray());
        dys.add(dy);
      }
      tape.backward(outs, dys);
      gradients.forEach(g -> results.add(Tensors.toDoubles(g)));
    } finally {
      memories.forEach(Memory::close);
    }
    return results.toArray(double[][]::new);
  }

  /** Every kernel of these operators that a size can reach. */
  private static List<Var> chain(Var[] w, int rows, int cols, Random random, StepState state) {
    Tape tape = w[0].tape();
    Tensor ids = ids(tape, rows, VOCABULARY, random);
    Tensor targets = ids(tape, rows, cols, random);
    LossOptions options = new LossOptions(LossOptions.IGNORED, 0.1f, 1e-3f, 5);
    Var x = Functional.embedding(w[0], ids);
    Var h = Functional.activate(Functional.rmsNorm(x, w[1], 1e-5f), Activation.GELU);
    AddNorm a = Functional.addRmsNorm(x, h, w[2], 1e-5f);
    Var dropped = Functional.dropout(a.norm(), 0.2f, 1, state);
    AddNorm b = Functional.addLayerNorm(a.sum(), dropped, w[4], w[5], 1e-5f);
    Var g =
        Functional.glu(Functional.layerNorm(b.sum(), w[6], w[7], 1e-5f), b.norm(), Activation.SILU);
    Var z = Algebra.add(Algebra.multiply(Functional.softmax(g), w[3]), Functional.logSoftmax(g));
    Var losses = Losses.crossEntropy(z, targets, options);
    return List.of(
        z,
        Algebra.max(z, -1),
        Algebra.mean(z, false, 0),
        Algebra.sum(z, false, 1),
        Losses.meanLoss(losses, targets, options));
  }

  /** Queries and keys of a packed tensor: normalised and turned, then turned as neighbours. */
  private static List<Var> turned(Var[] w, int heads, int kvHeads) {
    Tape tape = w[0].tape();
    Shape angles = w[1].shape();
    Tensor cos = tape.alloc(DType.F32, angles);
    Tensor sin = tape.alloc(DType.F32, angles);
    double[] values = Tensors.toDoubles(w[1].value());
    Tensors.fill(cos, Arrays.stream(values).map(Math::cos).toArray());
    Tensors.fill(sin, Arrays.stream(values).map(Math::sin).toArray());
    Rotation r = Rotation.of(cos, sin);
    Heads x = Functional.heads(w[0], heads, kvHeads);
    Heads y = Functional.qkNormRope(x, w[2], w[3], 1e-5f, r);
    Heads z = Functional.qkRope(y, r.pairing(Rotation.Pairing.NEIGHBOURS));
    return List.of(z.q(), z.k());
  }

  private static Tensor ids(Tape tape, int n, int limit, Random random) {
    Tensor t = tape.alloc(DType.I32, Shape.of(n));
    Tensors.fill(t, random.ints(n, 0, limit).asDoubleStream().toArray());
    return t;
  }
}
