package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.ElementwiseFunction;
import dev.javelin.kernels.Loops;
import dev.javelin.kernels.cpu.ElementwiseCpu;
import dev.javelin.kernels.cpu.Strided;
import dev.javelin.kernels.cuda.ElementwiseCuda;
import dev.javelin.kernels.cuda.ElementwiseCuda.Operand;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Arithmetic element by element, copies and sums, all of them one operation: {@code y (+)= alpha ·
 * Σ f(a, b, c)}. Inputs are broadcast as NumPy does it, aligned at the last dimension; where y has
 * size 1 or no dimension and the inputs have more, the result is summed over it. So the gradient of
 * a broadcast is a sum, that of a sum a broadcast, and both are this operation again.
 *
 * <p>Any float types and any strides, mixed freely; arithmetic in fp32, sums in double.
 *
 * @see <a href="https://numpy.org/doc/stable/user/basics.broadcasting.html">Broadcasting</a>
 */
public final class Elementwise {
  private Elementwise() {}

  /** {@code y = x}: a copy into another layout, type or larger shape. */
  public static void copy(Tensor y, Tensor x) {
    map("copy", overwrite(y), ElementwiseFunction.COPY, 1, x);
  }

  /** {@code y = alpha · x}; where y is smaller, summed to its shape. */
  public static void scale(Tensor y, Tensor x, float alpha) {
    map("scale", overwrite(y), ElementwiseFunction.COPY, alpha, x);
  }

  /** {@code dx (+)= alpha · dy}, broadcast or summed to dx's shape; for copies, sums and scale. */
  public static void scaleBackward(@Nullable Grad dx, Tensor dy, float alpha) {
    map("scale backward", dx, ElementwiseFunction.COPY, alpha, dy);
  }

  /** {@code y = a + b}. */
  public static void add(Tensor y, Tensor a, Tensor b) {
    map("add", overwrite(y), ElementwiseFunction.ADD, 1, a, b);
  }

  /** {@code da (+)= dy, db (+)= dy}. */
  public static void addBackward(@Nullable Grad da, @Nullable Grad db, Tensor dy) {
    map("add backward", da, ElementwiseFunction.COPY, 1, dy);
    map("add backward", db, ElementwiseFunction.COPY, 1, dy);
  }

  /** {@code y = a - b}. */
  public static void subtract(Tensor y, Tensor a, Tensor b) {
    map("subtract", overwrite(y), ElementwiseFunction.SUB, 1, a, b);
  }

  /** {@code da (+)= dy, db (+)= -dy}. */
  public static void subtractBackward(@Nullable Grad da, @Nullable Grad db, Tensor dy) {
    map("subtract backward", da, ElementwiseFunction.COPY, 1, dy);
    map("subtract backward", db, ElementwiseFunction.COPY, -1, dy);
  }

  /** {@code y = a · b}. */
  public static void multiply(Tensor y, Tensor a, Tensor b) {
    map("multiply", overwrite(y), ElementwiseFunction.MUL, 1, a, b);
  }

  /** {@code da (+)= dy · b, db (+)= dy · a}. */
  public static void multiplyBackward(
      @Nullable Grad da, @Nullable Grad db, Tensor dy, Tensor a, Tensor b) {
    map("multiply backward", da, ElementwiseFunction.MUL, 1, dy, b);
    map("multiply backward", db, ElementwiseFunction.MUL, 1, dy, a);
  }

  /** {@code y = a / b}. */
  public static void divide(Tensor y, Tensor a, Tensor b) {
    map("divide", overwrite(y), ElementwiseFunction.DIV, 1, a, b);
  }

  /** {@code da (+)= dy / b, db (+)= -dy · y / b}. */
  public static void divideBackward(
      @Nullable Grad da, @Nullable Grad db, Tensor dy, Tensor b, Tensor y) {
    map("divide backward", da, ElementwiseFunction.DIV, 1, dy, b);
    map("divide backward", db, ElementwiseFunction.MUL_DIV, -1, dy, y, b);
  }

  /** {@code y = e^x}. */
  public static void exp(Tensor y, Tensor x) {
    map("exp", overwrite(y), ElementwiseFunction.EXP, 1, x);
  }

