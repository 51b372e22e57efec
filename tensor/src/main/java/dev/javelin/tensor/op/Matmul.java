package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.MatmulCpu;
import dev.javelin.kernels.cuda.CudaMatrix;
import dev.javelin.kernels.cuda.MatmulCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Matrix product of the last two dimensions, {@code c = a · b}, for every index of the leading
 * ones, which are broadcast as NumPy does it. A transposed operand is a transposed view: no copy is
 * made of it.
 */
public final class Matmul {
  private static final String OP = "matmul";

  private Matmul() {}

  /** The shape of {@code a · b}: [.., M, K] · [.., K, N] = [.., M, N]. */
  public static Shape shape(Shape a, Shape b) {
    if (a.rank() < 2 || b.rank() < 2 || a.dim(-1) != b.dim(-2)) {
      throw new IllegalArgumentException(
          OP
              + ": b must be [.., "
              + a.last()
              + ", N] for a "
              + a
              + " (both of rank 2 at least), got "
              + b);
    }
    int rank = Math.max(a.rank(), b.rank());
    int[] dims = new int[rank];
    dims[rank - 2] = a.dim(-2);
    dims[rank - 1] = b.dim(-1);
    for (int i = 3; i <= rank; i++) {
      int da = i <= a.rank() ? a.dim(-i) : 1;
      int db = i <= b.rank() ? b.dim(-i) : 1;
      if (da != db && da != 1 && db != 1) {
        throw new IllegalArgumentException(
            OP + ": leading dimensions must be equal or 1, got a " + a + " and b " + b);
      }
      dims[rank - i] = da == 1 ? db : da;
    }
    return Shape.of(dims);
  }

  /**
   * {@code c = a · b}; all of one float type, sums in fp32. 2·M·N·K FLOPs for each leading index.
   */
  public static void forward(Tensor c, Tensor a, Tensor b) {
    forward(new Grad(c, false), a, b);
  }

  /** {@code c (+)= a · b}: the product may be added to what is there. */
  public static void forward(Grad c, Tensor a, Tensor b) {
    Check.that(OP)
        .floats("a", a)
        .dtype("b", b, a.dtype())
        .dtype("c", c.tensor(), a.dtype())
        .shape("c", c.tensor(), shape(a.shape(), b.shape()));
    product(c, a, b);
  }

  /**
   * {@code da = dc · bᵀ} and {@code db = aᵀ · dc}, summed over the leading indices that were
   * broadcast; each of its input's type, or F32 for a parameter. Either may be {@code null}.
   */
  public static void backward(@Nullable Grad da, @Nullable Grad db, Tensor dc, Tensor a, Tensor b) {
    Check.that("matmul backward")
        .dtype("dc", dc, a.dtype())
        .shape("dc", dc, shape(a.shape(), b.shape()));
    if (da != null) {
      checkGrad("da", da, "a", a);
      product(da, dc, b.transpose(-2, -1));
    }
    if (db != null) {
      checkGrad("db", db, "b", b);
      product(db, a.transpose(-2, -1), dc);
    }
  }

  private static void checkGrad(String name, Grad g, String other, Tensor t) {
    Check.that("matmul backward").sameShape(name, g.tensor(), other, t);
    if (g.tensor().dtype() != DType.F32) {
      Check.that("matmul backward").dtype(name, g.tensor(), t.dtype());
    }
  }

  /**
   * {@code c (+)= a · b} over all leading indices of any of the three; where c has none, their sum.
   */
  private static void product(Grad c, Tensor a, Tensor b) {
    Matrices to = Matrices.of("c", c.tensor());
    Matrices left = Matrices.of("a", a);
    Matrices right = Matrices.of("b", b);
    if (to.transposed()) { // cᵀ = bᵀ · aᵀ
      Matrices flipped = left.flipped();
      left = right.flipped();
      right = flipped;
      to = to.flipped();
    }
    int rank = Math.max(to.tensor().rank(), Math.max(a.rank(), b.rank()));
    int[] index = new int[rank - 2];
    int[] size = new int[rank - 2];
    for (int i = 0; i < size.length; i++) {
      size[i] =
          Math.max(to.leading(rank, i), Math.max(left.leading(rank, i), right.leading(rank, i)));
    }
    Batch batch =
        c.tensor().device() instanceof Cuda ? Batch.take(size, rank, to, left, right) : Batch.ONE;
    do {
      // The first product that lands on a matrix of c may overwrite it, the others add.
      boolean first = true;
      for (int i = 0; i < index.length; i++) {
        first &= index[i] == 0 || to.leading(rank, i) > 1;
      }
      multiply(to, left, right, rank, index, batch, c.accumulate() || !first);
    } while (advance(index, size));
  }

