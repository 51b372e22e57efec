package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
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
public class Operands implements AutoCloseable {
  private static final long GPU_SLAB_BYTES = 256L << 20; // others want memory of the GPU too
  private static final long PERIOD = 4_194_301; // a prime: rows of large tensors differ

  @Param("2")
  public int threads;

  /** Of products and operators: fp32 or bf16. */
  @Param("fp32")
  public String precision = "fp32";

  private Device device;
  private DType type = DType.F32;
  private Workspace memory;
  private @Nullable StepState state;
  private final SplittableRandom random = new SplittableRandom(1);

  /** A CPU with so many {@link #threads}. */
  @Setup
  public void open() {
    device = Cpu.open(threads);
    type = precision.equals("bf16") ? DType.BF16 : DType.F32;
    memory = Workspace.on(device);
  }

  /** Tensors of {@code type} on a CPU with so many threads. */
  static Operands on(int threads, DType type) {
    Operands operands = new Operands();
    operands.threads = threads;
    operands.precision = type == DType.BF16 ? "bf16" : "fp32";
    operands.open();
    return operands;
  }

  /** Tensors of {@code type} on a GPU, which stays open when they are closed. */
  static Operands on(Cuda cuda, DType type) {
    Operands operands = new Operands();
    operands.device = cuda;
    operands.type = type;
    operands.memory = Workspace.on(cuda, GPU_SLAB_BYTES);
    return operands;
  }

  @TearDown
  @Override
  public void close() {
    if (state != null) {
      state.close();
    }
    memory.close();
    if (device instanceof Cpu cpu) {
      cpu.close();
    }
  }

  public Device device() {
    return device;
  }

  /** What operands are made of unless told otherwise. */
  DType type() {
    return type;
  }

  /** The state of a first step. */
  StepState state() {
    if (state == null) {
      state = StepState.on(device);
      state.begin(1, 0, 3e-4f, 1);
    }
    return state;
  }

  /** The device of a benchmark that exists for the CPU only. */
  public Cpu cpu() {
    if (device instanceof Cpu cpu) {
      return cpu;
    }
    throw new UnsupportedOperationException("a benchmark of the CPU, not of " + device);
  }

  /**
   * Of the type that is measured, F32 unless told. On a CPU uniform in [-1, 1); on a GPU, whose
   * clock depends on what it multiplies, normal, as PyTorch's are.
   */
  public Tensor random(int... dims) {
    return random(type, dims);
  }

  /** F32, BF16 (whose values are cut, not rounded) or F16; large tensors repeat themselves. */
  public Tensor random(DType type, int... dims) {
    Tensor t = memory.alloc(type, Shape.of(dims));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment s = arena.allocate(type.bytes(Math.min(t.elements(), PERIOD)), 64);
      for (long i = 0; i < Math.min(t.elements(), PERIOD); i++) {
        float v =
            (float) (device instanceof Cuda ? random.nextGaussian() : random.nextDouble(-1, 1));
        switch (type) {
          case F32 -> s.setAtIndex(ValueLayout.JAVA_FLOAT, i, v);
          case BF16 ->
              s.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(v) >>> 16));
          case F16 -> s.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(v));
          case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
        }
      }
      repeat(t, s);
    }
    return t;
  }

  /** I32, uniform in [0, bound). */
  public Tensor ids(int bound, int... dims) {
    Tensor t = memory.alloc(DType.I32, Shape.of(dims));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment s = arena.allocate(DType.I32.bytes(t.elements()), 64);
      for (long i = 0; i < t.elements(); i++) {
        s.setAtIndex(ValueLayout.JAVA_INT, i, random.nextInt(bound));
      }
      repeat(t, s);
    }
    return t;
  }

  private static void repeat(Tensor t, MemorySegment values) {
    long bytes = t.dtype().bytes(t.elements());
    for (long at = 0; at < bytes; at += values.byteSize()) {
      MemorySegment part = values.asSlice(0, Math.min(values.byteSize(), bytes - at));
      switch (t.device()) {
        case Cpu cpu -> MemorySegment.copy(part, 0, t.segment(), at, part.byteSize());
        case Cuda cuda -> cuda.write(t.memory(), t.offset() + at, part);
      }
    }
  }
}
