package dev.javelin.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Quantises one matrix [out, in] from its rows, in any order: beside the bytes it makes it keeps a
 * float for each block. An element goes to the nearest value of its block, or of its row.
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
  private int rows;

  /**
   * @param bytes {@link Quantization#bytes}, zeros
   */
  public Quantizer(Quantization format, int out, int in, MemorySegment bytes) {
    if (format == Quantization.NF4 && in % Quantization.BLOCK != 0) {
      throw new IllegalArgumentException(
          "NF4 needs rows of a multiple of %d elements, got [%d, %d]"
              .formatted(Quantization.BLOCK, out, in));
    }
    this.format = format;
    this.out = out;
    this.in = in;
    this.bytes = bytes;
    this.largest =
        format == Quantization.NF4
            ? new float[Math.toIntExact(Quantization.blocks(out, in))]
            : new float[0];
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
    for (int from = 0; from < in; from += Quantization.BLOCK) {
      long first = (long) row * in + from;
      float most = largest(values, from, from + Quantization.BLOCK);
      largest[(int) (first / Quantization.BLOCK)] = most;
      for (int i = 0; i < Quantization.BLOCK; i += 2) {
        int high = code(values[from + i], most);
        int low = code(values[from + i + 1], most);
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
