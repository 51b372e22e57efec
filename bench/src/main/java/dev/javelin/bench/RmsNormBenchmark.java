package dev.javelin.bench;

import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AddRmsNorm;
import dev.javelin.tensor.op.RmsNorm;
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

/** RMSNorm of [rows, cols], fp32, also with the residual addition. Forward moves 8·R·C bytes. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class RmsNormBenchmark {
  @Param({"768x128", "4096x384", "2048x768"})
  public String shape;

  private Tensor x;
  private Tensor h;
  private Tensor sum;
  private Tensor y;
  private Tensor w;
  private Tensor rstd;
  private Grad dx;
  private Grad dw;

  @Setup
  public void allocate(Operands operands) {
    int rows = Integer.parseInt(shape.split("x")[0]);
    int cols = Integer.parseInt(shape.split("x")[1]);
    x = operands.random(rows, cols);
    h = operands.random(rows, cols);
    sum = operands.random(rows, cols);
    y = operands.random(rows, cols);
    w = operands.random(cols);
    rstd = operands.random(rows);
    dx = new Grad(operands.random(rows, cols), false);
    dw = new Grad(operands.random(cols), true);
  }

  @Benchmark
  public Tensor forward(Operands operands) {
    RmsNorm.forward(y, rstd, x, w, 1e-5f);
    return y;
  }

  @Benchmark
  public Tensor forwardWithResidual(Operands operands) {
    AddRmsNorm.forward(sum, y, rstd, x, h, w, 1e-5f);
    return y;
  }

  @Benchmark
  public Grad backward(Operands operands) {
    RmsNorm.backward(dx, dw, y, x, w, rstd);
    return dx;
  }
}
