package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The fp32 vector of this machine: its species, loads and stores at byte offsets, and reductions
 * across lanes in one fixed order. {@code reduceLanes(ADD)} leaves the order to the compiler and
 * gives other bits in the interpreter than in compiled code; the shuffle tree here does not:
 *
 * <pre>
 * 8 lanes   a0 a1 a2 a3 a4 a5 a6 a7
 *           a0+a4  a1+a5  a2+a6  a3+a7
 *           (a0+a4)+(a2+a6)  (a1+a5)+(a3+a7)
 *           ((a0+a4)+(a2+a6)) + ((a1+a5)+(a3+a7))
 * </pre>
 */
final class Lanes {
  /** The widest float species of the machine, 512 bits at most. */
  static final VectorSpecies<Float> SPECIES =
      FloatVector.SPECIES_PREFERRED.length() > 16
          ? FloatVector.SPECIES_512
          : FloatVector.SPECIES_PREFERRED;

  /** Ints of the same shape, for work on the bits of floats. */
  static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, SPECIES.vectorShape());

  /** Lanes of a vector: 4, 8 or 16. */
  static final int COUNT = SPECIES.length();

  /** Bytes of a vector. */
  static final int BYTES = COUNT * Float.BYTES;

  private static final VectorShuffle<Float> ROTATE_8 = rotation(8);
  private static final VectorShuffle<Float> ROTATE_4 = rotation(4);
  private static final VectorShuffle<Float> ROTATE_2 = rotation(2);
  private static final VectorShuffle<Float> ROTATE_1 = rotation(1);

  static final Class<? extends FloatVector> TYPE = type(SPECIES);

  private Lanes() {}

  /**
   * The class of the vectors of {@code species}. After a loop the compiler knows an accumulator as
   * some FloatVector only, until it has found out about the whole loop; if it gives up before, the
   * accumulator lives on the heap and the kernel is a hundred times slower. A cast tells it.
   */
  static Class<? extends FloatVector> type(VectorSpecies<Float> species) {
    return species.vectorType().asSubclass(FloatVector.class);
  }

  private static VectorShuffle<Float> rotation(int by) {
    return VectorShuffle.fromOp(SPECIES, i -> (i + by) % SPECIES.length());
  }

  private static final FloatVector INDEX = FloatVector.zero(SPECIES).addIndex(1);

  /** The first {@code n} lanes. */
  static VectorMask<Float> first(int n) {
    return TYPE.cast(INDEX).compare(LT, (float) n);
  }

  /** {@code n} rounded up to whole vectors. */
  static int pad(int n) {
    return (n + COUNT - 1) / COUNT * COUNT;
  }

  static FloatVector load(MemorySegment m, long byteOffset) {
    return FloatVector.fromMemorySegment(SPECIES, m, byteOffset, ByteOrder.LITTLE_ENDIAN);
  }

  /** From memory that {@link Ram#address} has checked. */
  static FloatVector load(long address) {
    return load(Ram.ALL, address);
  }

  static void store(FloatVector v, long address) {
    store(v, Ram.ALL, address);
  }

  static void store(FloatVector v, MemorySegment m, long byteOffset) {
    TYPE.cast(v).intoMemorySegment(m, byteOffset, ByteOrder.LITTLE_ENDIAN);
  }

  /** Zeros in the bytes {@code [at, at + bytes)}; for some kilobytes faster than a fill. */
  static void clear(MemorySegment m, long at, int bytes) {
    long to = Ram.address(m, at, bytes);
    int last = bytes - BYTES;
    if (last < 0) {
      m.asSlice(at, bytes).fill((byte) 0);
      return;
    }
    for (int i = 0; i < last; i += BYTES) {
      store(zero(), to + i);
    }
    store(zero(), to + last); // over some of the one before
  }

  static FloatVector broadcast(float a) {
    return FloatVector.broadcast(SPECIES, a);
  }

  static FloatVector zero() {
    return FloatVector.zero(SPECIES);
  }

  static IntVector ints(int a) {
    return IntVector.broadcast(INTS, a);
  }

  /** The sum of all lanes, always in the order drawn above. */
  static float sum(FloatVector v) {
    FloatVector s = TYPE.cast(v);
    if (COUNT >= 16) {
      s = s.add(s.rearrange(ROTATE_8));
    }
    if (COUNT >= 8) {
      s = s.add(s.rearrange(ROTATE_4));
    }
    if (COUNT >= 4) {
      s = s.add(s.rearrange(ROTATE_2));
    }
    return s.add(s.rearrange(ROTATE_1)).lane(0);
  }

  /**
   * The larger of each pair of lanes. It may pass over a NaN, unlike {@code FloatVector.max}, and
   * takes two instructions in place of six.
   */
  static FloatVector larger(FloatVector a, FloatVector b) {
    FloatVector before = TYPE.cast(a);
    return before.blend(b, b.compare(GT, before));
  }

  /** The smaller of each pair of lanes; as {@link #larger} otherwise. */
  static FloatVector smaller(FloatVector a, FloatVector b) {
    FloatVector before = TYPE.cast(a);
    return before.blend(b, b.compare(LT, before));
  }

  /** The largest lane; it may pass over a NaN. */
  static float max(FloatVector v) {
    FloatVector m = TYPE.cast(v);
    if (COUNT >= 16) {
      m = larger(m, m.rearrange(ROTATE_8));
    }
    if (COUNT >= 8) {
      m = larger(m, m.rearrange(ROTATE_4));
    }
    if (COUNT >= 4) {
      m = larger(m, m.rearrange(ROTATE_2));
    }
    return larger(m, m.rearrange(ROTATE_1)).lane(0);
  }
}
