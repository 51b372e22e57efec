package dev.javelin.bench;

import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.LossOptions;
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

/** Cross-entropy of rows of logits, fp32. Forward reads 4·R·V bytes, backward moves 8·R·V. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class CrossEntropyBenchmark {
  @Param({"768x65", "2048x4096", "512x50257"})
  public String shape;

  private Tensor logits;
  private Tensor targets;
  private Tensor losses;
  private Tensor stats;
  private Tensor dy;
  private Grad dlogits;

  @Setup
  public void allocate(Operands operands) {
    int rows = Integer.parseInt(shape.split("x")[0]);
    int vocabulary = Integer.parseInt(shape.split("x")[1]);
    logits = operands.random(rows, vocabulary);
    targets = operands.ids(vocabulary, rows);
    losses = operands.random(rows);
    stats = operands.random(rows, 2);
    dy = operands.random(rows);
    dlogits = new Grad(operands.random(rows, vocabulary), false);
    CrossEntropy.forward(losses, stats, logits, targets, LossOptions.PLAIN);
  }

  @Benchmark
  public Tensor forward(Operands operands) {
    CrossEntropy.forward(losses, stats, logits, targets, LossOptions.PLAIN);
    return losses;
  }

  @Benchmark
  public Grad backward(Operands operands) {
    CrossEntropy.backward(dlogits, dy, logits, targets, stats, LossOptions.PLAIN);
    return dlogits;
  }
}
