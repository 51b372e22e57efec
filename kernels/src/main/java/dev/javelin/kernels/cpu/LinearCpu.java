package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer around the matrix product: bias and activation while the sums are in the cache,
 * the bias's gradient.
 */
public final class LinearCpu {
  private static final int PARTS = 16;
  private static final int MIN_PART_ROWS = 8;

  private LinearCpu() {}

  /**
   * {@code z = x · wᵀ + bias} and {@code y = f(z)}.
   *
   * @param z receives what the activation is applied to; {@code null} where nobody needs it
   * @param bias one row; {@code null} for zeros
   * @param f {@code null} for none
   */
  public static void forward(
      Cpu cpu,
      Rows y,
      @Nullable Rows z,
      Rows x,
      Rows w,
      @Nullable Rows bias,
      @Nullable Activation f) {
    run(
        cpu,
        y,
        z,
        w.count(),
        bias,
        f,
        (sums, epilogue) ->
            MatmulCpu.run(
                cpu,
                sums.data(),
                sums.type(),
                sums.stride(),
                x.data(),
                x.type(),
                x.stride(),
                false,
                w.data(),
                w.type(),
                w.stride(),
                true,
                x.count(),
                w.count(),
                x.cols(),
                false,
                epilogue));
  }

  /** The same with a quantised weight. */
  public static void forward(
      Cpu cpu,
      Rows y,
      @Nullable Rows z,
      Rows x,
      QuantizedView w,
      @Nullable Rows bias,
      @Nullable Activation f) {
    run(
        cpu,
        y,
        z,
        w.out(),
        bias,
        f,
        (sums, epilogue) ->
            MatmulCpu.run(
                cpu,
                sums.data(),
                sums.type(),
                sums.stride(),
                x.data(),
                x.type(),
                x.stride(),
                w,
                true,
                x.count(),
                false,
                epilogue));
  }

  /**
   * The same with x in 8 bits too, as {@link Int8Dot} computes it; as above where rows of NF4 are
   * no multiple of 64 long.
   */
  public static void forwardInt8(
      Cpu cpu,
      Rows y,
      @Nullable Rows z,
      Rows x,
      QuantizedView w,
      @Nullable Rows bias,
      @Nullable Activation f) {
    if (!Int8Dot.fits(w)) {
      forward(cpu, y, z, x, w, bias, f);
    } else if (x.count() > 0) {
      run(
          cpu,
          y,
          z,
          w.out(),
          bias,
          f,
          (sums, epilogue) -> new Int8Dot(cpu, sums, x, w, epilogue).run());
    }
  }

  /** {@code dx (+)= dz · w} with a quantised weight. */
  public static void backward(Cpu cpu, Rows dx, boolean accumulate, Rows dz, QuantizedView w) {
    MatmulCpu.run(
        cpu,
        dx.data(),
        dx.type(),
        dx.stride(),
        dz.data(),
        dz.type(),
        dz.stride(),
        w,
        false,
        dz.count(),
        accumulate,
        MatmulEpilogue.NONE);
  }

  @FunctionalInterface
  private interface Product {
    void run(Rows sums, MatmulEpilogue epilogue);
  }

  private static void run(
      Cpu cpu,
      Rows y,
      @Nullable Rows z,
      int out,
      @Nullable Rows bias,
      @Nullable Activation f,
      Product product) {
    // An activation works on whole vectors: where rows end within one, it runs afterwards; as does
    // softplus, which reads its argument again after its first pass.
    boolean fused = f != null && f != Activation.SOFTPLUS && out % Lanes.COUNT == 0;
    Rows sums = f == null || fused || z == null ? y : z;
    MatmulEpilogue epilogue =
        bias == null && !fused
            ? MatmulEpilogue.NONE
            : new Epilogue(bias, fused ? z : null, fused ? f : null);
    product.run(sums, epilogue);
    if (f != null && !fused) {
      ActivateCpu.forward(cpu, y, sums, f);
    }
  }

  private record Epilogue(@Nullable Rows bias, @Nullable Rows z, @Nullable Activation f)
      implements MatmulEpilogue {
    @Override
    public void apply(
        MemorySegment sums, long at, long stride, int row, int rows, int col, int count) {
      ActivationRow values = new ActivationRow(sums, count);
      for (int r = row; r < row + rows; r++, at += stride) {
        if (bias != null) {
          add(bias, sums, at, col, count);
        }
        if (z != null) {
          Half.narrow(z.data(), z.type().bytes(z.stride() * r + col), z.type(), sums, at, count);
        }
        if (f != null) {
          values.xAt = at;
          values.outAt = at;
          RowPass.run(ActivationRow.value(f), values);
        }
      }
    }
  }

  private static void add(Rows bias, MemorySegment sums, long at, int col, int count) {
    MemorySegment b = bias.data();
    int i = 0;
    if (bias.type() == DType.F32) {
      for (; i + Lanes.COUNT <= count; i += Lanes.COUNT) {
        long to = at + 4L * i;
        Lanes.store(Lanes.load(sums, to).add(Lanes.load(b, 4L * (col + i))), sums, to);
      }
    }
    for (; i < count; i++) {
      long to = at + 4L * i;
      sums.set(
          JAVA_FLOAT_UNALIGNED,
          to,
          sums.get(JAVA_FLOAT_UNALIGNED, to) + element(b, bias.type(), col + i));
    }
  }

  private static float element(MemorySegment m, DType type, int i) {
    return switch (type) {
      case F32 -> m.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      case BF16 -> Half.bf16ToFloat(m.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      case F16 -> Float.float16ToFloat(m.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    };
  }

  /**
   * {@code db[c] (+)= Σ_r dy[r,c]}. The rows are cut into at most 16 parts by their number alone,
   * and the parts are added in order.
   *
   * @param db fp32, one row
   */
  public static void biasGradient(Cpu cpu, Rows db, Rows dy) {
    Rows in = dy.slot(0);
    Rows out = db.slot(1);
    int n = dy.padded();
    long rowBytes = Rows.scratchBytes(dy.cols(), 1);
    int partRows = Math.max(MIN_PART_ROWS, Math.ceilDiv(dy.count(), PARTS));
    int parts = Math.ceilDiv(dy.count(), partRows);
    MemorySegment partial = cpu.shared(parts * rowBytes);
    cpu.parallel(
        dy.count(),
        partRows,
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(dy.cols(), 1));
          MemorySegment rows = in.segment(scratch);
          long sum = from / partRows * rowBytes;
          partial.asSlice(sum, rowBytes).fill((byte) 0);
          for (int r = from; r < to; r++) {
            addRow(partial, sum, rows, in.load(r, scratch), n);
          }
        });
    MemorySegment scratch = cpu.scratch(Rows.scratchBytes(dy.cols(), 2));
    MemorySegment result = out.segment(scratch);
    long at = out.target(0, scratch);
    for (int i = 0; i < n; i += Lanes.COUNT) {
      FloatVector total = Lanes.zero();
      for (int p = 0; p < parts; p++) {
        total = total.add(Lanes.load(partial, p * rowBytes + 4L * i));
      }
      total = out.accumulate() ? total.add(Lanes.load(result, at + 4L * i)) : total;
      Lanes.store(total, result, at + 4L * i);
    }
    out.store(0, scratch);
  }

  private static void addRow(MemorySegment y, long yr, MemorySegment x, long xr, int n) {
    for (int i = 0; i < n; i += Lanes.COUNT) {
      long at = 4L * i;
      Lanes.store(Lanes.load(y, yr + at).add(Lanes.load(x, xr + at)), y, yr + at);
    }
  }
}
