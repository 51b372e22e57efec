package dev.javelin.example.handbook;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * {@code y = x + sin²(a·x) / a}, with a frequency a of its own for each feature: an activation for
 * what repeats itself. x, y [.., C], a [C], fp32, contiguous; no a is 0.
 *
 * @see <a href="https://arxiv.org/abs/2006.08195">Ziyin, Hartwig, Ueda 2020</a>
 */
public final class Snake {
  private static final int ROWS = 64; // of a piece, for any number of threads
  private static final int COLUMNS = 16;

  private Snake() {}

  /** On a tape: forward now, and how to run backward. */
  public static Var snake(Var x, Var a) {
    Tensor y = x.like();
    forward(y, x.value(), a.value());
    return x.tape()
        .record(
            "snake",
            y,
            Tape.inputs(x, a),
            out -> backward(x.grad(), a.grad(), out.dy(), x.value(), a.value()));
  }

  static void forward(Tensor y, Tensor x, Tensor a) {
    check(x, a).sameShape("y", y, "x", x).contiguous("y", y);
    int cols = x.last();
    switch (x.device()) {
      case Cpu cpu -> {
        MemorySegment ys = y.segment();
        MemorySegment xs = x.segment();
        MemorySegment as = a.segment();
        cpu.parallel(
            x.rows(),
            ROWS,
            (from, to) -> {
              for (long i = (long) from * cols; i < (long) to * cols; i++) {
                float v = at(xs, i);
                float f = at(as, i % cols);
                float s = sin(f * v);
                ys.setAtIndex(JAVA_FLOAT, i, v + s * s / f);
              }
            });
      }
      case Cuda cuda ->
          cuda.kernel("snake_forward")
              .threads(x.elements())
              .ptr(y)
              .ptr(x)
              .ptr(a)
              .i64(x.elements())
              .i32(cols)
              .run();
    }
  }

  /** {@code null} where a gradient is not wanted; otherwise written, or added to. */
  static void backward(@Nullable Grad dx, @Nullable Grad da, Tensor dy, Tensor x, Tensor a) {
    check(x, a).sameShape("dy", dy, "x", x).contiguous("dy", dy).like("dx", dx, "x", x);
    if (dx != null) {
      Check.that("snake").contiguous("dx", dx.tensor()); // of part of a tensor it might not be
    }
    switch (x.device()) {
      case Cpu cpu -> {
        if (dx != null) {
          backwardX(cpu, dx, dy, x, a);
        }
        if (da != null) {
          backwardA(cpu, da, dy, x, a);
        }
      }
      case Cuda cuda -> {
        if (dx != null) {
          cuda.kernel("snake_backward_x")
              .threads(x.elements())
              .ptr(dx.tensor())
              .i32(dx.accumulate() ? 1 : 0)
              .ptr(dy)
              .ptr(x)
              .ptr(a)
              .i64(x.elements())
              .i32(x.last())
              .run();
        }
        if (da != null) {
          cuda.kernel("snake_backward_a")
              .threads(x.last())
              .ptr(da.tensor())
              .i32(da.accumulate() ? 1 : 0)
              .ptr(dy)
              .ptr(x)
              .ptr(a)
              .i32(x.rows())
              .i32(x.last())
              .run();
        }
      }
    }
  }

  private static void backwardX(Cpu cpu, Grad dx, Tensor dy, Tensor x, Tensor a) {
    int cols = x.last();
    MemorySegment out = dx.tensor().segment();
    MemorySegment dys = dy.segment();
    MemorySegment xs = x.segment();
    MemorySegment as = a.segment();
    cpu.parallel(
        x.rows(),
        ROWS,
        (from, to) -> {
          for (long i = (long) from * cols; i < (long) to * cols; i++) {
            float d = at(dys, i) * (1 + sin(2 * at(as, i % cols) * at(xs, i)));
            out.setAtIndex(JAVA_FLOAT, i, dx.accumulate() ? at(out, i) + d : d);
          }
        });
  }

  /** In pieces of columns: each sum is one thread's, from the first row to the last. */
  private static void backwardA(Cpu cpu, Grad da, Tensor dy, Tensor x, Tensor a) {
    int rows = x.rows();
    int cols = x.last();
    MemorySegment out = da.tensor().segment();
    MemorySegment dys = dy.segment();
    MemorySegment xs = x.segment();
    MemorySegment as = a.segment();
    cpu.parallel(
        cols,
        COLUMNS,
        (from, to) -> {
          for (int c = from; c < to; c++) {
            float f = at(as, c);
            float sum = da.accumulate() ? at(out, c) : 0;
            for (long i = c; i < (long) rows * cols; i += cols) {
              float v = at(xs, i);
              float s = sin(f * v) / f;
              sum += at(dys, i) * (v * sin(2 * f * v) / f - s * s);
            }
            out.setAtIndex(JAVA_FLOAT, c, sum);
          }
        });
  }

  private static Check check(Tensor x, Tensor a) {
    return Check.that("snake")
        .dtype("x", x, DType.F32)
        .contiguous("x", x)
        .dtype("a", a, DType.F32)
        .shape("a", a, Shape.of(x.last()));
  }

  private static float at(MemorySegment s, long i) {
    return s.getAtIndex(JAVA_FLOAT, i);
  }

  /** Math.sin may differ in its last bit between the interpreter and the compiler. */
  private static float sin(float x) {
    return (float) StrictMath.sin(x);
  }
}
