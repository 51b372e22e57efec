package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.HeadRows.FLOAT;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * One head at one position: what {@link RopeCpu} does to it. Vectors are fp32, padded with zeros in
 * scratch memory; F32 heads of a whole number of vectors are read and written where they lie.
 */
final class RopeRow {
  private final RopeAngles angles;
  private final int dim;
  private final int padded;
  private final MemorySegment scratch;
  private final long xAt;
  private final long secondAt;
  private final long resultAt;
  private final long weightAt;
  private final long cosAt; // of interleaved pairs, for each feature
  private final long sinAt; // with the sign of its term

  private long tableRow;
  private float direction;
  private MemorySegment x;
  private long at;
  private MemorySegment second;
  private long secondBegin;
  private boolean weighted;

  RopeRow(Cpu cpu, RopeAngles angles, int dim) {
    this.angles = angles;
    this.dim = dim;
    this.padded = Lanes.pad(dim);
    ScratchLayout layout = new ScratchLayout();
    long row = 4L * padded;
    this.xAt = layout.reserve(row);
    this.secondAt = layout.reserve(row);
    this.resultAt = layout.reserve(row);
    this.weightAt = layout.reserve(row);
    this.cosAt = layout.reserve(row);
    this.sinAt = layout.reserve(row);
    this.scratch = cpu.scratch(layout.bytes());
    this.x = scratch;
    this.second = scratch;
  }

  /**
   * Takes the angles of a time step.
   *
   * @param direction 1 to turn forward, −1 back
   */
  void angle(int b, int t, float direction) {
    this.direction = direction;
    this.tableRow = angles.row(b, t);
    if (angles.interleaved()) {
      for (int i = 0; i < angles.pairs(); i++) {
        float c = angles.cos().get(FLOAT, tableRow + 4L * i);
        float s = direction * angles.sin().get(FLOAT, tableRow + 4L * i);
        scratch.set(FLOAT, cosAt + 8L * i, c);
        scratch.set(FLOAT, cosAt + 8L * i + 4, c);
        scratch.set(FLOAT, sinAt + 8L * i, -s);
        scratch.set(FLOAT, sinAt + 8L * i + 4, s);
      }
    }
  }

  /** Takes the weight of the normalisation plus {@code offset}, where there is one. */
  void weight(@Nullable MemorySegment weight, float offset, DType type) {
    weighted = weight != null;
    if (weight != null) {
      Half.widen(scratch, weightAt, weight, 0, type, dim);
      for (long i = weightAt; offset != 0 && i < weightAt + 4L * dim; i += 4) {
        scratch.set(FLOAT, i, scratch.get(FLOAT, i) + offset);
      }
      pad(weightAt);
    }
  }

  private void pad(long row) {
    for (int i = dim; i < padded; i++) {
      scratch.set(FLOAT, row + 4L * i, 0f);
    }
  }

  /** Makes a head the operand. */
  void open(HeadView view, int b, int t, int h) {
    at = view.at(b, t, h);
    x = view.data();
    if (!view.direct(dim)) {
      Half.widen(scratch, xAt, x, at, view.type(), dim);
      pad(xAt);
      x = scratch;
      at = xAt;
    }
  }

  /** Makes a head the second operand: what was normalised. */
  void openSecond(HeadView view, int b, int t, int h) {
    secondBegin = view.at(b, t, h);
    second = view.data();
    if (!view.direct(dim)) {
      Half.widen(scratch, secondAt, second, secondBegin, view.type(), dim);
      pad(secondAt);
      second = scratch;
      secondBegin = secondAt;
    }
  }

  /** {@code 1 / sqrt(mean(x²) + eps)} of the operand. */
  float rstd(float eps) {
    FloatVector sum = Lanes.zero();
    for (long i = at; i < at + 4L * padded; i += Lanes.BYTES) {
      FloatVector v = Lanes.load(x, i);
      sum = v.fma(v, sum);
    }
    return (float) (1 / Math.sqrt((double) Lanes.sum(sum) / dim + eps));
  }

  /** {@code x·rstd·w} becomes the operand. */
  void normalise(float rstd) {
    FloatVector factor = Lanes.broadcast(rstd);
    for (long i = 0; i < 4L * padded; i += Lanes.BYTES) {
      FloatVector n = Lanes.load(x, at + i).mul(factor);
      n = weighted ? n.mul(Lanes.load(scratch, weightAt + i)) : n;
      Lanes.store(n, scratch, xAt + i);
    }
    x = scratch;
    at = xAt;
  }

  /** The operand, turned, becomes the operand. */
  void rotate() {
    turn(scratch, resultAt);
    pad(resultAt);
    x = scratch;
    at = resultAt;
  }

