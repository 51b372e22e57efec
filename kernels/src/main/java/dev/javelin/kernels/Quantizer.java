package dev.javelin.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Quantises one matrix [out, in] from its rows, in any order: beside the bytes it makes it keeps a
 * float for each block, and the matrix itself where blocks of NF4 span rows. An element goes to the
 * nearest value of its block, or of its row.
 */
public final class Quantizer {
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  /** Largest codes of {@code INT8} and of NF4's largest values. */
  private static final int MOST = 127;

  private final Quantization format;
  private final int out;
  private final int in;
  private final MemorySegment bytes;
  private final float[] largest; // of blocks of NF4
  private final float @Nullable [] all; // where blocks of NF4 span rows
  private int rows;

  /**
   * @param bytes {@link Quantization#bytes}, zeros
   */
  public Quantizer(Quantization format, int out, int in, MemorySegment bytes) {
    this.format = format;
    this.out = out;
    this.in = in;
    this.bytes = bytes;
    this.largest =
        format == Quantization.NF4
            ? new float[Math.toIntExact(Quantization.blocks(out, in))]
            : new float[0];
    this.all =
        format == Quantization.NF4 && in % Quantization.BLOCK != 0
            ? new float[Math.multiplyExact(out, in)]
            : null;
  }

  /**
   * Takes a row; each one once.
   *
   * @return whether it was the last one, and the bytes are complete
   */
  public boolean put(int row, float[] values) {
    switch (format) {
      case INT8 -> int8(row, values);
      case NF4 -> nf4(row, values);
    }
    if (++rows < out) {
      return false;
    }
    if (format == Quantization.NF4) {
      if (all != null) {
        blocks(all, all.length, 0);
      }
      finish();
    }
    return true;
  }

  private void int8(int row, float[] values) {
    float scale = largest(values, 0, in) / MOST;
    bytes.set(FLOAT, format.scalesAt(out, in) + 4L * row, scale);
    for (int i = 0; i < in; i++) {
      int code = scale == 0 ? 0 : Math.round(values[i] / scale);
      bytes.set(BYTE, (long) row * in + i, (byte) Math.clamp(code, -MOST, MOST));
    }
  }

  private void nf4(int row, float[] values) {
    if (all == null) {
      blocks(values, in, (long) row * in);
    } else {
      System.arraycopy(values, 0, all, row * in, in);
    }
  }

  /** Codes and largest values of n elements, the first of which begins a block. */
  private void blocks(float[] values, int n, long first) {
    for (int from = 0; from < n; from += Quantization.BLOCK) {
      int to = Math.min(n, from + Quantization.BLOCK);
      float most = largest(values, from, to);
      largest[(int) ((first + from) / Quantization.BLOCK)] = most;
      for (int i = from; i < to; i += 2) {
        int high = code(values[i], most);
        int low = i + 1 < to ? code(values[i + 1], most) : 0;
        bytes.set(BYTE, (first + i) / 2, (byte) (high << 4 | low));
      }
    }
  }

  private static float largest(float[] values, int from, int to) {
    float most = 0;
    for (int i = from; i < to; i++) {
      most = Math.max(most, Math.abs(values[i]));
    }
    return most;
  }

  /** The nearest level. */
  private static int code(float value, float most) {
    double x = most == 0 ? 0 : (double) value / most;
    int code = 0;
    for (int c = 1; c < 16; c++) {
      double middle = ((double) Quantization.level(c - 1) + Quantization.level(c)) / 2;
      code = x > middle ? c : code;
    }
    return code;
  }

  /** The second quantisation: largest values less their mean, in 8 bits. */
  private void finish() {
    double sum = 0;
    for (float x : largest) {
      sum += x;
    }
    float offset = (float) (sum / largest.length);
    bytes.set(FLOAT, Quantization.offsetAt(out, in), offset);
    for (int from = 0; from < largest.length; from += Quantization.OUTER_BLOCK) {
      int to = Math.min(largest.length, from + Quantization.OUTER_BLOCK);
      float most = 0;
      for (int b = from; b < to; b++) {
        most = Math.max(most, Math.abs(largest[b] - offset));
      }
      float scale = most / MOST;
      long at = format.scalesAt(out, in) + 4L * (from / Quantization.OUTER_BLOCK);
      bytes.set(FLOAT, at, scale);
      for (int b = from; b < to; b++) {
        int code = scale == 0 ? 0 : Math.round((largest[b] - offset) / scale);
        bytes.set(BYTE, Quantization.largestAt(out, in) + b, (byte) Math.clamp(code, -MOST, MOST));
      }
    }
  }
}
