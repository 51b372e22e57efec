package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import dev.javelin.device.MachineCode;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.cpu.FewRowsCode.Weights;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * {@link FewRowsCode} and its calls: the sums of a piece of C, with the bits of the loops of {@link
 * MatmulFewRows}.
 *
 * <p>A is packed for it, block by block of up to eight rows; what follows the last whole 16 of k
 * lies behind all blocks, in 16 floats a row.
 */
final class FewRowsMachine extends DotProductMachine {
  private static final int STEP = FewRowsCode.STEP;
  private static final int STEP_BYTES = STEP * Float.BYTES;
  private static final int NEEDED_BITS = 512;
  private static final int MAX_UNROLL = 8;

  /** By rows, streams and unrolling; made when they are needed. */
  private static final Map<Weights, @Nullable MachineCode[]> CODES = new EnumMap<>(Weights.class);

  static {
    int most = FewRowsCode.MAX_ROWS * FewRowsCode.MAX_STREAMS * MAX_UNROLL;
    for (Weights weights : Weights.values()) {
      CODES.put(weights, new MachineCode[most]);
    }
  }

  private final Weights weights;
  private final MatmulOperand b;
  private final int m;
  private final int k;
  private final int unroll;
  private final long rowBytes;

  private FewRowsMachine(
      Weights weights, MatmulOperand b, int m, int k, int blocks, long rowBytes) {
    super(m, blocks, FewRowsCode.streams(Math.ceilDiv(m, blocks)), rowBytes);
    this.weights = weights;
    this.b = b;
    this.m = m;
    this.k = k;
    this.unroll = FewRowsCode.unroll(weights, k);
    this.rowBytes = rowBytes;
  }

  /** For a product with {@code b}; empty where the loops in Java serve it. */
  static Optional<FewRowsMachine> of(MatmulOperand b, int m, int k) {
    QuantizedView q = b.quantized();
    if (k < STEP
        || q != null && q.format() == Quantization.NF4 && k % Quantization.BLOCK != 0
        || Check.OBSTACLE != null) {
      return Optional.empty();
    }
    Weights weights = weights(b);
    int blocks = Math.ceilDiv(m, FewRowsCode.maxRows(weights));
    long rowBytes = q == null ? b.strideBytes() : (long) k * weights.bytes / STEP;
    return Optional.of(new FewRowsMachine(weights, b, m, k, blocks, rowBytes));
  }

