package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.LSHL;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.Quantization;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorSpecies;
import org.jspecify.annotations.Nullable;

/**
 * The product of activations and a quantised weight by whole numbers: {@code y = x · wᵀ}, the rows
 * of x as codes of 8 bits ({@link Int8Activations}). x [m, k], w [n, k], y [m, n]; x and y of any
 * float type. 2·m·n·k FLOPs; w is read once for each 256 rows of x.
 *
 * <pre>
 * for block b of 64 elements of k and l = 0 … 15:
 *   t[b, l] = Σ_j code(x)[b, 4l + j] · code(w)[b, 4l + j], j = 0 … 3         exact, in ints
 *   s[l]    = fma(t[b, l], scale(x)[b], s[l])                                INT8
 *             fma(t[b, l] · largest(w)[b], scale(x)[b], s[l])                NF4
 * y = (the sum of s) · scale(w)                                              INT8
 *     (the sum of s) · (1 / 127), code(w) being 127ths of a level            NF4
 * </pre>
 *
 * <p>Of NF4, whose rows are whole blocks here, the even elements of a block come first in {@code
 * code(x)} and {@code code(w)}, the odd ones behind them. The chains s are added in the order of
 * {@link MatmulFewRows}. So the bits of a row of y depend on that row of x and on w alone: not on
 * the rows beside it, and not on threads, the width of vectors or the processor. {@link
 * Int8DotCode} serves where it can; elsewhere, the loops here.
 */
final class Int8Dot {
  private static final int BLOCK = Int8Activations.BLOCK;
  private static final int CHAINS = 16;
  private static final int ACCUMULATORS = 4;
  private static final int PARTS = CHAINS / Lanes.COUNT; // accumulators of a row of w
  private static final int ROWS = ACCUMULATORS / PARTS; // of w at once
  private static final long CHAINS_BYTES = (long) ACCUMULATORS * Lanes.BYTES;
  private static final int PIECE_ELEMENTS = 64 << 10; // of w
  private static final int PANEL_ROWS = 256; // of x
  private static final int SERIAL_ROWS = 8; // of x, that one thread quantises
  private static final int GRAIN = 4; // of x, that a thread quantises at once
  private static final float LEVEL = 1 / 127f;
  private static final VectorSpecies<Short> SHORTS =
      VectorSpecies.of(short.class, Lanes.SPECIES.vectorShape());

  /** Both codes of each byte of NF4, as bytes of levels. */
  private static final short[] LEVELS = levels();

  private final Cpu cpu;
  private final Rows y;
  private final MatmulOperand x;
  private final QuantizedView w;
  private final int m;
  private final int k;
  private final int pieceCols;
  private final MatmulEpilogue epilogue;

  private static short[] levels() {
    short[] pairs = new short[256];
    for (int i = 0; i < pairs.length; i++) {
      int even = Quantization.level127(i >> 4);
      pairs[i] = (short) (even & 0xFF | Quantization.level127(i & 15) << 8);
    }
    return pairs;
  }

  Int8Dot(Cpu cpu, Rows y, Rows x, QuantizedView w, MatmulEpilogue epilogue) {
    this.cpu = cpu;
    this.y = y;
    this.m = x.count();
    this.k = w.in();
    this.x = MatmulOperand.of("x", x.data(), x.type(), x.stride(), true, m, k);
    this.w = w;
    this.epilogue = epilogue;
    MatmulOperand.check("y", y.data(), y.type(), y.stride(), m, w.out());
    // Whole vectors of any width: an activation in the epilogue works on these.
    this.pieceCols = Math.max(1, PIECE_ELEMENTS / k / CHAINS) * CHAINS;
  }

  /** Whether w can be multiplied so: rows of NF4 must be whole blocks. */
  static boolean fits(QuantizedView w) {
    return w.format() != Quantization.NF4 || w.in() % BLOCK == 0;
  }

  /** Of a code. */
  static int bits(Quantization format) {
    return switch (format) {
      case INT8 -> 8;
      case NF4 -> 4;
    };
  }

  /** Address of a row of codes. */
  static long row(QuantizedView w, int row) {
    return w.bytes().address() + (long) row * w.in() * bits(w.format()) / Byte.SIZE;
  }

  void run() {
    run(Int8DotMachine.of(w, m).orElse(null));
  }

