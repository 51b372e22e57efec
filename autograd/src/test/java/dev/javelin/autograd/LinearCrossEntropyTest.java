package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LinearCrossEntropy;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class LinearCrossEntropyTest {
  private static final LossOptions ALL = new LossOptions(LossOptions.IGNORED, 0.1f, 1e-2f, 3f);

  static List<Golden.Case> golden() {
    return Golden.cases("cross_entropy", c -> c.has("weight"));
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    c.weights("weight")
        .cuda()
        .check(
            in -> {
              Tensor targets = in.constant("targets");
              Var losses =
                  Losses.linearCrossEntropyLosses(
                      in.get("x"), in.get("weight"), targets, LossOptions.PLAIN);
              return Losses.meanLoss(losses, targets, LossOptions.PLAIN);
            });
  }

  static Stream<Arguments> sizesAndOptions() {
    return Stream.of(
        Arguments.of(1, 1, 2, LossOptions.PLAIN),
        Arguments.of(7, 5, 31, LossOptions.PLAIN),
        Arguments.of(6, 33, 17, ALL),
        Arguments.of(31, 16, 48, LossOptions.PLAIN.withLabelSmoothing(0.2f)),
        Arguments.of(3, 2, 1027, LossOptions.PLAIN.withZLoss(1e-2f)));
  }

  @ParameterizedTest
  @MethodSource("sizesAndOptions")
  void lossesMatchTheirFormulaAndTheirDerivatives(
      int rows, int cols, int vocabulary, LossOptions options) {
    OpCheck.of(
            "linear_cross_entropy",
            in -> Losses.linearCrossEntropyLosses(in[0], in[1], in[2].value(), options))
        .input("x", rows, cols)
        .weight("w", vocabulary, cols)
        .ids("targets", CrossEntropyTest.targets(rows, vocabulary), rows)
        .oracle(in -> oracle(in[0], in[1], in[2], cols, options))
        .tolerance(3)
        .cuda()
        .run();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 16, 30, 31, 64})
  void chunksJoinWithoutASeam(int chunk) {
    assertChunks(Cpu.open(2), DType.F32, 31, 37, chunk, 2e-6);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 16, 30, 31, 64})
  @RequiresCuda
  void chunksJoinWithoutASeamOnCuda(int chunk) {
    // Each element of the logits' gradient is rounded once, by 2^-9 of itself at most, and dx too.
    assertChunks(TestCuda.open(new BundledKernels()), DType.BF16, 31, 37, chunk, 0x1p-8);
  }

  /**
   * On CUDA a block takes 8192 columns at a time, and what it writes lies over what it reads. It
   * keeps what shared memory takes of a row, 57 thousand columns at most.
   */
  @ParameterizedTest
  @CsvSource({
    "F32, 20011, 2e-6",
    "BF16, 20011, 0x1p-8",
    "BF16, 65003, 0x1p-8",
    "F16, 20011, 0x1p-11"
  })
  @RequiresCuda
  void rowsOfManyTilesKeepTheirLogitsUntilTheyAreRead(
      DType type, int vocabulary, double tolerance) {
    assertChunks(TestCuda.open(new BundledKernels()), type, 5, vocabulary, 2, tolerance);
  }

  /** Every row's loss, and the sums over all rows. */
  private static void assertChunks(
      Device device, DType type, int rows, int vocabulary, int chunk, double tolerance) {
    int cols = 5;
    var random = new Random(5);
    double[] x = random.doubles(rows * cols, -1, 1).map(v -> Tensors.round(v, type)).toArray();
    double[] w =
        random.doubles(vocabulary * cols, -1, 1).map(v -> Tensors.round(v, type)).toArray();
    double[] targets = random.ints(rows, 0, vocabulary).asDoubleStream().toArray();
    double[] dy = random.doubles(rows, -1, 1).map(v -> Tensors.round(v, DType.F32)).toArray();
    try (Fixture f = new Fixture(device, type, x, w, targets, cols)) {
      Shape all = LinearCrossEntropy.scratch(device, rows, vocabulary);
      Tensor losses = f.ws.alloc(DType.F32, Shape.of(rows));
      Tensor upstream = f.ws.alloc(DType.F32, Shape.of(rows));
      Tensors.fill(upstream, dy);
      LinearCrossEntropy.forwardBackward(
          losses,
          f.ws.alloc(DType.F32, Shape.of(rows, 2)),
          new Grad(f.dx, false),
          new Grad(f.dw, false),
          upstream,
          f.xValue,
          f.w.value(),
          f.targets,
          LossOptions.PLAIN,
          f.ws.alloc(DType.F32, Shape.of(chunk, all.dim(1))));

      assertClose(Tensors.toDoubles(losses), oracle(x, w, targets, cols, LossOptions.PLAIN), 2e-6);
      double[] dw = new double[w.length];
      double[] dx = new double[x.length];
      addGradients(dx, dw, x, w, targets, dy, cols);
      assertClose(Tensors.toDoubles(f.dw), dw, tolerance);
      assertClose(Tensors.toDoubles(f.dx), dx, tolerance);
    }
  }

  /** {@code dlogits = dy·(softmax - onehot)}, {@code dx += dlogits·w}, {@code dw += dlogitsᵀ·x}. */
  private static void addGradients(
      double[] dx, double[] dw, double[] x, double[] w, double[] targets, double[] dy, int cols) {
    int vocabulary = w.length / cols;
    for (int r = 0; r < dy.length; r++) {
      double[] p = new double[vocabulary];
      double sum = 0;
      for (int v = 0; v < vocabulary; v++) {
        double logit = 0;
        for (int c = 0; c < cols; c++) {
          logit += x[cols * r + c] * w[cols * v + c];
        }
        p[v] = Math.exp(logit);
        sum += p[v];
      }
      for (int v = 0; v < vocabulary; v++) {
        double d = dy[r] * (p[v] / sum - (v == (int) targets[r] ? 1 : 0));
        for (int c = 0; c < cols; c++) {
          dw[cols * v + c] += d * x[cols * r + c];
          dx[cols * r + c] += d * w[cols * v + c];
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "32768,  50304, 4096", // 300/4096 of the products' time goes into the weight's traffic
    " 8192,  32000, 4096",
    " 5000,  50304, 2560", // two equal chunks, in tiles
    " 4097,  50304, 2176",
    " 4095,  50304, 4095", // one
    "    1,     65,    1",
    "  300, 128256,  300",
    "32768,    256, 32768", // 32 MiB of logits are no reason for a second chunk
    "32768, 128256, 2048", // 1 GiB of them are
    "  999, 999999,  256",
    "  999, 9999999, 128"
  })
  void aGpusRowsHideTheWeightsTrafficBehindTheProducts(int rows, int vocabulary, int expected) {
    assertThat(LinearCrossEntropy.gpuRows(rows, vocabulary)).isEqualTo(expected);
  }

  @Test
  void aGpusChunksAreAsFewAsTheirMemoryAllows() {
    var random = new Random(7);
    for (int i = 0; i < 1000; i++) {
      int rows = 1 + random.nextInt(100_000);
      int vocabulary = 2 + random.nextInt(300_000);
      int chunk = LinearCrossEntropy.gpuRows(rows, vocabulary);
      String sizes = rows + " rows of " + vocabulary;
      assertThat(chunk).as(sizes).isBetween(1, rows);
      assertThat(4L * chunk * vocabulary).as(sizes).isLessThanOrEqualTo(1L << 30);
      if (chunk < rows) {
        assertThat(chunk % 128).as(sizes).isZero();
        int larger = Math.ceilDiv(rows, Math.ceilDiv(rows, chunk) - 1); // of one chunk fewer
        long bytes = 4L * ((larger + 127) / 128 * 128) * vocabulary;
        assertThat(larger > 4096 && bytes > 256 << 20 || bytes > 1 << 30).as(sizes).isTrue();
      }
    }
  }

  /** The only memory of a step whose size depends on the device. */
  @Test
  @RequiresCuda
  void theWorkspacesPeakDiffersFromTheCpusByTheRowsOfLogitsAlone() {
    int rows = 258; // of a vocabulary that allows 256 at a time on a CPU
    int vocabulary = 33_024; // rows of whole vectors and whole units of memory
    long cpu = peakOfLosses(Cpu.open(2), rows, vocabulary);
    long gpu = peakOfLosses(TestCuda.open(new BundledKernels()), rows, vocabulary);
    assertThat(gpu - cpu).isEqualTo(2 * DType.F32.bytes(vocabulary));
  }

  private static long peakOfLosses(Device device, int rows, int vocabulary) {
    double[] x = new double[rows];
    double[] w = new double[vocabulary];
    try (Fixture f = new Fixture(device, DType.BF16, x, w, new double[rows], 1)) {
      f.state.begin(0, 0, 0, 1f / rows);
      Tape tape = Tape.inference(f.ws);
      Var loss =
          Losses.linearCrossEntropy(
              f.x(tape), tape.param(f.w), f.targets, LossOptions.PLAIN, f.state);
      assertThat(Tensors.toDoubles(loss.value())[0]).isCloseTo(Math.log(vocabulary), within(1e-4));
      return f.ws.peakBytes();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  void theRootFormEqualsTheTwoPassFormTimesTheLossScale(DType type) {
    theRootFormEqualsTheTwoPassForm(() -> Cpu.open(2), type);
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  @RequiresCuda
  void theRootFormEqualsTheTwoPassFormTimesTheLossScaleOnCuda(DType type) {
    theRootFormEqualsTheTwoPassForm(() -> TestCuda.open(new BundledKernels()), type);
  }

  private static void theRootFormEqualsTheTwoPassForm(Supplier<Device> device, DType type) {
    int rows = 13;
    int cols = 9;
    int vocabulary = 21;
    var random = new Random(6);
    double[] x = random.doubles(rows * cols, -1, 1).map(v -> Tensors.round(v, type)).toArray();
    double[] w =
        random.doubles(vocabulary * cols, -1, 1).map(v -> Tensors.round(v, type)).toArray();
    double[] targets =
        java.util.Arrays.stream(CrossEntropyTest.targets(rows, vocabulary))
            .asDoubleStream()
            .toArray();
    try (Fixture root = new Fixture(device.get(), type, x, w, targets, cols);
        Fixture twoPass = new Fixture(device.get(), type, x, w, targets, cols)) {
      for (Fixture f : List.of(root, twoPass)) {
        f.state.restore(new StepState.Carried(256, 0, 0, 0));
        f.state.begin(0, 0, 0, 1f / 11);
        for (int micro = 0; micro < 2; micro++) {
          f.ws.reset();
          Tape tape = new Tape(f.ws);
          Var hidden = f.x(tape);
          Var loss =
              f == root
                  ? Losses.linearCrossEntropy(hidden, tape.param(f.w), f.targets, ALL, f.state)
                  : Losses.stepLoss(
                      Losses.linearCrossEntropyLosses(hidden, tape.param(f.w), f.targets, ALL),
                      f.state);
          tape.backward(List.of(loss), List.of(f.state.lossScaleTensor()));
        }
      }
      assertThat(root.state.loss()).isEqualTo(twoPass.state.loss()).isPositive();
      assertThat(Tensors.toDoubles(root.dx)).isEqualTo(Tensors.toDoubles(twoPass.dx));
      assertThat(Tensors.toDoubles(root.dw)).isEqualTo(Tensors.toDoubles(twoPass.dw));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16", "F16"})
  @RequiresEmulator
  void noOrderOfThreadsChangesABit(DType type) {
    int rows = 5;
    int cols = 9;
    int vocabulary = 4099; // a tile of the gradient's kernel, and some columns
    var random = new Random(8);
    double[] x = random.doubles(rows * cols, -1, 1).toArray();
    double[] w = random.doubles(vocabulary * cols, -1, 1).toArray();
    double[] targets = {4098, LossOptions.IGNORED, 0, 4095, 4096};
    List<double[]> expected = null;
    try {
      for (String order : List.of("forward", "reverse", "777")) {
        try (Fixture f =
            new Fixture(TestCuda.open(new BundledKernels()), type, x, w, targets, cols)) {
          TestCuda.set("order", order);
          TestCuda.set("guard", "1");
          f.state.begin(0, 0, 0, 1f / 4);
          Tape tape = new Tape(f.ws);
          Var loss = Losses.linearCrossEntropy(f.x(tape), tape.param(f.w), f.targets, ALL, f.state);
          tape.backward(loss);
          List<double[]> got =
              List.of(
                  Tensors.toDoubles(loss.value()),
                  Tensors.toDoubles(f.dx),
                  Tensors.toDoubles(f.dw));
          expected = expected == null ? got : expected;
          assertThat(got).as(order).usingRecursiveComparison().isEqualTo(expected);
          assertThat(got.get(1)).doesNotContain(Double.NaN);
        }
      }
    } finally {
      TestCuda.set("order", "forward");
      TestCuda.set("guard", "0");
    }
  }

  @Test
  void inferenceWritesNoGradient() {
    try (Fixture f =
        new Fixture(
            Cpu.open(2),
            DType.F32,
            new double[] {1, 2},
            new double[] {1, 2, 3, 4},
            new double[] {1},
            2)) {
      Tape tape = Tape.inference(f.ws);
      Var loss =
          Losses.linearCrossEntropy(
              f.x(tape), tape.param(f.w), f.targets, LossOptions.PLAIN, f.state);
      assertThat(Tensors.toDoubles(loss.value())[0])
          .isCloseTo(Math.log1p(Math.exp(5 - 11)), within(1e-6));
      assertThat(Tensors.toDoubles(f.dw)).containsOnly(0);
    }
  }

  @Test
  void asATermOfALossTheRootFormIsRefused() {
    try (Fixture f =
        new Fixture(
            Cpu.open(2),
            DType.F32,
            new double[] {1, 2},
            new double[] {1, 2, 3, 4},
            new double[] {1},
            2)) {
      Tape tape = new Tape(f.ws);
      Var loss =
          Losses.linearCrossEntropy(
              f.x(tape), tape.param(f.w), f.targets, LossOptions.PLAIN, f.state);
      Var other = Losses.stepLoss(loss, f.state);
      assertThatThrownBy(() -> tape.backward(other))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("use linearCrossEntropyLosses");
    }
  }

  /** A step on a device, which it owns. */
  private static final class Fixture implements AutoCloseable {
    final Device device;
    final Workspace ws;
    final StepState state;
    final Memory memory;
    final Tensor xValue;
    final Tensor dx;
    final Tensor dw;
    final Tensor targets;
    final Parameter w;

    Fixture(Device device, DType type, double[] x, double[] w, double[] targets, int cols) {
      this.device = device;
      Shape xs = Shape.of(x.length / cols, cols);
      Shape ws = Shape.of(w.length / cols, cols);
      int rows = xs.dim(0);
      this.ws =
          Workspace.poisoned(
              device,
              (1 << 16)
                  + DType.F32.bytes(
                      LinearCrossEntropy.scratch(device, rows, ws.dim(0)).elements()));
      this.state = StepState.on(device);
      this.memory = device.allocate(16 << 20);
      this.xValue = Tensors.of(memory, 0, type, xs, x);
      this.dx = Tensor.of(memory, 4 << 20, type, xs);
      this.dw = Tensor.of(memory, 8 << 20, DType.F32, ws);
      this.targets = Tensors.of(memory, 12 << 20, DType.I32, Shape.of(targets.length), targets);
      Tensor value = Tensors.of(memory, (12 << 20) + (1 << 16), type, ws, w);
      this.w = new Parameter("w", value, dw, new Group("all", 1, 0, false));
    }

    Var x(Tape tape) {
      return tape.leaf(xValue, new Grad(dx, false));
    }

    @Override
    public void close() {
      ws.close();
      state.close();
      memory.close();
      device.close();
    }
  }

  private static void assertClose(double[] got, double[] want, double tolerance) {
    double scale = 0;
    double worst = 0;
    for (int i = 0; i < want.length; i++) {
      scale = Math.max(scale, Math.abs(want[i]));
      worst = Math.max(worst, Math.abs(want[i] - got[i]));
    }
    assertThat(worst).isLessThanOrEqualTo(tolerance * scale);
  }

  private static double[] oracle(
      double[] x, double[] w, double[] targets, int cols, LossOptions options) {
    int rows = x.length / cols;
    int vocabulary = w.length / cols;
    double[] logits = new double[rows * vocabulary];
    for (int r = 0; r < rows; r++) {
      for (int v = 0; v < vocabulary; v++) {
        for (int c = 0; c < cols; c++) {
          logits[r * vocabulary + v] += x[r * cols + c] * w[v * cols + c];
        }
      }
    }
    return CrossEntropyTest.oracle(logits, targets, vocabulary, options);
  }
}