  /** {@code dx (+)= dy · y}. */
  public static void expBackward(@Nullable Grad dx, Tensor dy, Tensor y) {
    map("exp backward", dx, ElementwiseFunction.MUL, 1, dy, y);
  }

  /** {@code y = ln x}. */
  public static void log(Tensor y, Tensor x) {
    map("log", overwrite(y), ElementwiseFunction.LOG, 1, x);
  }

  /** {@code dx (+)= dy / x}. */
  public static void logBackward(@Nullable Grad dx, Tensor dy, Tensor x) {
    map("log backward", dx, ElementwiseFunction.DIV, 1, dy, x);
  }

  /** {@code y = √x}. */
  public static void sqrt(Tensor y, Tensor x) {
    map("sqrt", overwrite(y), ElementwiseFunction.SQRT, 1, x);
  }

  /** {@code dx (+)= dy / (2·y)}. */
  public static void sqrtBackward(@Nullable Grad dx, Tensor dy, Tensor y) {
    map("sqrt backward", dx, ElementwiseFunction.DIV, 0.5f, dy, y);
  }

  /**
   * The shape that all of these are broadcast to.
   *
   * @throws IllegalArgumentException where two sizes differ and neither is 1
   */
  public static Shape broadcast(String op, Shape... shapes) {
    int rank = 0;
    for (Shape s : shapes) {
      rank = Math.max(rank, s.rank());
    }
    int[] dims = new int[rank];
    Arrays.fill(dims, 1);
    for (Shape s : shapes) {
      for (int i = 1; i <= s.rank(); i++) {
        int size = s.dim(-i);
        if (size != 1) {
          Check.that(op)
              .is(
                  dims[rank - i] == 1 || dims[rank - i] == size,
                  "shapes "
                      + Arrays.toString(shapes)
                      + " cannot be broadcast: sizes "
                      + dims[rank - i]
                      + " and "
                      + size
                      + " meet in dimension -"
                      + i);
          dims[rank - i] = size;
        }
      }
    }
    return Shape.of(dims);
  }

  private static Grad overwrite(Tensor y) {
    return new Grad(y, false);
  }

  private static void map(
      String op, @Nullable Grad y, ElementwiseFunction f, float alpha, Tensor... in) {
    if (y == null) {
      return;
    }
    Shape[] shapes = new Shape[in.length + 1];
    shapes[in.length] = y.tensor().shape();
    Check check = Check.that(op).floats("the result", y.tensor());
    for (int i = 0; i < in.length; i++) {
      check.floats("input " + i, in[i]);
      shapes[i] = in[i].shape();
    }
    Shape full = broadcast(op, shapes);
    if (full.elements() == 0) {
      if (!y.accumulate()) {
        Fill.zero(y.tensor());
      }
      return;
    }
    switch (y.tensor().device()) {
      case Cpu cpu -> {
        Strided[] operands = new Strided[in.length];
        for (int i = 0; i < in.length; i++) {
          operands[i] = strided(in[i], full);
        }
        ElementwiseCpu.map(
            cpu, f, alpha, y.accumulate(), full.toArray(), strided(y.tensor(), full), operands);
      }
      case Cuda cuda -> {
        Operand[] operands = new Operand[in.length + 1];
        long[][] strides = new long[in.length + 1][];
        for (int i = 0; i <= in.length; i++) {
          Tensor t = i == 0 ? y.tensor() : in[i - 1];
          operands[i] = new Operand(t, t.dtype());
          strides[i] = strides(t, full);
        }
        Loops loops = Loops.of(full.toArray(), strides);
        ElementwiseCuda.map(cuda, f, alpha, y.accumulate(), loops, operands);
      }
    }
  }

  private static Strided strided(Tensor t, Shape full) {
    return new Strided(t.segment(), t.dtype(), strides(t, full));
  }

  /** 0 where {@code t} is broadcast. */
  private static long[] strides(Tensor t, Shape full) {
    long[] strides = new long[full.rank()];
    for (int i = 1; i <= t.rank(); i++) {
      strides[full.rank() - i] = t.dim(-i) == 1 ? 0 : t.stride(-i);
    }
    return strides;
  }
}