  /**
   * @param machine {@code null} for the loops in Java, which give the same bits
   */
  void run(@Nullable Int8DotMachine machine) {
    long rowBytes = Int8Activations.planesBytes(k);
    long packed = cpu.shared(machine == null ? m * rowBytes : machine.packedBytes()).address();
    if (m < SERIAL_ROWS) {
      pack(machine, packed, 0, m);
    } else {
      cpu.parallel(m, GRAIN, (from, to) -> pack(machine, packed, from, to));
    }
    int pieces = Math.ceilDiv(w.out(), pieceCols);
    if (machine == null) {
      cpu.parallel(
          Math.ceilDiv(m, PANEL_ROWS) * pieces,
          1,
          (from, to) -> {
            for (int i = from; i < to; i++) {
              int row = i / pieces * PANEL_ROWS;
              piece(packed, row, Math.min(m, row + PANEL_ROWS), i % pieces * pieceCols);
            }
          });
      return;
    }
    int panelBlocks = PANEL_ROWS / Int8DotCode.maxRows(w.format());
    cpu.parallel(
        Math.ceilDiv(machine.blocks, panelBlocks) * pieces,
        1,
        (from, to) -> {
          for (int i = from; i < to; i++) {
            int block = i / pieces * panelBlocks;
            int end = Math.min(machine.blocks, block + panelBlocks);
            piece(machine, packed, block, end, i % pieces * pieceCols);
          }
        });
  }

  private void pack(@Nullable Int8DotMachine machine, long packed, int from, int to) {
    long own = cpu.scratch(Int8Activations.ownBytes(k)).address();
    for (int i = from; i < to; i++) {
      if (machine != null) {
        machine.pack(packed, own, x, i);
      } else {
        long row = packed + i * Int8Activations.planesBytes(k);
        Int8Activations.planes(row, w.format(), own, x, i, k);
      }
    }
  }

  // Memory of the thread: fp32 piece of y [rows, pieceCols] | what the code needs

  private void piece(Int8DotMachine machine, long packed, int block, int end, int first) {
    int row = machine.firstRow(block);
    int rows = machine.firstRow(end) - row;
    long stripBytes = 4L * rows * pieceCols;
    long strip = cpu.scratch(stripBytes + Int8DotMachine.ownBytes(pieceCols, k)).address();
    int count = Math.min(w.out() - first, pieceCols);
    machine.sums(strip + stripBytes, packed, block, end, strip, 4L * pieceCols, first, count);
    store(strip, row, rows, first, count);
  }

  // Memory of the thread: piece | chains | rows of w in bytes | their factors

  private void piece(long packed, int row, int end, int first) {
    int blocks = Int8Activations.blocks(k);
    long stripBytes = 4L * (end - row) * pieceCols;
    long codesAt = stripBytes + CHAINS_BYTES;
    long factorsAt = codesAt + (long) ROWS * BLOCK * blocks;
    long strip = cpu.scratch(factorsAt + 4L * ROWS * blocks).address();
    long factors = strip + factorsAt;
    boolean asItLies = w.format() == Quantization.INT8 && k % BLOCK == 0;
    for (int i = 0; i < ROWS * blocks; i++) {
      Ram.ALL.set(Ram.FLOAT, factors + 4L * i, 1);
    }
    int count = Math.min(w.out() - first, pieceCols);
    for (int j = 0; j < count; j += ROWS) {
      int now = Math.min(ROWS, count - j);
      long b = asItLies ? row(w, first + j) : strip + codesAt;
      for (int r = 0; r < now && !asItLies; r++) {
        bytes(b + (long) r * BLOCK * blocks, first + j + r);
      }
      if (w.format() == Quantization.NF4) {
        w.largest(factors, (long) (first + j) * blocks, now * blocks);
      }
      for (int i = row; i < end; i++) {
        long out = strip + stripBytes;
        chains(out, packed + i * Int8Activations.planesBytes(k), b, factors, now);
        for (int r = 0; r < now; r++) {
          float sum = Lanes.sum(MatmulFewRows.folded(out + 4L * CHAINS * r));
          Ram.ALL.set(Ram.FLOAT, strip + 4L * ((i - row) * pieceCols + j + r), sum);
        }
      }
    }
    store(strip, row, end - row, first, count);
  }

  /** A row of w as bytes, in whole blocks. */
  private void bytes(long to, int row) {
    long from = row(w, row);
    if (w.format() == Quantization.INT8) {
      long bytes = (long) BLOCK * Int8Activations.blocks(k);
      MemorySegment.copy(Ram.ALL, from, Ram.ALL, to, k);
      Ram.ALL.asSlice(to + k, bytes - k).fill((byte) 0);
      return;
    }
    for (int block = 0; block < k / BLOCK; block++) {
      for (int i = 0; i < BLOCK / 2; i++) {
        byte two = Ram.ALL.get(ValueLayout.JAVA_BYTE, from + i);
        short levels = LEVELS[two & 0xFF];
        Ram.ALL.set(ValueLayout.JAVA_BYTE, to + i, (byte) levels);
        Ram.ALL.set(ValueLayout.JAVA_BYTE, to + BLOCK / 2 + i, (byte) (levels >> 8));
      }
      from += BLOCK / 2;
      to += BLOCK;
    }
  }

