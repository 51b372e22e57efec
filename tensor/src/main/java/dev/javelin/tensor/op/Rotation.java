package dev.javelin.tensor.op;

import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.RopeAngles;
import dev.javelin.kernels.cuda.CudaAngles;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * By which angles the feature pairs of a head turn at each time step. The first 2·R features of a
 * head turn, the others stay (partial rotary embedding).
 *
 * @param cos F32 [P, R] for P positions and R pairs
 * @param sin F32 [P, R]
 * @param positions I32 [T] or [B, T], each in [0, P); {@code null}: {@code offset + t}
 * @param offset the position of the first time step, where there are no {@code positions}
 * @param pairing which features make a pair
 */
public record Rotation(
    Tensor cos, Tensor sin, @Nullable Tensor positions, int offset, Pairing pairing) {

  /** Which features make a pair. */
  public enum Pairing {
    /** Features i and i + R: Llama in the Hugging Face layout. */
    HALVES,
    /** Features 2i and 2i + 1: GPT-J, and Llama as published. */
    NEIGHBOURS
  }

  /** Halves, at the positions 0, 1, 2, … */
  public static Rotation of(Tensor cos, Tensor sin) {
    return new Rotation(cos, sin, null, 0, Pairing.HALVES);
  }

  /** The same tables for time steps from {@code position} on. */
  public Rotation from(int position) {
    return new Rotation(cos, sin, null, position, pairing);
  }

  /** The same tables at given positions. */
  public Rotation at(Tensor positions) {
    return new Rotation(cos, sin, positions, 0, pairing);
  }

  public Rotation pairing(Pairing p) {
    return new Rotation(cos, sin, positions, offset, p);
  }

  /** Requires that it fits heads [B, T, H, D]. */
  void check(String op, Tensor x) {
    int rows = cos.dim(0);
    Check check =
        Check.that(op)
            .rank("cos", cos, 2)
            .dtype("cos", cos, DType.F32)
            .contiguous("cos", cos)
            .sameShape("sin", sin, "cos", cos)
            .dtype("sin", sin, DType.F32)
            .contiguous("sin", sin)
            .is(
                2 * cos.last() <= x.last(),
                () ->
                    "cos has " + cos.last() + " pairs, more than half of a head of x " + x.shape());
    if (positions == null) {
      check.is(
          offset >= 0 && offset + x.dim(1) <= rows,
          () ->
              "positions from "
                  + offset
                  + " to "
                  + (offset + x.dim(1))
                  + " are outside the table of "
                  + rows);
      return;
    }
    boolean shared = positions.rank() == 1;
    check.shape("positions", positions, shared ? Shape.of(x.dim(1)) : Shape.of(x.dim(0), x.dim(1)));
    Ids.check(op, "positions", positions, rows, "table", 0);
  }

  /** As the CPU kernels want it. */
  RopeAngles cpu() {
    return new RopeAngles(
        cos.segment(),
        sin.segment(),
        cos.last(),
        positions == null ? null : positions.segment(),
        positions == null || positions.rank() == 1 ? 0 : positions.dim(1),
        offset,
        pairing == Pairing.NEIGHBOURS);
  }

  /** As the CUDA kernels want it. */
  CudaAngles cuda() {
    return new CudaAngles(
        cos,
        sin,
        cos.dim(0),
        cos.last(),
        positions,
        positions == null || positions.rank() == 1 ? 0 : positions.dim(1),
        offset,
        pairing == Pairing.NEIGHBOURS);
  }
}
