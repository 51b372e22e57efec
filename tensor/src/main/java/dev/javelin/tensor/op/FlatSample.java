package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.kernels.cpu.FlatSampleCpu;
import dev.javelin.kernels.cuda.FlatSampleCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Some elements of each of P parts of a flat buffer, and what a log says about them: all elements
 * of a part up to {@value #MOST}, and as many of a larger one, in runs of 16 that lie spread over
 * it. A norm over n of them is that of the whole part but for a relative error of about {@code
 * √((κ−1)/n)/2}, κ being the kurtosis of the values: half a percent for those of a normal
 * distribution. The choice depends on the sizes alone.
 *
 * <p>It owns its table. What it reads are buffers of one layout, of any size: contiguous, on one
 * device. No gradient flows through it; nothing here waits for a device.
 */
public final class FlatSample implements AutoCloseable {
  /** Elements that are looked at of a part. */
  public static final int MOST = 1 << 14;

  /** Bins of {@link #ratios}. */
  public static final int BINS = 22;

  /** The second bin of {@link #ratios} begins at 2 to this. */
  public static final int SMALLEST_EXPONENT = -16;

  /** Numbers of a part in {@link #underflow}. */
  public static final int UNDERFLOWS = 3;

  private static final int RUN = 16;
  private static final int RUNS = MOST / RUN;
  private static final long GOLDEN = 0x9E3779B9L; // 2³² / φ: its multiples are spread evenly

  private final Memory memory;
  private final Tensor ends;
  private final Tensor firsts;
  private final Tensor starts;
  private final long[] sizes;

  /** Elements {@code [from, to)} of the buffers. */
  public record Part(long from, long to) {
    public Part {
      if (from < 0 || to <= from) {
        throw new IllegalArgumentException(
            "a part must have an element, got %d to %d".formatted(from, to));
      }
    }
  }

  /** Chooses the elements; of parts that do not overlap. */
  public FlatSample(Device device, List<Part> parts) {
    int p = parts.size();
    long[] head = new long[2 * p + 1];
    this.sizes = new long[p];
    List<Long> all = new ArrayList<>();
    for (int i = 0; i < p; i++) {
      Part part = parts.get(i);
      long n = part.to - part.from;
      sizes[i] = Math.min(n, MOST);
      head[i] = part.to;
      for (int run = 0; run < (n > MOST ? RUNS : Math.ceilDiv(n, RUN)); run++) {
        all.add(part.from + RUN * (n > MOST ? spread(run, n / RUN) : run));
      }
      head[p + i + 1] = all.size();
    }
    long[] table = new long[head.length + all.size()];
    System.arraycopy(head, 0, table, 0, head.length);
    for (int i = 0; i < all.size(); i++) {
      table[head.length + i] = all.get(i);
    }
    this.memory = device.allocate(DType.I64.bytes(Math.max(1, table.length)));
    device.write(memory, 0, MemorySegment.ofArray(table));
    this.ends = Tensor.of(memory, 0, DType.I64, Shape.of(p));
    this.firsts = Tensor.of(memory, DType.I64.bytes(p), DType.I64, Shape.of(p + 1));
    this.starts = Tensor.of(memory, DType.I64.bytes(head.length), DType.I64, Shape.of(all.size()));
  }

  /** One place in each of {@link #RUNS} equal stretches, so that no width of a row is in step. */
  private static long spread(int run, long places) {
    long within = (run * GOLDEN & 0xFFFFFFFFL) * places >>> 32;
    return (run * places + within) / RUNS;
  }

  /** P. */
  public int parts() {
    return sizes.length;
  }

  /** How many elements of a part are looked at. */
  public long elements(int part) {
    return sizes[part];
  }

  /** Elements that {@link #copy} needs room for. */
  public int room() {
    return RUN * (int) starts.elements();
  }

  /**
   * Copies the elements.
   *
   * @param to F32 [{@link #room}]
   * @param x the buffer, of any float type
   */
  public void copy(Tensor to, Tensor x) {
    check("copy", x)
        .floats("x", x)
        .dtype("to", to, DType.F32)
        .contiguous("to", to)
        .shape("to", to, Shape.of(room()));
    switch (x.device()) {
      case Cpu cpu -> FlatSampleCpu.copy(cpu, table(), to.segment(), x.segment(), x.dtype());
      case Cuda cuda -> FlatSampleCuda.copy(cuda, cudaTable(), to, x, x.dtype());
    }
  }

  /**
   * {@code to[p] = (‖x − before‖, ‖before‖)} over the elements of part p.
   *
   * @param to F32 [P, 2]
   * @param before F32, what {@link #copy} wrote
   * @param x the buffer, of any float type
   */
  public void change(Tensor to, Tensor before, Tensor x) {
    check("change", x)
        .floats("x", x)
        .dtype("to", to, DType.F32)
        .contiguous("to", to)
        .shape("to", to, Shape.of(parts(), 2))
        .dtype("before", before, DType.F32)
        .shape("before", before, Shape.of(room()));
    switch (x.device()) {
      case Cpu cpu ->
          FlatSampleCpu.change(
              cpu, table(), to.segment(), before.segment(), x.segment(), x.dtype());
      case Cuda cuda -> FlatSampleCuda.change(cuda, cudaTable(), to, before, x, x.dtype());
    }
  }

  /**
   * A histogram of {@code |m|/√v} for each part: bin 0 counts what is below {@code
   * 2^SMALLEST_EXPONENT}, bin b what is in {@code [2^(SMALLEST_EXPONENT+b−1),
   * 2^(SMALLEST_EXPONENT+b))}, the last whatever is more. Where m is zero it is bin 0, where only v
   * is, the last.
   *
   * @param counts I32 [P, {@link #BINS}]
   * @param m F32
   * @param v F32
   */
  public void ratios(Tensor counts, Tensor m, Tensor v) {
    check("ratios", m)
        .dtype("m", m, DType.F32)
        .dtype("v", v, DType.F32)
        .sameShape("v", v, "m", m)
        .contiguous("v", v)
        .dtype("counts", counts, DType.I32)
        .contiguous("counts", counts)
        .shape("counts", counts, Shape.of(parts(), BINS));
    switch (m.device()) {
      case Cpu cpu ->
          FlatSampleCpu.ratios(
              cpu, table(), counts.segment(), m.segment(), v.segment(), BINS, SMALLEST_EXPONENT);
      case Cuda cuda -> FlatSampleCuda.ratios(cuda, cudaTable(), counts, m, v);
    }
  }

  /**
   * Counts for each part {@code (zeros, values that type rounds to zero, values that are subnormal
   * in it)}; each value counts once at most.
   *
   * @param counts I32 [P, {@link #UNDERFLOWS}]
   * @param x F32
   * @param type that the values would be kept in
   */
  public void underflow(Tensor counts, Tensor x, DType type) {
    check("underflow", x)
        .dtype("x", x, DType.F32)
        .dtype("counts", counts, DType.I32)
        .contiguous("counts", counts)
        .shape("counts", counts, Shape.of(parts(), UNDERFLOWS));
    int vanishes = Float.floatToRawIntBits(vanishes(type));
    int normal = Float.floatToRawIntBits(type == DType.F16 ? 0x1p-14f : Float.MIN_NORMAL);
    switch (x.device()) {
      case Cpu cpu ->
          FlatSampleCpu.underflow(cpu, table(), counts.segment(), x.segment(), vanishes, normal);
      case Cuda cuda -> FlatSampleCuda.underflow(cuda, cudaTable(), counts, x, vanishes, normal);
    }
  }

  /** The largest number that rounds to zero: half the smallest, to the even neighbour. */
  private static float vanishes(DType type) {
    return switch (type) {
      case F16 -> 0x1p-25f;
      case BF16 -> 0x1p-134f;
      case F32 -> 0;
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    };
  }

  private static Check check(String op, Tensor x) {
    return Check.that("flatSample " + op).contiguous("buffer", x);
  }

  private FlatSampleCpu.Table table() {
    return new FlatSampleCpu.Table(parts(), ends.segment(), firsts.segment(), starts.segment());
  }

  private FlatSampleCuda.Table cudaTable() {
    return new FlatSampleCuda.Table(parts(), ends, firsts, starts);
  }

  @Override
  public void close() {
    memory.close();
  }
}
