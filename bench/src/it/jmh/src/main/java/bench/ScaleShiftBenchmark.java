package bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** Moves {@code 8·rows·cols} bytes a call: x is read and y written; a and b stay in the cache. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {
      "--add-modules=jdk.incubator.vector",
      "--enable-native-access=ALL-UNNAMED",
      "-Xmx512m"
    })
public class ScaleShiftBenchmark {
  @Param({"1024"})
  public int rows;

  @Param({"127", "1024", "16384"}) // 1 MB, 8 MB and 128 MB
  public int cols;

  @Param({"1"})
  public int threads;

  private Cpu cpu;
  private Workspace workspace;
  private Tensor x;
  private Tensor a;
  private Tensor b;
  private Tensor y;

  /** Computes both once, and ends where they differ: what is wrong need not be fast. */
  @Setup
  public void open() {
    cpu = Cpu.open(threads);
    workspace = Workspace.on(cpu);
    x = draw(rows, cols);
    a = draw(1, cols);
    b = draw(1, cols);
    y = workspace.alloc(DType.F32, Shape.of(rows, cols));
    float[] loop = plain().toFloats();
    if (!Arrays.equals(loop, vectors().toFloats())) {
      throw new AssertionError("the two kernels differ");
    }
  }

  private Tensor draw(int rows, int cols) {
    SplittableRandom random = new SplittableRandom(31L * rows + cols);
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble(-1, 1);
    }
    Tensor t = workspace.alloc(DType.F32, Shape.of(rows, cols));
    t.copyFrom(Tensor.of(values, rows, cols));
    return t;
  }

  @TearDown
  public void close() {
    workspace.close();
    cpu.close();
  }

  @Benchmark
  public Tensor plain() {
    ScaleShift.plain(cpu, y, x, a, b);
    return y;
  }

  @Benchmark
  public Tensor vectors() {
    ScaleShift.vectors(cpu, y, x, a, b);
    return y;
  }
}