  /** The operand, turned, goes to a head. */
  void rotate(HeadView to, long toAt, boolean accumulate) {
    if (to.direct(dim) && !accumulate) {
      turn(to.data(), toAt);
    } else {
      turn(scratch, resultAt);
      HeadRows.put(to, toAt, scratch, resultAt, secondAt, dim, accumulate);
    }
  }

  private void turn(MemorySegment to, long toAt) {
    if (angles.interleaved()) {
      turnNeighbours(to, toAt);
    } else {
      turnHalves(to, toAt);
    }
    for (long i = 8L * angles.pairs(); i < 4L * dim; i += 4) {
      to.set(FLOAT, toAt + i, x.get(FLOAT, at + i));
    }
  }

  private void turnHalves(MemorySegment to, long toAt) {
    MemorySegment cos = angles.cos();
    MemorySegment sin = angles.sin();
    FloatVector sign = Lanes.broadcast(direction);
    long half = 4L * angles.pairs();
    long i = 0;
    for (; i + Lanes.BYTES <= half; i += Lanes.BYTES) {
      FloatVector a = Lanes.load(x, at + i);
      FloatVector b = Lanes.load(x, at + half + i);
      FloatVector c = Lanes.load(cos, tableRow + i);
      FloatVector s = Lanes.load(sin, tableRow + i).mul(sign);
      Lanes.store(a.fma(c, b.mul(s).neg()), to, toAt + i);
      Lanes.store(b.fma(c, a.mul(s)), to, toAt + half + i);
    }
    for (; i < half; i += 4) {
      float c = cos.get(FLOAT, tableRow + i);
      float s = sin.get(FLOAT, tableRow + i) * direction;
      float a = x.get(FLOAT, at + i);
      float b = x.get(FLOAT, at + half + i);
      to.set(FLOAT, toAt + i, Math.fma(a, c, -(b * s)));
      to.set(FLOAT, toAt + half + i, Math.fma(b, c, a * s));
    }
  }

  private void turnNeighbours(MemorySegment to, long toAt) {
    long end = 8L * angles.pairs();
    long i = 0;
    for (; i + Lanes.BYTES <= end; i += Lanes.BYTES) {
      FloatVector v = Lanes.load(x, at + i);
      FloatVector term = v.rearrange(HeadRows.SWAP_1).mul(Lanes.load(scratch, sinAt + i));
      Lanes.store(v.fma(Lanes.load(scratch, cosAt + i), term), to, toAt + i);
    }
    for (; i < end; i += 4) {
      float term = x.get(FLOAT, at + (i ^ 4)) * scratch.get(FLOAT, sinAt + i);
      float c = scratch.get(FLOAT, cosAt + i);
      to.set(FLOAT, toAt + i, Math.fma(x.get(FLOAT, at + i), c, term));
    }
  }

  /** {@code dw += g·x·rstd} for g the operand, x the second. */
  void addWeightGradient(MemorySegment dw, long dwAt, float rstd) {
    FloatVector factor = Lanes.broadcast(rstd);
    for (long i = 0; i < 4L * padded; i += Lanes.BYTES) {
      FloatVector n = Lanes.load(second, secondBegin + i).mul(factor);
      Lanes.store(n.fma(Lanes.load(x, at + i), Lanes.load(dw, dwAt + i)), dw, dwAt + i);
    }
  }

  /**
   * {@code rstd·(g·w − x·rstd²·mean(g·w·x))} becomes the operand, for g the operand, x the second.
   */
  void gradient(float rstd) {
    FloatVector sum = Lanes.zero();
    for (long i = 0; i < 4L * padded; i += Lanes.BYTES) {
      FloatVector g = Lanes.load(x, at + i);
      g = weighted ? g.mul(Lanes.load(scratch, weightAt + i)) : g;
      Lanes.store(g, scratch, resultAt + i);
      sum = g.fma(Lanes.load(second, secondBegin + i), sum);
    }
    FloatVector factor = Lanes.broadcast(rstd);
    FloatVector mean = Lanes.broadcast(-rstd * rstd * (Lanes.sum(sum) / dim));
    for (long i = 0; i < 4L * padded; i += Lanes.BYTES) {
      FloatVector g =
          Lanes.load(second, secondBegin + i).fma(mean, Lanes.load(scratch, resultAt + i));
      Lanes.store(g.mul(factor), scratch, resultAt + i);
    }
    x = scratch;
    at = resultAt;
  }

  /** The operand, which must stand in scratch memory, goes to a head. */
  void put(HeadView to, long toAt, boolean accumulate) {
    HeadRows.put(to, toAt, scratch, at, secondAt, dim, accumulate);
  }
}
