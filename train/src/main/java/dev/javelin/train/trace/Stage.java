package dev.javelin.train.trace;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntToDoubleFunction;

/**
 * The small tensors of an operator, each in memory of its own and with a name. Values are multiples
 * of 1/8 between -1 and 1, which all float types have: the same in each run.
 */
final class Stage implements AutoCloseable {
  private static final int VALUES = 17;
  private static final float EIGHTH = 0.125f;
  private static final long STATE_BYTES = 80; // of StepState

  private final Cuda cuda;
  private final DType floats;
  private final List<Region> regions = new ArrayList<>();
  private final List<AutoCloseable> owned = new ArrayList<>();

  /**
   * @param floats the type of {@link #input} and {@link #output}
   */
  Stage(Cuda cuda, DType floats) {
    this.cuda = cuda;
    this.floats = floats;
  }

  List<Region> regions() {
    return List.copyOf(regions);
  }

  Tensor input(String name, int... shape) {
    return filled(name, floats, this::value, shape);
  }

  Tensor output(String name, int... shape) {
    return tensor(name, floats, shape);
  }

  Tensor f32(String name, int... shape) {
    return filled(name, DType.F32, this::value, shape);
  }

  /** F32 values of which none is negative. */
  Tensor positive(String name, int... shape) {
    return filled(name, DType.F32, i -> Math.abs(value(i)) + EIGHTH, shape);
  }

  Tensor f32(String name, IntToDoubleFunction values, int... shape) {
    return filled(name, DType.F32, values, shape);
  }

  /** Whole numbers below {@code bound}. */
  Tensor ids(String name, int bound, int... shape) {
    Tensor t = tensor(name, DType.I32, shape);
    int[] values = new int[(int) t.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (5 * i + 3) % bound;
    }
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }

  /** That of a first step, with this learning rate and without clipping. */
  StepState state(float learningRate) {
    StepState state = StepState.on(cuda);
    owned.add(state);
    state.begin(1, 0, learningRate, 1);
    state.decide(1, Float.POSITIVE_INFINITY, LossScaling.NONE);
    regions.add(new Region("state", state.address(), STATE_BYTES, null, Shape.of()));
    return state;
  }

  // Each tensor has other values than the one before.
  private float value(int i) {
    return ((7 * i + 3 * regions.size()) % VALUES - VALUES / 2) * EIGHTH;
  }

  private Tensor filled(String name, DType type, IntToDoubleFunction values, int... shape) {
    Tensor t = tensor(name, type, shape);
    int n = (int) t.elements();
    if (type == DType.F32) {
      float[] all = new float[n];
      for (int i = 0; i < n; i++) {
        all[i] = (float) values.applyAsDouble(i);
      }
      t.fromHost(MemorySegment.ofArray(all));
    } else {
      short[] all = new short[n];
      for (int i = 0; i < n; i++) {
        float x = (float) values.applyAsDouble(i); // a multiple of 1/8: exact in both half types
        all[i] =
            type == DType.F16
                ? Float.floatToFloat16(x)
                : (short) (Float.floatToRawIntBits(x) >>> Short.SIZE);
      }
      t.fromHost(MemorySegment.ofArray(all));
    }
    return t;
  }

  private Tensor tensor(String name, DType type, int... shape) {
    Shape s = Shape.of(shape);
    long bytes = type.bytes(s.elements());
    DeviceMemory memory = cuda.allocate(bytes);
    owned.add(memory);
    regions.add(new Region(name, memory.address(), bytes, type, s));
    return Tensor.of(memory, 0, type, s);
  }

  @Override
  public void close() {
    for (AutoCloseable o : owned.reversed()) {
      switch (o) {
        case StepState s -> s.close();
        case DeviceMemory m -> m.close();
        default -> throw new IllegalStateException(o.toString());
      }
    }
  }
}
