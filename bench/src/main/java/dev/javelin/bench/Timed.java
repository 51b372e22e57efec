package dev.javelin.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What all JMH benchmarks share: how often and in what JVM they run, and what is timed. One of your
 * own is a class with parameters that gives the work to {@link #time} in its set-up; {@link
 * NormBenchmark} is a short model. Tensors come from {@link Operands}, which has the parameters
 * {@code threads} and {@code precision}; shapes that several benchmarks have are in {@link Shapes}.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public abstract class Timed {
  private Runnable work = () -> {};

  /** Says what is timed: it leaves its results in memory, so no compiler can skip it. */
  final void time(Runnable work) {
    this.work = work;
  }

  @Benchmark
  public void run() {
    work.run();
  }
}
