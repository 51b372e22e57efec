package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.kernels.Quantization;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The loops of {@link Int8Dot} as machine code: {@code vpdpbusd} multiplies 64 codes of a row of A
 * with 64 of a row of B.
 *
 * <p>It takes bytes without a sign on one side, so 128 is added to the codes of B, in a register,
 * and a sum begins with {@code −128 ·} the codes of A that it will meet. Each lane's sum is then
 * the exact one of the signed codes.
 *
 * <pre>
 * for each 64 of k:   t = start(A[i]);  t += (B[r] + 128) · A[i]    in ints
 *                     sum[i][r] += float(t) · scale(A[i])           INT8
 *                     sum[i][r] += (float(t) · factor(B[r])) · scale(A[i])   NF4
 * </pre>
 *
 * <p>A lies as {@link Int8Activations} packs it for a block of rows.
 */
final class Int8DotCode extends DotProductCode {
  /** Which parts of k there are: whole blocks of 64, a shorter one behind them, or both. */
  enum Extent {
    WHOLE(0),
    WHOLE_AND_REST(1),
    REST(2);

    /** Among codes. */
    final int index;

    Extent(int index) {
      this.index = index;
    }
  }

  private static final int MAX_ROWS = 8;
  private static final int MAX_ROWS_NF4 = 6;
  private static final int MASK_REGISTER = 1; // k1

  // Constants, from the last register down; INT8 has the first alone.
  private static final int HALF = 31; // 128 in each byte; of NF4, levels + 128
  private static final int LOWER = 30; // the lower four bits of each byte
  private static final int SHIFTS = 29;

  private final Quantization weights;
  private final Extent extent;

  // Registers: sums | rows of B | their factors | a row of A, its scale | products | constants
  private final int codes;
  private final int factors;
  private final int a;
  private final int scale;
  private final int products;
  private final int endProducts;
  private int next;

  private Int8DotCode(Quantization weights, int rows, int streams, Extent extent) {
    super(rows, streams, weights == Quantization.NF4);
    this.weights = weights;
    this.extent = extent;
    this.codes = behindSums;
    this.factors = codes + streams;
    this.a = factors + (weights == Quantization.NF4 ? streams : 0);
    this.scale = a + 1;
    this.products = a + 2;
    this.endProducts = firstConstant(weights);
    if (products >= endProducts || behindSums + SPARE > endProducts) {
      throw new IllegalArgumentException(
          "int8 dot products: %d x %d of %s do not fit the registers"
              .formatted(rows, streams, weights));
    }
    if (weights == Quantization.NF4 && extent != Extent.WHOLE) {
      throw new IllegalArgumentException("rows of NF4 are whole blocks here");
    }
  }

  private static int firstConstant(Quantization weights) {
    return weights == Quantization.NF4 ? SHIFTS : HALF;
  }

  /** The most rows of A that a call takes. */
  static int maxRows(Quantization weights) {
    return weights == Quantization.NF4 ? MAX_ROWS_NF4 : MAX_ROWS;
  }

  /** Rows of B at once. */
  static int streams(Quantization weights, int rows) {
    int most = weights == Quantization.NF4 ? 4 : 5;
    return rows <= most ? MAX_STREAMS : MAX_STREAMS - 1;
  }

  /**
   * A function of the address of the parameters. {@code LOOPS} counts whole blocks, {@code MASK}
   * has a bit for each code of the rest, and {@code GAP} is the rest's bytes.
   */
  static byte[] code(Quantization weights, int rows, int streams, Extent extent) {
    return new Int8DotCode(weights, rows, streams, extent).function();
  }

  /** What {@code CONSTANTS} points to: three vectors, the last of which is for NF4 alone. */
  static byte[] tables(Quantization weights) {
    ByteBuffer b = ByteBuffer.allocate(3 * VECTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < VECTOR_BYTES; i++) {
      int level = weights == Quantization.NF4 ? Quantization.level127(i % 16) : 0;
      b.put((byte) (level + 128));
    }
    for (int i = 0; i < VECTOR_BYTES; i++) {
      b.put((byte) 0x0F);
    }
    for (int i = 0; i < 16; i++) {
      b.putInt(i < 8 ? 4 : 0); // even elements, in the upper half of a byte, come first
    }
    return b.array();
  }

  @Override
  void constants() {
    x.mov(RAX, at(RDI, CONSTANTS));
    for (int c = HALF; c >= firstConstant(weights); c--) {
      x.vmovups(c, at(RAX, (HALF - c) * VECTOR_BYTES));
    }
    if (extent != Extent.WHOLE) {
      x.mov(RAX, at(RDI, MASK));
      x.kmovq(MASK_REGISTER, RAX);
    }
  }

  @Override
  void products() {
    if (extent != Extent.REST) {
      int loop = x.here();
      for (int r = 0; r < streams; r++) {
        load(codes + r, STREAMS[r]);
        x.prefetcht0(at(STREAMS[r], PREFETCH_BYTES));
        x.add(STREAMS[r], blockBytes());
      }
      block();
      x.add(RDX, Int8Activations.blockBytes(rows));
      x.sub(RAX, 1);
      x.jnz(loop);
    }
    if (extent != Extent.WHOLE) {
      for (int r = 0; r < streams; r++) {
        x.vmovdqu8(codes + r, MASK_REGISTER, at(STREAMS[r]));
        x.vpxord(codes + r, codes + r, HALF); // adds 128 to a signed byte
      }
      block();
    }
  }

  private int blockBytes() {
    return weights == Quantization.NF4 ? Int8Activations.BLOCK / 2 : Int8Activations.BLOCK;
  }

  /** 64 codes plus 128. */
  private void load(int to, X86.Gp from) {
    switch (weights) {
      case INT8 -> {
        x.vmovups(to, at(from));
        x.vpxord(to, to, HALF);
      }
      case NF4 -> {
        x.vbroadcasti64x4(to, at(from));
        x.vpsrlvd(to, to, SHIFTS);
        x.vpandd(to, to, LOWER);
        x.vpshufb(to, HALF, to);
      }
    }
  }

  /** All rows of A with the codes of B that are loaded. */
  private void block() {
    if (weights == Quantization.NF4) {
      nextFactors(factors);
    }
    for (int i = 0; i < rows; i++) {
      x.vmovups(a, at(RDX, Int8Activations.codesAt(i)));
      x.vbroadcastss(scale, at(RDX, Int8Activations.scaleAt(rows, i)));
      for (int r = 0; r < streams; r++) {
        int t = products + next++ % (endProducts - products);
        x.vmovups(t, at(RDX, Int8Activations.startAt(i)));
        x.vpdpbusd(t, codes + r, a);
        x.vcvtdq2ps(t, t);
        if (weights == Quantization.NF4) {
          x.vmulps(t, t, factors + r);
        }
        x.vfmadd231ps(i * streams + r, t, scale);
      }
    }
  }
}
