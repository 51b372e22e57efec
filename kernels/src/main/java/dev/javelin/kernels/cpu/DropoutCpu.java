package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;

/** Random zeros that are drawn again instead of kept. */
public final class DropoutCpu {
  private static final int CHUNK = 4096; // elements
  private static final int SLOT = 4 * CHUNK; // bytes

  private DropoutCpu() {}

  /**
   * What decides a mask besides the place of the element.
   *
   * @param firstSequence index of the tensor's first sequence in the batch of the whole step
   * @param site which of the model's dropouts this is
   */
  public record Key(long seed, int step, int firstSequence, int site) {}

  /**
   * {@code y[b, i] (+)= x[b, i] / (1-p)} where {@code u >= p·2³²}, and 0 elsewhere; u is word
   * {@code i mod 4} of {@link Philox} at counter (i / 4, firstSequence + b, step, site) under key
   * seed.
   *
   * @param y contiguous, of x's type; may be x
   * @param x {@code sequences} times {@code elements} elements, contiguous
   */
  public static void apply(
      Cpu cpu,
      MemorySegment y,
      boolean accumulate,
      MemorySegment x,
      DType type,
      int sequences,
      long elements,
      float p,
      Key key) {
    int chunks = Math.toIntExact(Math.ceilDiv(elements, CHUNK));
    Strided in = new Strided(x, type, 1);
    Strided out = new Strided(y, type, 1);
    cpu.parallel(
        Math.multiplyExact(sequences, chunks),
        1,
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(3L * SLOT);
          int[] words = new int[Philox.WORDS];
          for (int piece = from; piece < to; piece++) {
            int sequence = piece / chunks;
            long first = (long) (piece % chunks) * CHUNK;
            int n = (int) Math.min(CHUNK, elements - first);
            mask(scratch, words, first, n, key.firstSequence + sequence, p, key);
            long at = sequence * elements + first;
            in.load(at, 1, n, scratch, SLOT);
            if (accumulate) {
              out.load(at, 1, n, scratch, 2 * SLOT);
            }
            for (int i = 0; i < 4 * n; i += Lanes.BYTES) {
              var v = Lanes.load(scratch, i).mul(Lanes.load(scratch, SLOT + i));
              v = accumulate ? v.add(Lanes.load(scratch, 2 * SLOT + i)) : v;
              Lanes.store(v, scratch, SLOT + i);
            }
            out.store(at, 1, n, scratch, SLOT);
          }
        });
  }

  /** An element is kept where its random word, unsigned, is at least this. */
  public static long threshold(float p) {
    return (long) (p * 0x1p32);
  }

  /** What an element that is kept is multiplied by. */
  public static float scale(float p) {
    return 1 / (1 - p);
  }

  /** Factors 0 or 1/(1-p) of elements {@code first} and on, which is a multiple of four. */
  private static void mask(
      MemorySegment scratch, int[] words, long first, int n, int sequence, float p, Key key) {
    long threshold = threshold(p);
    float kept = scale(p);
    for (int i = 0; i < n; i += Philox.WORDS) {
      Philox.block(
          words, (int) ((first + i) / Philox.WORDS), sequence, key.step, key.site, key.seed);
      for (int j = 0; j < Philox.WORDS; j++) {
        float factor = Integer.toUnsignedLong(words[j]) >= threshold ? kept : 0;
        scratch.set(JAVA_FLOAT_UNALIGNED, 4L * (i + j), factor);
      }
    }
  }
}
