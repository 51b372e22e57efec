package dev.javelin.bench;

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

/**
 * Causal attention over [B, T, H, D], fp32. Forward does 2·B·H·T²·D FLOPs, backward two and a half
 * times as many.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class AttentionBenchmark {
  @Param({"12x64x4x32", "16x256x6x64", "2x1024x12x64"})
  public String shape;

  private Runnable forward = () -> {};
  private Runnable backward = () -> {};

  @Setup
  public void allocate(Operands operands) {
    forward = OpCase.on(operands, "attention-" + shape);
    backward = OpCase.on(operands, "attention-backward-" + shape);
  }

  @Benchmark
  public void forward() {
    forward.run();
  }

  @Benchmark
  public void backward() {
    backward.run();
  }
}
