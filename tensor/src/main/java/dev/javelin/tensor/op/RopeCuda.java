package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.flag;
import static dev.javelin.tensor.op.Operands.tensorOf;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.QkNormRope.GradSide;
import dev.javelin.tensor.op.QkNormRope.Side;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/** The launches of {@code rope.cu}, for rotations with and without a normalisation before them. */
final class RopeCuda {
  private static final int WARP = 32;
  private static final int WARPS = 4; // of a block
  private static final long MAX_WARPS = 2048; // of a side that leave partial sums
  private static final int MANY_ROWS = 2048; // as many warps keep a GPU busy
  private static final int VECTOR_BYTES = 16;
  private static final int SIDE_WORDS = 18;

  private RopeCuda() {}

  /** One or two sides, in one launch. */
  static void forward(Cuda cuda, List<Side> sides, Rotation rotation, float eps) {
    turn(cuda, sides.stream().map(RopeCuda::operands).toList(), rotation, 1, eps);
  }

  /**
   * Sides with upstream gradients. Those without normalisation are turned back; the others are
   * another kernel. Two that write to one place are two launches, in order.
   */
  static void backward(Cuda cuda, List<GradSide> sides, Rotation rotation) {
    List<Operand> plain = new ArrayList<>(2);
    List<GradSide> normalised = new ArrayList<>(2);
    for (GradSide s : sides) {
      if (s.weight() != null) {
        normalised.add(s);
      } else if (s.dx() != null && s.dy() != null) {
        plain.add(operands(s));
      }
    }
    boolean meet = meet(sides);
    for (List<Operand> group : groups(plain, meet)) {
      turn(cuda, group, rotation, -1, 0);
    }
    for (List<GradSide> group : groups(normalised, meet)) {
      backwardNormalised(cuda, group, rotation);
    }
  }

  private static boolean meet(List<GradSide> sides) {
    Grad first = sides.isEmpty() ? null : sides.getFirst().dx();
    Grad last = sides.isEmpty() ? null : sides.getLast().dx();
    return sides.size() == 2
        && first != null
        && last != null
        && first.tensor().address() == last.tensor().address();
  }

  private static <S> List<List<S>> groups(List<S> sides, boolean apart) {
    if (sides.isEmpty()) {
      return List.of();
    }
    return apart ? sides.stream().map(List::of).toList() : List.of(sides);
  }

  private static void turn(
      Cuda cuda, List<Operand> sides, Rotation rotation, int direction, float eps) {
    Tensor x = sides.getFirst().in();
    boolean vectors = vectors(sides, rotation);
    int lanes = lanes(x, rotation, vectors);
    long rows = (long) x.dim(0) * x.dim(1);
    int atOnce = WARP / lanes;
    int most = sides.stream().mapToInt(s -> s.in().dim(2)).max().orElseThrow();
    int heads = rows < MANY_ROWS ? atOnce : Math.max(atOnce, most); // of a warp, in one row
    ToLongFunction<Operand> warps = s -> rows * Math.ceilDiv(s.in().dim(2), heads);
    cuda.kernel("rope_turn", x.dtype())
        .grid(Math.ceilDiv(sides.stream().mapToLong(warps).sum(), WARPS))
        .words(words(sides, warps, null))
        .words(words(rotation))
        .f32(direction)
        .i32(x.dim(1))
        .i32(x.last())
        .f32(eps)
        .i32(heads)
        .i32(lanes)
        .i32(flag(vectors))
        .run();
  }

  private static void backwardNormalised(Cuda cuda, List<GradSide> sides, Rotation rotation) {
    List<Operand> operands = sides.stream().map(RopeCuda::operands).toList();
    Tensor x = operands.getFirst().in();
    boolean vectors = vectors(operands, rotation);
    int lanes = lanes(x, rotation, vectors);
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
    DeviceMemory partial = sums ? cuda.scratch(DType.F32.bytes(total * x.last())) : null;
    cuda.kernel("rope_backward", x.dtype())
        .grid(Math.ceilDiv(total, WARPS))
        .words(words(operands, warpsOf, partial))
        .words(words(rotation))
        .i64((long) x.dim(0) * x.dim(1))
        .i32(x.dim(1))
        .i32(x.last())
        .i64(heads)
        .i32(lanes)
        .i32(flag(vectors))
        .run();
    long first = 0;
    for (int i = 0; i < warps.length && partial != null; i++) {
      Grad dw = sides.get(i).dw();
      if (dw != null) {
        PartialSum.run(cuda, dw.tensor(), true, rowsFrom(partial, first, x.last()), warps[i]);
      }
      first += warps[i];
    }
  }

