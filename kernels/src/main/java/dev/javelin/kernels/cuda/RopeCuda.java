package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/** {@code rope.cu}, for rotations with and without a normalisation before them. */
public final class RopeCuda {
  private static final int WARP = RowGrid.WARP;
  private static final long MAX_WARPS = 2048; // of a side that leave partial sums
  private static final int MANY_ROWS = 2048; // as many warps keep a GPU busy
  private static final int VECTOR_BYTES = 16;
  private static final int SIDE_WORDS = 18;

  private RopeCuda() {}

  /**
   * Queries or keys on the way forward.
   *
   * @param rstd receives a number for each head, F32; {@code null} without normalisation
   * @param weight of the normalisation, [dim] of x's type
   */
  public record Side(
      CudaHeads y, @Nullable Addressable rstd, CudaHeads x, @Nullable Addressable weight) {}

  /**
   * Queries or keys on the way back.
   *
   * @param dw F32 [dim], which is added to
   */
  public record GradSide(
      @Nullable CudaHeads dx,
      @Nullable Addressable dw,
      CudaHeads dy,
      CudaHeads x,
      @Nullable Addressable weight,
      @Nullable Addressable rstd) {}

  /** One or two sides, in one launch. */
  public static void forward(
      Cuda cuda, List<Side> sides, CudaAngles angles, float eps, float offset) {
    turn(cuda, sides.stream().map(RopeCuda::operands).toList(), angles, 1, eps, offset);
  }

  /**
   * Sides with upstream gradients. Those without normalisation are turned back; the others are
   * another kernel. Two that write to one place are two launches, in order.
   */
  public static void backward(Cuda cuda, List<GradSide> sides, CudaAngles angles, float offset) {
    List<Operand> plain = new ArrayList<>(2);
    List<GradSide> normalised = new ArrayList<>(2);
    for (GradSide s : sides) {
      if (s.weight() != null) {
        normalised.add(s);
      } else if (s.dx() != null) {
        plain.add(operands(s));
      }
    }
    boolean meet = meet(sides);
    for (List<Operand> group : groups(plain, meet)) {
      turn(cuda, group, angles, -1, 0, 0);
    }
    for (List<GradSide> group : groups(normalised, meet)) {
      backwardNormalised(cuda, group, angles, offset);
    }
  }

  private static boolean meet(List<GradSide> sides) {
    CudaHeads first = sides.isEmpty() ? null : sides.getFirst().dx();
    CudaHeads last = sides.isEmpty() ? null : sides.getLast().dx();
    return sides.size() == 2 && first != null && last != null && first.address() == last.address();
  }

  private static <S> List<List<S>> groups(List<S> sides, boolean apart) {
    if (sides.isEmpty()) {
      return List.of();
    }
    return apart ? sides.stream().map(List::of).toList() : List.of(sides);
  }

  private static void turn(
      Cuda cuda, List<Operand> sides, CudaAngles angles, int direction, float eps, float offset) {
    CudaHeads x = sides.getFirst().in();
    boolean vectors = vectors(sides, angles);
    int lanes = lanes(x, angles, vectors);
    long rows = (long) x.batch() * x.time();
    int atOnce = WARP / lanes;
    int most = sides.stream().mapToInt(s -> s.in().heads()).max().orElseThrow();
    int heads = rows < MANY_ROWS ? atOnce : Math.max(atOnce, most); // of a warp, in one row
    ToLongFunction<Operand> warps = s -> rows * Math.ceilDiv(s.in().heads(), heads);
    CudaKernel kernel = cuda.kernel("rope_turn", x.type());
    kernel
        .grid(RowGrid.blocks(kernel, sides.stream().mapToLong(warps).sum()))
        .words(words(sides, warps, null))
        .words(angles.words())
        .f32(direction)
        .i32(x.time())
        .i32(x.dim())
        .f32(eps)
        .f32(offset)
        .i32(heads)
        .i32(lanes)
        .i32(CudaRows.flag(vectors))
        .run();
  }

