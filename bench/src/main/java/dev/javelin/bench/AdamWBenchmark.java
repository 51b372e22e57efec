package dev.javelin.bench;

import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import java.lang.foreign.ValueLayout;
import java.util.List;
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

/** The update over flat fp32 buffers: the norm reads 4 bytes a parameter, AdamW moves 32. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(
    value = 2,
    jvmArgsAppend = {"--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"})
public class AdamWBenchmark {
  // The update clears the gradient: slow decay keeps the moments of the next calls far from
  // denormal numbers.
  private static final float BETA1 = 0.9999f;
  private static final float BETA2 = 0.99999f;
  private static final float EPS = 1e-8f;

  @Param({"800000", "10000000", "16777216"})
  public int parameters;

  private Tensor w;
  private Tensor m;
  private Tensor v;
  private Tensor grads;
  private StepState state;
  private List<Segment> segments;

  @Setup
  public void allocate(Operands operands) {
    w = operands.random(parameters);
    m = operands.random(parameters);
    v = operands.random(parameters);
    for (long i = 0; i < parameters; i++) {
      float r = v.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      v.segment().setAtIndex(ValueLayout.JAVA_FLOAT, i, r * r);
    }
    grads = operands.random(parameters);
    segments = List.of(new Segment(0, parameters, 1, 0.1f));
    state = StepState.on(operands.cpu());
    state.begin(1, 0, 3e-4f, 1);
    GlobalNorm.run(state, grads, 1, LossScaling.NONE);
  }

  @TearDown
  public void close() {
    state.close();
  }

  @Benchmark
  public StepState norm(Operands operands) {
    GlobalNorm.run(state, grads, 1, LossScaling.NONE);
    return state;
  }

  @Benchmark
  public Tensor update(Operands operands) {
    AdamW.step(new FlatWeights(w, null, grads, segments), m, v, state, BETA1, BETA2, EPS);
    return w;
  }
}
