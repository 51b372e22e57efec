package dev.javelin.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** A whole training step in fp32: forward, backward, clipping, AdamW. See {@link TrainStep}. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 5, time = 4)
@Measurement(iterations = 5, time = 4)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class TrainStepBenchmark {
  /** The small models take 12 sequences of 64 tokens, the others 16 of 256. */
  @Param({"shakespeare-cpu", "llama-shakespeare-cpu", "shakespeare", "llama-shakespeare"})
  public String model;

  @Param("2")
  public int threads;

  private final Operands operands = new Operands();
  private TrainStep step;

  @Setup(Level.Trial)
  public void build() {
    operands.threads = threads;
    operands.open();
    step = new TrainStep(model, operands);
  }

  @Benchmark
  public void step() {
    step.run();
  }

  @TearDown(Level.Trial)
  public void close() {
    step.close();
    operands.close();
  }
}