  private static void backwardNormalised(
      Cuda cuda, List<GradSide> sides, CudaAngles angles, float offset) {
    List<Operand> operands = sides.stream().map(RopeCuda::operands).toList();
    CudaHeads x = operands.getFirst().in();
    boolean vectors = vectors(operands, angles);
    int lanes = lanes(x, angles, vectors);
    boolean sums = sides.stream().anyMatch(s -> s.dw() != null);
    long heads = WARP / lanes;
    if (sums) {
      long most = operands.stream().mapToLong(s -> s.in().rows()).max().orElseThrow();
      heads = Math.max(heads, Math.ceilDiv(most, MAX_WARPS));
    }
    long share = heads;
    ToLongFunction<Operand> warpsOf = s -> Math.ceilDiv(s.in().rows(), share);
    long[] warps = operands.stream().mapToLong(warpsOf).toArray();
    long total = Arrays.stream(warps).sum();
    DeviceMemory partial = sums ? cuda.scratch(DType.F32.bytes(total * x.dim())) : null;
    CudaKernel kernel = cuda.kernel("rope_backward", x.type());
    kernel
        .grid(RowGrid.blocks(kernel, total))
        .words(words(operands, warpsOf, partial))
        .words(angles.words())
        .i64((long) x.batch() * x.time())
        .i32(x.time())
        .i32(x.dim())
        .f32(offset)
        .i64(heads)
        .i32(lanes)
        .i32(CudaRows.flag(vectors))
        .run();
    long first = 0;
    for (int i = 0; i < warps.length && partial != null; i++) {
      Addressable dw = sides.get(i).dw();
      if (dw != null) {
        Addressable from = partial.plus(DType.F32.bytes(first * x.dim()));
        PartialSumCuda.run(cuda, dw, true, from, warps[i], x.dim());
      }
      first += warps[i];
    }
  }

  /** A side as the kernels want it; {@code sums} where its weight's gradient is wanted. */
  private record Operand(
      @Nullable CudaHeads out,
      CudaHeads in,
      @Nullable CudaHeads x,
      @Nullable Addressable weight,
      @Nullable Addressable rstd,
      boolean sums) {}

  private static Operand operands(Side s) {
    return new Operand(s.y(), s.x(), null, s.weight(), s.rstd(), false);
  }

  private static Operand operands(GradSide s) {
    CudaHeads x = s.weight() == null ? null : s.x();
    return new Operand(s.dx(), s.dy(), x, s.weight(), s.rstd(), s.dw() != null);
  }

  /** A lane for each unit of a head: a vector of pairs, or of features that stay. */
  private static int lanes(CudaHeads x, CudaAngles angles, boolean vectors) {
    int unit = vectors ? (int) (VECTOR_BYTES / x.type().bytes(1)) : 1;
    int units = Math.max(1, (x.dim() - angles.pairs()) / unit);
    return Math.min(WARP, Integer.highestOneBit(2 * units - 1));
  }

  private static boolean vectors(List<Operand> sides, CudaAngles r) {
    CudaHeads x = sides.getFirst().in();
    boolean whole =
        x.type().bytes(r.pairs()) % VECTOR_BYTES == 0
            && x.type().bytes(x.dim()) % VECTOR_BYTES == 0
            && r.cos().address() % VECTOR_BYTES == 0
            && r.sin().address() % VECTOR_BYTES == 0;
    for (Operand s : sides) {
      whole =
          whole
              && isWhole(s.out)
              && isWhole(s.in)
              && isWhole(s.x)
              && address(s.weight) % VECTOR_BYTES == 0;
    }
    return whole;
  }

  private static boolean isWhole(@Nullable CudaHeads h) {
    if (h == null) {
      return true;
    }
    boolean whole = h.address() % VECTOR_BYTES == 0;
    for (long stride : strides(h)) {
      whole &= h.type().bytes(stride) % VECTOR_BYTES == 0;
    }
    return whole;
  }

  /** Of batch, time and heads; 0 for a dimension of one element, whose stride may be anything. */
  private static long[] strides(CudaHeads h) {
    return new long[] {
      h.batch() == 1 ? 0 : h.batchStride(),
      h.time() == 1 ? 0 : h.timeStride(),
      h.heads() == 1 ? 0 : h.headStride()
    };
  }

  /** The struct {@code Sides} of the kernels. */
  private static long[] words(
      List<Operand> sides, ToLongFunction<Operand> warps, @Nullable DeviceMemory partial) {
    long[] w = new long[2 * SIDE_WORDS];
    long rows = 0;
    for (int i = 0; i < sides.size(); i++) {
      Operand s = sides.get(i);
      int at = i * SIDE_WORDS;
      view(w, at, s.out);
      view(w, at + 4, s.in);
      view(w, at + 8, s.x);
      w[at + 12] = CudaRows.flag(s.out != null && s.out.accumulate());
      w[at + 13] = address(s.weight);
      w[at + 14] = address(s.rstd);
      w[at + 15] =
          s.sums && partial != null ? partial.address() + DType.F32.bytes(rows * s.in.dim()) : 0;
      w[at + 16] = s.in.heads();
      w[at + 17] = warps.applyAsLong(s);
      rows += w[at + 17];
    }
    return w;
  }

  private static void view(long[] w, int at, @Nullable CudaHeads h) {
    if (h != null) {
      w[at] = h.address();
      System.arraycopy(strides(h), 0, w, at + 1, 3);
    }
  }

  private static long address(@Nullable Addressable a) {
    return a == null ? 0 : a.address();
  }
}