  private static Weights weights(MatmulOperand b) {
    QuantizedView q = b.quantized();
    if (q != null) {
      return switch (q.format()) {
        case INT8 -> Weights.INT8;
        case NF4 -> Weights.NF4;
      };
    }
    return switch (b.type()) {
      case F32 -> Weights.F32;
      case BF16 -> Weights.BF16;
      case F16 -> Weights.F16;
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + b.type());
    };
  }

  /** Bytes of A packed, and of memory behind it that packing uses. */
  long packedBytes() {
    return tailsAt() + (long) m * STEP_BYTES + 4L * k;
  }

  private long tailsAt() {
    return 4L * m * (k - k % STEP);
  }

  void pack(long to, MatmulOperand a) {
    long wide = to + tailsAt() + (long) m * STEP_BYTES;
    int whole = k - k % STEP;
    for (int block = 0; block < blocks; block++) {
      int first = firstRow(block);
      int height = firstRow(block + 1) - first;
      for (int i = 0; i < height; i++) {
        long row = a.at(first + i, 0);
        if (a.type() != DType.F32) {
          Half.widen(Ram.ALL, wide, Ram.ALL, row, a.type(), k);
          row = wide;
        }
        long step = to + 4L * first * whole + (long) i * STEP_BYTES;
        for (int p = 0; p < whole; p += STEP) {
          Lanes.store(Lanes.load(row + 4L * p), step);
          step += (long) height * STEP_BYTES;
        }
        for (int p = whole; p < k; p++) {
          Ram.ALL.set(Ram.FLOAT, tail(to, first + i, p), Ram.ALL.get(Ram.FLOAT, row + 4L * p));
        }
      }
    }
  }

  private long tail(long packed, int row, int p) {
    return packed + tailsAt() + (long) row * STEP_BYTES + 4L * (p % STEP);
  }

  /** Bytes of memory of a thread that {@link #sums} needs for pieces of {@code cols} columns. */
  long ownBytes(int cols) {
    return FewRowsCode.PARAMETER_BYTES + 4L * cols * (k / Quantization.BLOCK + 1);
  }

  /** Columns {@code [first, first + count)} of {@code A · Bᵀ}, rows of which lie apart. */
  void sums(long own, long packed, long c, long cRow, int first, int count) {
    QuantizedView q = b.quantized();
    long factors = 0;
    long factorsOfRow = 0;
    if (weights == Weights.INT8 && q != null) {
      factors = q.scale(first);
      factorsOfRow = 4;
    } else if (weights == Weights.NF4 && q != null) {
      int blocksOfRow = k / Quantization.BLOCK;
      factors = own + FewRowsCode.PARAMETER_BYTES;
      factorsOfRow = 4L * blocksOfRow;
      q.largest(factors, (long) first * blocksOfRow, count * blocksOfRow);
    }
    set(own, FewRowsCode.CONSTANTS, Check.CONSTANTS.address());
    set(own, FewRowsCode.LOOPS, k / STEP / unroll);
    set(own, FewRowsCode.GAP, rowBytes - (long) (k / STEP) * weights.bytes);
    long rows = q == null ? b.at(first, 0) : q.bytes().address() + first * rowBytes;
    columns(own, packed, 0, blocks, c, cRow, rows, factors, factorsOfRow, count);
    if (k % STEP != 0) {
      rest(packed, c, cRow, rows, factors, count);
    }
  }

  @Override
  long blockAt(int row) {
    return 4L * row * (k - k % STEP);
  }

  @Override
  MachineCode code(int rows, int streams) {
    return code(weights, rows, streams, unroll);
  }

  /** Adds the last elements of k, one after the other. */
  private void rest(long packed, long c, long cRow, long rows, long factors, int count) {
    for (int j = 0; j < count; j++) {
      for (int p = k - k % STEP; p < k; p++) {
        float w = element(rows + j * rowBytes, p, factors + 4L * j);
        for (int i = 0; i < m; i++) {
          long at = c + i * cRow + 4L * j;
          float a = Ram.ALL.get(Ram.FLOAT, tail(packed, i, p));
          Ram.ALL.set(Ram.FLOAT, at, Math.fma(a, w, Ram.ALL.get(Ram.FLOAT, at)));
        }
      }
    }
  }

  private float element(long row, int p, long factor) {
    return switch (weights) {
      case F32 -> Ram.ALL.get(Ram.FLOAT, row + 4L * p);
      case BF16 -> Half.bf16ToFloat(Ram.ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, row + 2L * p));
      case F16 -> Float.float16ToFloat(Ram.ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, row + 2L * p));
      case INT8 -> Ram.ALL.get(Ram.FLOAT, factor) * Ram.ALL.get(ValueLayout.JAVA_BYTE, row + p);
      case NF4 -> throw new IllegalStateException("rows of NF4 are whole blocks here");
    };
  }

  private static MachineCode code(Weights weights, int rows, int streams, int unroll) {
    int height = (rows - 1) * FewRowsCode.MAX_STREAMS + streams - 1;
    int index = height * MAX_UNROLL + unroll - 1;
    @Nullable MachineCode[] codes = Objects.requireNonNull(CODES.get(weights));
    MachineCode code = codes[index];
    if (code == null) { // two threads may do this at once, and either code is right
      code = MachineCode.load(FewRowsCode.code(weights, rows, streams, unroll)).orElseThrow();
      codes[index] = code;
    }
    return code;
  }

  /** What computes these products here, for people. */
  static String description() {
    return Check.OBSTACLE == null ? "machine code" : "Vector API (" + Check.OBSTACLE + ")";
  }

  /** Made at the first such product. */
  private static final class Check {
    static final MemorySegment CONSTANTS;

    /** Why there is no machine code; {@code null} where there is. */
    static final @Nullable String OBSTACLE;

    static {
      byte[] constants = FewRowsCode.tables();
      CONSTANTS =
          Arena.global().allocate(constants.length, 64).copyFrom(MemorySegment.ofArray(constants));
      OBSTACLE = obstacle();
    }

    private static @Nullable String obstacle() {
      if (MachineCode.obstacle() != null) {
        return MachineCode.obstacle();
      }
      if (VectorWidth.bits() < NEEDED_BITS) {
        return "no vectors of 512 bits";
      }
      MachineCode code = MachineCode.load(FewRowsCode.code(Weights.BF16, 1, 1, 1)).orElse(null);
      if (code == null) {
        return "the system refuses executable memory";
      }
      if (passes(code)) {
        return null;
      }
      String wrong = "machine code gave a wrong sum in the check at the start";
      System.getLogger(FewRowsMachine.class.getName())
          .log(
              System.Logger.Level.WARNING,
              "products of few rows: " + wrong + " and is not used; generating is slower");
      return wrong;
    }

    /** A sum of small whole numbers, which is exact. */
    private static boolean passes(MachineCode code) {
      short one = Half.floatToBf16(1);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment own = arena.allocate(FewRowsCode.PARAMETER_BYTES, 64);
        MemorySegment a = arena.allocate(STEP_BYTES, 64);
        MemorySegment b = arena.allocate(STEP_BYTES, 64);
        float want = 0;
        for (int i = 0; i < STEP; i++) {
          a.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1 << i);
          b.setAtIndex(ValueLayout.JAVA_SHORT, i, i % 3 == 0 ? one : 0);
          want += i % 3 == 0 ? 1 << i : 0;
        }
        MemorySegment c = arena.allocate(4, 4);
        long at = own.address();
        set(at, FewRowsCode.C, c.address());
        set(at, FewRowsCode.A, a.address());
        set(at, FewRowsCode.B, b.address());
        set(at, FewRowsCode.LOOPS, 1);
        set(at, FewRowsCode.GROUPS, 1);
        code.call(at, 0, 0, 0, 0, 0);
        return c.get(ValueLayout.JAVA_FLOAT, 0) == want;
      }
    }

    private Check() {}
  }
}
