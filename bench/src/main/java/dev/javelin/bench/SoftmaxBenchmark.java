package dev.javelin.bench;

import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Softmax;
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
import org.openjdk.jmh.annotations.Warmup;

/** Softmax of rows, fp32. Forward moves 8·R·C bytes. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class SoftmaxBenchmark {
  @Param({"3072x64", "12288x256", "2048x4096"})
  public String shape;

  private Tensor x;
  private Tensor y;
  private Tensor dy;
  private Grad dx;

  @Setup
  public void allocate(Operands operands) {
    int rows = Integer.parseInt(shape.split("x")[0]);
    int cols = Integer.parseInt(shape.split("x")[1]);
    x = operands.random(rows, cols);
    y = operands.random(rows, cols);
    dy = operands.random(rows, cols);
    dx = new Grad(operands.random(rows, cols), false);
  }

  @Benchmark
  public Tensor forward(Operands operands) {
    Softmax.forward(y, x);
    return y;
  }

  @Benchmark
  public Grad backward(Operands operands) {
    Softmax.backward(dx, dy, y);
    return dx;
  }
}
