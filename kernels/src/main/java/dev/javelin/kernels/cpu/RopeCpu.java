package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.HeadRows.FLOAT;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Rotary position embedding of heads, with or without an RMS normalisation of each head before it,
 * of one or several tensors in one pass:
 *
 * <pre>
 * n = x · rstd · (w + offset)             y = R n          R turns pair (a, b) to (a·cos − b·sin, b·cos + a·sin)
 * g = Rᵀ dy                    dw = Σ g · x · rstd
 * dx = rstd · (g·w − x · rstd² · mean(g·w·x)), w with the offset
 * </pre>
 *
 * Rows other than F32 are widened into scratch memory and narrowed on the way out.
 *
 * @see <a href="https://arxiv.org/abs/2104.09864">Su et al. 2021, RoFormer</a>
 */
public final class RopeCpu {
  private static final int PARTS = 16; // of the sums over rows
  private static final int MIN_PART_ROWS = 8;

  private RopeCpu() {}

  /**
   * {@code y = R(n)} for each time step and head of each side.
   *
   * @param eps of the normalisation
   * @param offset added to its weights, in fp32
   */
  public static void forward(
      Cpu cpu,
      List<RopeSide> sides,
      RopeAngles angles,
      int batch,
      int time,
      int dim,
      float eps,
      float offset) {
    int heads = sides.stream().mapToInt(RopeSide::heads).sum();
    cpu.parallel(
        batch * time,
        Rows.grain(heads * dim),
        () -> new RopeRow(cpu, angles, dim),
        (row, from, to) -> {
          for (int i = from; i < to; i++) {
            int b = i / time;
            int t = i % time;
            row.angle(b, t, 1f);
            for (int s = 0; s < sides.size(); s++) {
              forward(row, sides.get(s), eps, offset, b, t, i);
            }
          }
        });
  }

  private static void forward(
      RopeRow row, RopeSide side, float eps, float offset, int b, int t, int i) {
    row.weight(side.weight(), offset, side.x().type());
    for (int h = 0; h < side.heads(); h++) {
      row.open(side.x(), b, t, h);
      if (side.rstd() != null) {
        float rstd = row.rstd(eps);
        side.rstd().setAtIndex(FLOAT, (long) i * side.heads() + h, rstd);
        row.normalise(rstd);
      }
      row.rotate(side.y(), side.y().at(b, t, h), false);
    }
  }

  /** The gradients of {@link #forward}. */
  public static void backward(
      Cpu cpu,
      List<RopeGradSide> sides,
      RopeAngles angles,
      int batch,
      int time,
      int dim,
      float offset) {
    int rows = batch * time;
    int heads = sides.stream().mapToInt(RopeGradSide::heads).sum();
    boolean sums = sides.stream().anyMatch(s -> s.dw() != null);
    int partRows =
        sums ? Math.max(MIN_PART_ROWS, (rows + PARTS - 1) / PARTS) : Rows.grain(heads * dim);
    int parts = (rows + partRows - 1) / partRows;
    long partBytes = 4L * Lanes.pad(dim);
    MemorySegment partial = sums ? cpu.shared(parts * sides.size() * partBytes) : null;
    cpu.parallel(
        rows,
        partRows,
        () -> new RopeRow(cpu, angles, dim),
        (row, from, to) -> {
          long part = from / partRows * sides.size() * partBytes;
          if (partial != null) {
            partial.asSlice(part, sides.size() * partBytes).fill((byte) 0);
          }
          for (int i = from; i < to; i++) {
            int b = i / time;
            int t = i % time;
            row.angle(b, t, -1f);
            for (int s = 0; s < sides.size(); s++) {
              backward(row, sides.get(s), offset, partial, part + s * partBytes, b, t, i);
            }
          }
        });
    for (int s = 0; partial != null && s < sides.size(); s++) {
      reduce(sides.get(s).dw(), partial, s * partBytes, sides.size() * partBytes, parts, dim);
    }
  }

  private static void backward(
      RopeRow row,
      RopeGradSide side,
      float offset,
      @Nullable MemorySegment partial,
      long partAt,
      int b,
      int t,
      int i) {
    HeadGrad dx = side.dx();
    row.weight(side.weight(), offset, side.x().type());
    for (int h = 0; h < side.heads(); h++) {
      row.open(side.dy(), b, t, h);
      if (side.rstd() == null) {
        if (dx != null) {
          row.rotate(dx.view(), dx.view().at(b, t, h), dx.accumulate());
        }
        continue;
      }
      float rstd = side.rstd().getAtIndex(FLOAT, (long) i * side.heads() + h);
      row.rotate();
      row.openSecond(side.x(), b, t, h);
      if (side.dw() != null && partial != null) {
        row.addWeightGradient(partial, partAt, rstd);
      }
      if (dx != null) {
        row.gradient(rstd);
        row.put(dx.view(), dx.view().at(b, t, h), dx.accumulate());
      }
    }
  }

  /** Adds the parts to {@code dw}, in order. */
  private static void reduce(
      @Nullable MemorySegment dw, MemorySegment partial, long at, long step, int parts, int dim) {
    if (dw == null) {
      return;
    }
    for (int d = 0; d < dim; d++) {
      float sum = 0;
      for (int p = 0; p < parts; p++) {
        sum += partial.get(FLOAT, at + p * step + 4L * d);
      }
      dw.setAtIndex(FLOAT, d, dw.getAtIndex(FLOAT, d) + sum);
    }
  }
}
