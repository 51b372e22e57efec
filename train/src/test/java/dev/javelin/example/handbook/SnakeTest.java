package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The handbook's operator against its formula and central differences, on both devices. */
class SnakeTest {
  private static final String PAGE = "custom-operator.md";

  @TempDir static Path dir;

  private record Result(float[] y, float[] dx, float[] da) {}

  /** Forward and backward of Σ w·snake(x, a), x used twice so that its gradient is added up. */
  private static Result run(Device device, float[] x, float[] a, float[] w) {
    Shape shape = Shape.of(x.length / a.length, a.length);
    try (Workspace workspace = Workspace.on(device, 4 << 20)) {
      Tensor xs = tensor(workspace, shape, x);
      Tensor as = tensor(workspace, Shape.of(a.length), a);
      Tensor ws = tensor(workspace, shape, w);
      Tensor dx = tensor(workspace, shape, new float[x.length]);
      Tensor da = tensor(workspace, Shape.of(a.length), new float[a.length]);
      Tape tape = new Tape(workspace);
      Var input = tape.leaf(xs, new Grad(dx, false));
      Var y = Snake.snake(input, tape.leaf(as, new Grad(da, false)));
      float[] value = y.value().toFloats();
      tape.backward(List.of(Algebra.add(y, input)), List.of(ws));
      return new Result(value, dx.toFloats(), da.toFloats());
    }
  }

  private static Tensor tensor(Workspace workspace, Shape shape, float[] values) {
    Tensor t = workspace.alloc(DType.F32, shape, "the test");
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }

  private static float[] draw(Random random, int n, double from) {
    float[] v = new float[n];
    for (int i = 0; i < n; i++) {
      v[i] = (float) (from + random.nextDouble());
    }
    return v;
  }

  private static double snake(double x, double a) {
    return x + Math.pow(Math.sin(a * x), 2) / a;
  }

  private static void check(Device device, int rows, int cols) {
    Random random = new Random(31L * rows + cols);
    float[] x = draw(random, rows * cols, -0.5);
    float[] a = draw(random, cols, 0.5);
    float[] w = draw(random, rows * cols, -0.5);
    Result got = run(device, x, a, w);
    double h = 1e-5; // of central differences in double, whose error is about h²
    double[] da = new double[cols];
    for (int i = 0; i < x.length; i++) {
      double f = a[i % cols];
      assertThat((double) got.y[i]).isCloseTo(snake(x[i], f), within(1e-6));
      double slope = (snake(x[i] + h, f) - snake(x[i] - h, f)) / (2 * h);
      assertThat((double) got.dx[i]).isCloseTo(w[i] * (slope + 1), within(2e-6));
      da[i % cols] += w[i] * (snake(x[i], f + h) - snake(x[i], f - h)) / (2 * h);
    }
    for (int c = 0; c < cols; c++) { // a sum of `rows` terms below 1, in fp32
      assertThat((double) got.da[c]).isCloseTo(da[c], within(1e-6 * rows));
    }
  }

  @ParameterizedTest
  @CsvSource({"1,1", "2,7", "127,33", "1000,3"})
  void theCpuComputesItsFormulaAndItsGradient(int rows, int cols) {
    try (Cpu cpu = Cpu.open(2)) {
      check(cpu, rows, cols);
    }
  }

  @Test
  void threadsChangeNoBit() {
    Random random = new Random(1);
    float[] x = draw(random, 33 * 127, -0.5);
    float[] a = draw(random, 33, 0.5);
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      Result alone = run(one, x, a, x);
      Result team = run(three, x, a, x);
      assertThat(team.dx).isEqualTo(alone.dx);
      assertThat(team.da).isEqualTo(alone.da);
    }
  }

  @Test
  @RequiresEmulator
  void theKernelsComputeTheSame() throws Exception {
    Path images = Files.createDirectories(dir.resolve("images"));
    Process compiler =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "../native/src/build/java/CompileCuda.java",
                "src/test/cuda/handbook",
                images.toString(),
                dir.resolve("work").toString(),
                "../native/src/main/cpp/emulator",
                "--images",
                "emulator:unchecked")
            .redirectErrorStream(true)
            .start();
    String said = new String(compiler.getInputStream().readAllBytes());
    assertThat(compiler.waitFor()).as(said).isZero();
    try (Cuda cuda = Cuda.emulated(new OwnKernels(images).or(new BundledKernels()))) {
      check(cuda, 1, 1);
      check(cuda, 33, 127);
      argumentsAreHeldAgainstTheKernel(cuda);
    }
  }

  private static void argumentsAreHeldAgainstTheKernel(Cuda cuda) throws IOException {
    Tensor host = Tensor.of(new float[] {1}, 1, 1);
    Pages.says(
        PAGE,
        "kernel snake_forward: takes 5 arguments, got 0",
        () -> cuda.kernel("snake_forward").threads(1).run());
    Pages.says(
        PAGE,
        "kernel snake_forward: parameter 0 takes 8 bytes, got an argument of 4",
        () -> cuda.kernel("snake_forward").threads(1).i32(1));
    Pages.says(
        PAGE,
        "lies in host memory, which a kernel cannot read: copy it to the GPU first",
        () -> cuda.kernel("snake_forward").threads(1).ptr(host));
    Pages.says(
        PAGE,
        "the image of kernels 'snake' has no kernel snake_sideways (snake.cu)",
        () -> cuda.kernel("snake_sideways"));
  }

  @Test
  @RequiresEmulator
  void whereThereIsNoImageTheErrorSaysWhatWasSought() throws IOException {
    try (Cuda cuda = Cuda.emulated(new OwnKernels(dir.resolve("none")).or(new BundledKernels()))) {
      Pages.says(
          PAGE,
          "no image with kernel snake_forward (looked for snake_forward, snake)",
          () -> cuda.kernel("snake_forward"));
    }
  }

  @Test
  void shapesAndTypesAreChecked() throws IOException {
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu, 1 << 20)) {
      Tape tape = Tape.inference(workspace);
      Var x = tape.constant(tape.alloc(DType.F32, Shape.of(2, 3)));
      Pages.says(
          PAGE,
          "snake: a must be [3]",
          () -> Snake.snake(x, tape.constant(tape.alloc(DType.F32, Shape.of(2)))));
    }
  }
}
