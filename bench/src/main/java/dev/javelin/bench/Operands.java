package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The device and the tensors of a benchmark: allocated once, reused by every call, as in a training
 * step.
 */
@State(Scope.Benchmark)
public class Operands {
  @Param("2")
  public int threads;

  private Cpu cpu;
  private Workspace memory;
  private final SplittableRandom random = new SplittableRandom(1);

  @Setup
  public void open() {
    cpu = Cpu.open(threads);
    memory = Workspace.on(cpu);
  }

  @TearDown
  public void close() {
    memory.close();
    cpu.close();
  }

  public Cpu cpu() {
    return cpu;
  }

  /** F32, uniform in [-1, 1). */
  public Tensor random(int... dims) {
    return random(DType.F32, dims);
  }

  /**
   * Of type F32, BF16 (whose values are cut, not rounded), or small ids below {@code bound} by
   * {@link #ids}.
   */
  public Tensor random(DType type, int... dims) {
    Tensor t = memory.alloc(type, Shape.of(dims));
    MemorySegment s = t.segment();
    for (long i = 0; i < t.elements(); i++) {
      float v = (float) random.nextDouble(-1, 1);
      switch (type) {
        case F32 -> s.setAtIndex(ValueLayout.JAVA_FLOAT, i, v);
        case BF16 ->
            s.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(v) >>> 16));
        case F16 -> s.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(v));
        case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
      }
    }
    return t;
  }

  /** I32, uniform in [0, bound). */
  public Tensor ids(int bound, int... dims) {
    Tensor t = memory.alloc(DType.I32, Shape.of(dims));
    for (long i = 0; i < t.elements(); i++) {
      t.segment().setAtIndex(ValueLayout.JAVA_INT, i, random.nextInt(bound));
    }
    return t;
  }
}
