package dev.javelin.kernels.cpu;

import dev.javelin.device.MachineCode;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.cpu.Int8DotCode.Extent;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** {@link Int8DotCode} and its calls: the sums of {@link Int8Dot}, with the bits of its loops. */
final class Int8DotMachine extends DotProductMachine {
  private static final int MOST_ROWS = 8;
  private static final int BLOCK = Int8Activations.BLOCK;

  /** By extent, rows and streams; made when they are needed. */
  private static final Map<Quantization, @Nullable MachineCode[]> CODES =
      new EnumMap<>(Quantization.class);

  static {
    for (Quantization q : Quantization.values()) {
      int most = MOST_ROWS * DotProductCode.MAX_STREAMS * Extent.values().length;
      CODES.put(q, new MachineCode[most]);
    }
  }

  private final QuantizedView w;
  private final int m;
  private final int k;
  private final Extent extent;

  private Int8DotMachine(QuantizedView w, int m, int blocks) {
    super(
        m,
        blocks,
        Int8DotCode.streams(w.format(), Math.ceilDiv(m, blocks)),
        (long) w.in() * Int8Dot.bits(w.format()) / Byte.SIZE);
    this.w = w;
    this.m = m;
    this.k = w.in();
    this.extent = k % BLOCK == 0 ? Extent.WHOLE : k > BLOCK ? Extent.WHOLE_AND_REST : Extent.REST;
  }

  /** For m rows of A with {@code w}; empty where the loops in Java serve them. */
  static Optional<Int8DotMachine> of(QuantizedView w, int m) {
    if (Check.OBSTACLE != null) {
      return Optional.empty();
    }
    return Optional.of(new Int8DotMachine(w, m, Math.ceilDiv(m, Int8DotCode.maxRows(w.format()))));
  }

  /** Bytes of A packed. */
  long packedBytes() {
    long scales = (long) blocks * Int8Activations.blockBytes(0);
    return Int8Activations.blocks(k) * (scales + m * rowBytes());
  }

  private static long rowBytes() {
    return Int8Activations.blockBytes(1) - (long) Int8Activations.blockBytes(0);
  }

  @Override
  long blockAt(int row) {
    return Int8Activations.blocks(k)
        * (block(row) * (long) Int8Activations.blockBytes(0) + row * rowBytes());
  }

  /** The block that a row is in. */
  private int block(int row) {
    int block = (int) ((long) row * blocks / m);
    return firstRow(block + 1) <= row ? block + 1 : block;
  }

  void pack(long to, long own, MatmulOperand a, int row) {
    int block = block(row);
    int first = firstRow(block);
    Int8Activations.pack(
        to + blockAt(first), firstRow(block + 1) - first, row - first, w.format(), own, a, row, k);
  }

  /** Bytes of a thread's memory that {@link #sums} needs for pieces of {@code cols} columns. */
  static long ownBytes(int cols, int k) {
    return DotProductCode.PARAMETER_BYTES + 4L * cols * (k / Quantization.BLOCK + 1);
  }

  /** Columns {@code [first, first + count)} of C from blocks {@code [from, to)} of A. */
  void sums(long own, long packed, int from, int to, long c, long cRow, int first, int count) {
    long factors = 0;
    long factorsOfRow = 0;
    if (w.format() == Quantization.NF4) {
      int blocksOfRow = k / Quantization.BLOCK;
      factors = own + DotProductCode.PARAMETER_BYTES;
      factorsOfRow = 4L * blocksOfRow;
      w.largest(factors, (long) first * blocksOfRow, count * blocksOfRow);
    }
    int rest = k % BLOCK;
    set(own, DotProductCode.CONSTANTS, Check.tables(w.format()).address());
    set(own, DotProductCode.LOOPS, k / BLOCK);
    set(own, DotProductCode.GAP, rest);
    set(own, DotProductCode.MASK, (1L << rest) - 1);
    long b = Int8Dot.row(w, first);
    columns(own, packed, from, to, c, cRow, b, factors, factorsOfRow, count);
  }