  private static boolean advance(int[] index, int[] size) {
    for (int i = index.length - 1; i >= 0; i--) {
      if (++index[i] < size[i]) {
        return true;
      }
      index[i] = 0;
    }
    return false;
  }

  private static void multiply(
      Matrices c, Matrices a, Matrices b, int rank, int[] index, Batch batch, boolean accumulate) {
    switch (c.tensor().device()) {
      case Cpu cpu ->
          MatmulCpu.run(
              cpu,
              c.at(rank, index).segment(),
              c.tensor().dtype(),
              c.rowStride(),
              a.at(rank, index).segment(),
              a.tensor().dtype(),
              a.rowStride(),
              a.transposed(),
              b.at(rank, index).segment(),
              b.tensor().dtype(),
              b.rowStride(),
              b.transposed(),
              c.tensor().dim(-2),
              c.tensor().dim(-1),
              a.tensor().dim(-1),
              accumulate);
      case Cuda cuda ->
          MatmulCuda.run(
              cuda,
              c.cuda(rank, index, batch.c),
              a.cuda(rank, index, batch.a),
              b.cuda(rank, index, batch.b),
              c.tensor().dim(-2),
              c.tensor().dim(-1),
              a.tensor().dim(-1),
              batch.count,
              accumulate);
    }
  }

  /** The products of one launch: {@code count} matrices of each operand, so many elements apart. */
  private record Batch(int count, long c, long a, long b) {
    static final Batch ONE = new Batch(1, 0, 0, 0);

    /**
     * Takes as many of the innermost leading dimensions as lie evenly spaced in all three operands
     * and have a matrix of c for each product; their {@code size} becomes 1.
     */
    static Batch take(int[] size, int rank, Matrices c, Matrices a, Matrices b) {
      Batch taken = ONE;
      for (int i = size.length - 1; i >= 0; i--) {
        if (size[i] == 1) {
          continue;
        }
        Batch next =
            new Batch(
                size[i],
                c.leadingStride(rank, i),
                a.leadingStride(rank, i),
                b.leadingStride(rank, i));
        if (c.leading(rank, i) != size[i] || (taken.count > 1 && !taken.goesOnWith(next))) {
          break;
        }
        taken =
            taken.count == 1
                ? next
                : new Batch(taken.count * next.count, taken.c, taken.a, taken.b);
        size[i] = 1;
      }
      return taken;
    }

    private boolean goesOnWith(Batch outer) {
      return outer.c == count * c && outer.a == count * a && outer.b == count * b;
    }
  }

  /**
   * A tensor as matrices of its last two dimensions, stored row by row, or column by column if
   * {@code transposed}.
   *
   * @param rowStride elements between stored rows (or columns)
   */
  private record Matrices(Tensor tensor, boolean transposed, long rowStride) {

    static Matrices of(String name, Tensor t) {
      boolean rows = t.stride(-1) == 1 || t.dim(-1) == 1;
      boolean columns = t.stride(-2) == 1 || t.dim(-2) == 1;
      Check.that(OP)
          .is(
              rows || columns,
              () ->
                  name
                      + " must have dense rows or columns: call contiguous(); got layout "
                      + t.layout());
      boolean transposed = !rows || (t.dim(-1) == 1 && t.dim(-2) > 1 && t.stride(-2) == 1);
      long stride = transposed ? t.stride(-1) : t.stride(-2);
      // The stride of a dimension of 1 means nothing.
      return new Matrices(t, transposed, Math.max(stride, transposed ? t.dim(-2) : t.dim(-1)));
    }

    Matrices flipped() {
      return new Matrices(tensor.transpose(-2, -1), !transposed, rowStride);
    }

    /** The size of leading dimension {@code i} among {@code rank - 2}; 1 where there is none. */
    int leading(int rank, int i) {
      int own = i - (rank - tensor.rank());
      return own < 0 ? 1 : tensor.dim(own);
    }

    /**
     * The stride of leading dimension {@code i} among {@code rank - 2}; 0 where it is broadcast.
     */
    long leadingStride(int rank, int i) {
      return leading(rank, i) == 1 ? 0 : tensor.stride(i - (rank - tensor.rank()));
    }

    CudaMatrix cuda(int rank, int[] index, long batch) {
      return new CudaMatrix(at(rank, index), tensor.dtype(), rowStride, transposed, batch);
    }

    /** From the first element of the matrix at an index of the leading dimensions on. */
    Tensor at(int rank, int[] index) {
      Tensor t = tensor;
      for (int i = 0; i < index.length; i++) {
        int own = i - (rank - tensor.rank());
        if (own >= 0) {
          int at = t.dim(own) == 1 ? 0 : index[i];
          t = t.slice(own, at, at + 1);
        }
      }
      return t;
    }
  }
}
