package dev.javelin.bench;

import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Glu;
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

/** SwiGLU on packed [rows, 2·F], fp32. Forward moves 12·R·F bytes. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class SwiGluBenchmark {
  @Param({"768x352", "4096x1024", "2048x2048"})
  public String shape;

  private Tensor gate;
  private Tensor up;
  private Tensor y;
  private Tensor dy;
  private Grad dgate;
  private Grad dup;

  @Setup
  public void allocate(Operands operands) {
    int rows = Integer.parseInt(shape.split("x")[0]);
    int hidden = Integer.parseInt(shape.split("x")[1]);
    Tensor packed = operands.random(rows, 2 * hidden);
    Tensor dPacked = operands.random(rows, 2 * hidden);
    gate = packed.slice(1, 0, hidden);
    up = packed.slice(1, hidden, 2 * hidden);
    y = operands.random(rows, hidden);
    dy = operands.random(rows, hidden);
    dgate = new Grad(dPacked.slice(1, 0, hidden), false);
    dup = new Grad(dPacked.slice(1, hidden, 2 * hidden), false);
  }

  @Benchmark
  public Tensor forward(Operands operands) {
    Glu.forward(y, gate, up, Activation.SILU);
    return y;
  }

  @Benchmark
  public Grad backward(Operands operands) {
    Glu.backward(dgate, dup, dy, gate, up, Activation.SILU);
    return dgate;
  }
}