  @Override
  MachineCode code(int rows, int streams) {
    return code(w.format(), rows, streams, extent);
  }

  private static MachineCode code(Quantization weights, int rows, int streams, Extent extent) {
    int index = (extent.index * MOST_ROWS + rows - 1) * DotProductCode.MAX_STREAMS + streams - 1;
    @Nullable MachineCode[] codes = Objects.requireNonNull(CODES.get(weights));
    MachineCode code = codes[index];
    if (code == null) { // two threads may do this at once, and either code is right
      code = MachineCode.load(Int8DotCode.code(weights, rows, streams, extent)).orElseThrow();
      codes[index] = code;
    }
    return code;
  }

  /** What computes these products here, for people. */
  static String description() {
    return Check.OBSTACLE == null
        ? "avx512_vnni, machine code"
        : "Vector API (" + Check.OBSTACLE + ")";
  }

  /** Made at the first such product. */
  private static final class Check {
    private static final Map<Quantization, MemorySegment> TABLES =
        new EnumMap<>(Quantization.class);

    /** Why there is no machine code; {@code null} where there is. */
    static final @Nullable String OBSTACLE;

    static {
      for (Quantization q : Quantization.values()) {
        byte[] tables = Int8DotCode.tables(q);
        TABLES.put(
            q, Arena.global().allocate(tables.length, 64).copyFrom(MemorySegment.ofArray(tables)));
      }
      OBSTACLE = obstacle();
    }

    static MemorySegment tables(Quantization q) {
      return Objects.requireNonNull(TABLES.get(q));
    }

    private static @Nullable String obstacle() {
      if (MachineCode.obstacle() != null) {
        return MachineCode.obstacle();
      }
      if (!Processor.THIS.avx512Vnni()) {
        return "no avx512_vnni";
      }
      MachineCode code =
          MachineCode.load(Int8DotCode.code(Quantization.INT8, 1, 1, Extent.WHOLE)).orElse(null);
      if (code == null) {
        return "the system refuses executable memory";
      }
      if (passes(code)) {
        return null;
      }
      String wrong = "machine code gave a wrong sum in the check at the start";
      System.getLogger(Int8DotMachine.class.getName())
          .log(
              System.Logger.Level.WARNING,
              "int8 dot products: " + wrong + " and is not used; generating is slower");
      return wrong;
    }

    /**
     * The largest sum of one block, which is exact: −127 · 127 · 64, of lanes that all reach it.
     */
    private static boolean passes(MachineCode code) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment own = arena.allocate(DotProductCode.PARAMETER_BYTES, 64);
        MemorySegment a = arena.allocate(Int8Activations.blockBytes(1), 64);
        MemorySegment b = arena.allocate(BLOCK, 64).fill((byte) -127);
        for (int i = 0; i < BLOCK; i++) {
          a.set(ValueLayout.JAVA_BYTE, Int8Activations.codesAt(0) + i, (byte) 127);
        }
        for (int i = 0; i < BLOCK / 4; i++) {
          a.set(ValueLayout.JAVA_INT, Int8Activations.startAt(0) + 4 * i, -128 * 127 * 4);
        }
        a.set(ValueLayout.JAVA_FLOAT, Int8Activations.scaleAt(1, 0), 0.5f);
        MemorySegment c = arena.allocate(4, 4);
        long at = own.address();
        set(at, DotProductCode.C, c.address());
        set(at, DotProductCode.A, a.address());
        set(at, DotProductCode.B, b.address());
        set(at, DotProductCode.CONSTANTS, tables(Quantization.INT8).address());
        set(at, DotProductCode.LOOPS, 1);
        set(at, DotProductCode.GROUPS, 1);
        code.call(at, 0, 0, 0, 0, 0);
        return c.get(ValueLayout.JAVA_FLOAT, 0) == -127 * 127 * BLOCK * 0.5f;
      }
    }

    private Check() {}
  }
}