  /** The chains of a row of x with up to {@link #ROWS} rows of w, 16 floats for each. */
  private void chains(long out, long x, long b, long factors, int count) {
    int blocks = Int8Activations.blocks(k);
    long rowBytes = (long) BLOCK * blocks;
    long b0 = at(b, rowBytes, 0, count) + place(0);
    long b1 = at(b, rowBytes, 1, count) + place(1);
    long b2 = at(b, rowBytes, 2, count) + place(2);
    long b3 = at(b, rowBytes, 3, count) + place(3);
    long f0 = at(factors, 4L * blocks, 0, count);
    long f1 = at(factors, 4L * blocks, 1, count);
    long f2 = at(factors, 4L * blocks, 2, count);
    long f3 = at(factors, 4L * blocks, 3, count);
    long scales = x + Int8Activations.planeScales(k);
    FloatVector s0 = Lanes.zero();
    FloatVector s1 = Lanes.zero();
    FloatVector s2 = Lanes.zero();
    FloatVector s3 = Lanes.zero();
    for (long i = 0; i < blocks; i++) {
      long at = BLOCK * i;
      long planes = x + 2 * at;
      FloatVector scale = Lanes.broadcast(Ram.ALL.get(Ram.FLOAT, scales + 4 * i));
      s0 = product(planes + place(0), b0 + at, f0 + 4 * i).fma(scale, s0);
      s1 = product(planes + place(1), b1 + at, f1 + 4 * i).fma(scale, s1);
      s2 = product(planes + place(2), b2 + at, f2 + 4 * i).fma(scale, s2);
      s3 = product(planes + place(3), b3 + at, f3 + 4 * i).fma(scale, s3);
    }
    Lanes.store(s0, out);
    Lanes.store(s1, out + Lanes.BYTES);
    Lanes.store(s2, out + 2L * Lanes.BYTES);
    Lanes.store(s3, out + 3L * Lanes.BYTES);
  }

  /** What an accumulator reads of the row of w that is its own; what is missing is read twice. */
  private static long at(long first, long step, int accumulator, int count) {
    return first + Math.min(accumulator / PARTS, count - 1) * step;
  }

  /** Where an accumulator's bytes of a block lie; likewise its shorts of a plane. */
  private static long place(int accumulator) {
    return accumulator % PARTS * (long) Lanes.BYTES;
  }

  /**
   * For each lane the sum of four products, times a factor. Two of them fit a short: 127 · 127 · 2.
   */
  private static FloatVector product(long planes, long b, long factor) {
    ShortVector two = ShortVector.fromMemorySegment(SHORTS, Ram.ALL, b, ByteOrder.LITTLE_ENDIAN);
    ShortVector even =
        ShortVector.fromMemorySegment(SHORTS, Ram.ALL, planes, ByteOrder.LITTLE_ENDIAN);
    ShortVector odd =
        ShortVector.fromMemorySegment(SHORTS, Ram.ALL, planes + BLOCK, ByteOrder.LITTLE_ENDIAN);
    IntVector pairs =
        two.lanewise(LSHL, 8)
            .lanewise(ASHR, 8)
            .mul(even)
            .add(two.lanewise(ASHR, 8).mul(odd))
            .reinterpretAsInts();
    IntVector four = pairs.lanewise(LSHL, 16).lanewise(ASHR, 16).add(pairs.lanewise(ASHR, 16));
    FloatVector t = Lanes.TYPE.cast(four.convert(I2F, 0));
    return t.mul(Lanes.broadcast(Ram.ALL.get(Ram.FLOAT, factor)));
  }

  /** Rows and columns of y, from sums that lack the factor of their column. */
  private void store(long strip, int row, int rows, int first, int count) {
    long stride = 4L * pieceCols;
    boolean ofRows = w.format() == Quantization.INT8;
    long scales = ofRows ? w.scale(first) : 0;
    FloatVector level = Lanes.broadcast(LEVEL);
    for (int i = 0; i < rows; i++) {
      long at = strip + i * stride;
      int j = 0;
      for (; j + Lanes.COUNT <= count; j += Lanes.COUNT) {
        FloatVector factor = ofRows ? Lanes.load(scales + 4L * j) : level;
        Lanes.store(Lanes.load(at + 4L * j).mul(factor), at + 4L * j);
      }
      for (; j < count; j++) {
        float factor = ofRows ? Ram.ALL.get(Ram.FLOAT, scales + 4L * j) : LEVEL;
        Ram.ALL.set(Ram.FLOAT, at + 4L * j, Ram.ALL.get(Ram.FLOAT, at + 4L * j) * factor);
      }
    }
    epilogue.apply(Ram.ALL, strip, stride, row, rows, first, count);
    for (int i = 0; i < rows; i++) {
      long to = y.type().bytes((row + i) * y.stride() + first);
      Half.narrow(y.data(), to, y.type(), Ram.ALL, strip + i * stride, count);
    }
  }
}
