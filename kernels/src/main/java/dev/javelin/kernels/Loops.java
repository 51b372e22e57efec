package dev.javelin.kernels;

import java.util.Arrays;

/**
 * The nest of loops over the elements of several strided operands, the first being the result.
 * Neighbouring dimensions that all operands walk evenly are one loop, dimensions of size 1 none. A
 * dimension along which the result stands still is summed over; the others are kept.
 */
public final class Loops {
  private final long[] dims;
  private final long[][] strides; // [operand][dimension]
  private final int[] kept; // dimensions but the last, outermost first
  private final int[] summed;

  private Loops(long[] dims, long[][] strides) {
    this.dims = dims;
    this.strides = strides;
    int[] outer = java.util.stream.IntStream.range(0, dims.length - 1).toArray();
    this.kept = Arrays.stream(outer).filter(d -> strides[0][d] != 0).toArray();
    this.summed = Arrays.stream(outer).filter(d -> strides[0][d] == 0).toArray();
  }

  /**
   * @param dims of the loops, outermost first, none of them 0
   * @param operands for each its strides in elements, the result's first
   */
  public static Loops of(int[] dims, long[]... operands) {
    long[] d = new long[dims.length + 1];
    long[][] s = new long[operands.length][dims.length + 1];
    int first = dims.length; // of the loops found so far, which stand at the end
    d[first] = 1;
    for (int i = dims.length - 1; i >= 0; i--) {
      if (dims[i] == 1) {
        continue;
      }
      boolean even = d[first] == 1;
      if (!even) {
        even = true;
        for (int o = 0; o < operands.length; o++) {
          even &= operands[o][i] == s[o][first] * d[first];
        }
      } else {
        for (int o = 0; o < operands.length; o++) {
          s[o][first] = operands[o][i];
        }
      }
      if (even) {
        d[first] *= dims[i];
      } else {
        first--;
        d[first] = dims[i];
        for (int o = 0; o < operands.length; o++) {
          s[o][first] = operands[o][i];
        }
      }
    }
    int from = first;
    return new Loops(
        Arrays.copyOfRange(d, from, d.length),
        Arrays.stream(s).map(x -> Arrays.copyOfRange(x, from, x.length)).toArray(long[][]::new));
  }

  /** Number of loops, at least 1. */
  public int count() {
    return dims.length;
  }

  /** Size of a loop, the outermost being 0. */
  public long size(int loop) {
    return dims[loop];
  }

  /** Step of an operand in a loop. */
  public long stride(int operand, int loop) {
    return strides[operand][loop];
  }

  /** Whether the result stands still in a loop. */
  public boolean isSummed(int loop) {
    return dims[loop] > 1 && strides[0][loop] == 0;
  }

  /** Size of the innermost loop. */
  public long last() {
    return dims[dims.length - 1];
  }

  /** Step of an operand in the innermost loop. */
  public long lastStride(int operand) {
    return strides[operand][dims.length - 1];
  }

  public boolean lastIsSummed() {
    return last() > 1 && lastStride(0) == 0;
  }

  /** Passes of the loops around the innermost one that are kept. */
  public long keptCount() {
    return count(kept);
  }

  /** Passes of the loops around the innermost one that are summed over. */
  public long summedCount() {
    return count(summed);
  }

  private long count(int[] over) {
    long n = 1;
    for (int d : over) {
      n *= dims[d];
    }
    return n;
  }

  /**
   * The operand's first element in pass {@code k} of the kept and {@code s} of the summed loops.
   */
  public long start(int operand, long k, long s) {
    return offset(operand, kept, k) + offset(operand, summed, s);
  }

  private long offset(int operand, int[] over, long index) {
    long at = 0;
    for (int i = over.length - 1; i >= 0; i--) {
      int d = over[i];
      at += index % dims[d] * strides[operand][d];
      index /= dims[d];
    }
    return at;
  }
}