  private static Addressable rowsFrom(DeviceMemory partial, long first, int cols) {
    return () -> partial.address() + DType.F32.bytes(first * cols);
  }

  /** A side as the kernels want it; {@code sums} where its weight's gradient is wanted. */
  private record Operand(
      @Nullable Tensor out,
      boolean accumulate,
      Tensor in,
      @Nullable Tensor x,
      @Nullable Tensor weight,
      @Nullable Tensor rstd,
      boolean sums) {}

  private static Operand operands(Side s) {
    return new Operand(s.y(), false, s.x(), null, s.weight(), s.rstd(), false);
  }

  private static Operand operands(GradSide s) {
    Tensor dy = s.dy();
    if (dy == null) {
      throw new IllegalStateException("a side without an upstream gradient has none of its own");
    }
    boolean adds = s.dx() != null && s.dx().accumulate();
    Tensor x = s.weight() == null ? null : s.x();
    return new Operand(tensorOf(s.dx()), adds, dy, x, s.weight(), s.rstd(), s.dw() != null);
  }

  /** A lane for each unit of a head: a vector of pairs, or of features that stay. */
  private static int lanes(Tensor x, Rotation rotation, boolean vectors) {
    int unit = vectors ? (int) (VECTOR_BYTES / x.dtype().bytes(1)) : 1;
    int units = Math.max(1, (x.last() - rotation.cos().last()) / unit);
    return Math.min(WARP, Integer.highestOneBit(2 * units - 1));
  }

  private static boolean vectors(List<Operand> sides, Rotation r) {
    DType type = sides.getFirst().in().dtype();
    int dim = sides.getFirst().in().last();
    int pairs = r.cos().last();
    boolean whole =
        type.bytes(pairs) % VECTOR_BYTES == 0
            && type.bytes(dim) % VECTOR_BYTES == 0
            && r.cos().address() % VECTOR_BYTES == 0
            && r.sin().address() % VECTOR_BYTES == 0;
    for (Operand s : sides) {
      whole = whole && isWhole(s.out) && isWhole(s.in) && isWhole(s.x) && isWhole(s.weight);
    }
    return whole;
  }

  private static boolean isWhole(@Nullable Tensor t) {
    if (t == null) {
      return true;
    }
    boolean whole = t.address() % VECTOR_BYTES == 0;
    for (int d = 0; d < t.rank() - 1; d++) {
      whole &= t.dtype().bytes(stride(t, d)) % VECTOR_BYTES == 0;
    }
    return whole;
  }

  /** The stride of a dimension of one element may be anything. */
  private static long stride(Tensor t, int dim) {
    return t.dim(dim) == 1 ? 0 : t.stride(dim);
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
      w[at + 12] = flag(s.accumulate);
      w[at + 13] = address(s.weight);
      w[at + 14] = address(s.rstd);
      w[at + 15] =
          s.sums && partial != null ? partial.address() + DType.F32.bytes(rows * s.in.last()) : 0;
      w[at + 16] = s.in.dim(2);
      w[at + 17] = warps.applyAsLong(s);
      rows += w[at + 17];
    }
    return w;
  }

  private static void view(long[] w, int at, @Nullable Tensor t) {
    if (t != null) {
      w[at] = t.address();
      for (int d = 0; d < 3; d++) {
        w[at + 1 + d] = stride(t, d);
      }
    }
  }

  /** The struct {@code Angles} of the kernels. */
  private static long[] words(Rotation r) {
    Tensor ids = r.positions();
    return new long[] {
      r.cos().address(),
      r.sin().address(),
      address(ids),
      ids == null || ids.rank() == 1 ? 0 : ids.dim(1),
      r.offset(),
      r.cos().dim(0),
      r.cos().last(),
      flag(r.pairing() == Rotation.Pairing.NEIGHBOURS)
    };
  }

  private static long address(@Nullable Tensor t) {
    return t == null ? 0 : t.address();
  }
}
