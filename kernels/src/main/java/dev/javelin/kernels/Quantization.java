package dev.javelin.kernels;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;

/**
 * How the weights of a frozen matrix [out, in] are kept in fewer bits. All of a matrix is one run
 * of bytes, its parts at multiples of 4; i counts its elements row by row.
 *
 * <pre>
 * INT8   out·in codes of 8 bits | out scales, fp32
 *        w = scale[row] · code, code in −127 … 127, scale the row's largest |w| / 127
 *        8 + 32/in bits a weight
 *
 * NF4    out·in codes of 4 bits, the even element in the upper half of a byte
 *        | for each block of 64 elements 8 bits | for each 256 blocks a scale, fp32 | offset, fp32
 *        w = largest[i / 64] · LEVELS[code],  largest[b] = offset + scale[b / 256] · code8[b]
 *        4 + 8/64 + 32/(64·256) = 4.127 bits a weight
 * </pre>
 *
 * @see <a href="https://arxiv.org/abs/2208.07339">Dettmers et al. 2022, LLM.int8()</a>, of which
 *     INT8 is the part without outliers
 * @see <a href="https://arxiv.org/abs/2305.14314">Dettmers et al. 2023, QLoRA</a>, NF4 with double
 *     quantisation
 */
public enum Quantization {
  INT8,
  NF4;

  /** Elements of NF4 that share a largest value. */
  public static final int BLOCK = 64;

  /** Largest values that share a scale. */
  public static final int OUTER_BLOCK = 256;

  private static final float[] LEVELS = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f
  };

  /**
   * The 16 values of NF4, ascending: means of neighbouring quantiles of the standard normal
   * distribution, scaled to ±1, with an exact zero (QLoRA, section 3 and appendix E).
   */
  public static float[] levels() {
    return LEVELS.clone();
  }

  /** Level {@code code} of NF4. */
  public static float level(int code) {
    return LEVELS[code];
  }

  /** Level {@code code} of NF4 in 127ths, to the nearest: what stands for it in {@code int8}. */
  public static int level127(int code) {
    return Math.round(127 * LEVELS[code]);
  }

  /** The name in settings and kernels. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Bytes of a matrix. */
  public long bytes(int out, int in) {
    return switch (this) {
      case INT8 -> scalesAt(out, in) + 4L * out;
      case NF4 -> offsetAt(out, in) + 4;
    };
  }

  /** Where fp32 scales begin: of rows, or of blocks of blocks. */
  public long scalesAt(int out, int in) {
    long n = (long) out * in;
    return switch (this) {
      case INT8 -> aligned(n);
      case NF4 -> aligned(largestAt(out, in) + blocks(out, in));
    };
  }

  /** Where the 8 bits of each block begin. */
  public static long largestAt(int out, int in) {
    return aligned(((long) out * in + 1) / 2);
  }

  /** Where the offset of largest values stands. */
  public static long offsetAt(int out, int in) {
    return NF4.scalesAt(out, in) + 4 * ((blocks(out, in) + OUTER_BLOCK - 1) / OUTER_BLOCK);
  }

  /** Blocks of 64 elements. */
  public static long blocks(int out, int in) {
    return ((long) out * in + BLOCK - 1) / BLOCK;
  }

  private static long aligned(long bytes) {
    return (bytes + 3) / 4 * 4;
  }

  /** The largest value of a block of NF4, as it is kept. */
  public static float largest(MemorySegment bytes, int out, int in, long block) {
    float offset = bytes.get(FLOAT, offsetAt(out, in));
    float scale = bytes.get(FLOAT, NF4.scalesAt(out, in) + 4 * (block / OUTER_BLOCK));
    byte code = bytes.get(ValueLayout.JAVA_BYTE, largestAt(out, in) + block);
    return Math.fma(scale, code, offset);
  }

  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
}
