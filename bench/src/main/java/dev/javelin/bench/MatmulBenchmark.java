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
 * Matrix products, fp32: squares, and the products of a training step of the models 128, 384 and
 * 768 wide. 2·M·N·K FLOPs each.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class MatmulBenchmark {
  @Param({
    "512x512x512-nn",
    "1024x1024x1024-nn",
    "2048x2048x2048-nn",
    "768x384x128-nt",
    "768x128x384-nn",
    "384x128x768-tn",
    "768x65x128-nt",
    "4096x1536x384-nt",
    "4096x384x1536-nn",
    "1536x384x4096-tn",
    "2048x3072x768-nt",
    "2048x768x3072-nn",
    "3072x768x2048-tn"
  })
  public String shape;

  private Runnable product = () -> {};

  @Setup
  public void allocate(Operands operands) {
    product = MatmulShape.parse(shape).on(operands);
  }

  @Benchmark
  public void multiply(Operands operands) {
    product.run();
  }
}
