package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R10;
import static dev.javelin.kernels.cpu.X86.Gp.R11;
import static dev.javelin.kernels.cpu.X86.Gp.R12;
import static dev.javelin.kernels.cpu.X86.Gp.R13;
import static dev.javelin.kernels.cpu.X86.Gp.R14;
import static dev.javelin.kernels.cpu.X86.Gp.R15;
import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RBP;
import static dev.javelin.kernels.cpu.X86.Gp.RBX;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.Gp.RSP;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.device.MachineCode;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The tiles of {@link TileProduct} as machine code, for vectors of 512 bits: up to 6 rows x 4
 * vectors of C in 24 registers. They have the same bits and wait for no compiler, which takes
 * longer over the tiles of the Vector API than over any other loop of attention.
 *
 * <p>All strides are arguments, so a code serves any layout; there is one for each height and width
 * of a tile. A call computes a column of tiles of equal height.
 */
final class TileProductCode {
  static final int ROWS = 6;
  static final int VECTORS = 4;

  private static final int VECTOR_BYTES = 64;
  private static final int NEEDED_BITS = 512;
  private static final X86.Gp[] PRESERVED = {RBX, RBP, R12, R13, R14, R15};

  // Where the loop over k keeps its addresses: a row of A each, and the row of B.
  private static final X86.Gp[] A = {RBX, RBP, R12, R13, R14, R15};
  private static final X86.Gp B = R10;
  private static final X86.Gp COUNT = R11;

  // On the stack.
  private static final int DEPTH_AT = 0;
  private static final int A_ROW_AT = 8;
  private static final int LOCALS = 16;

  private static final int FIRST_B = ROWS * VECTORS;
  private static final int FIRST_A = FIRST_B + VECTORS;

  private static final boolean IS_HERE =
      VectorWidth.bits() >= NEEDED_BITS && MachineCode.load(code(false, 1, 1)).isPresent();

  /** By what {@link #index} says; made when they are needed. */
  private static final @Nullable MachineCode[] CODES = new MachineCode[2 * ROWS * VECTORS];

  private TileProductCode() {}

  /**
   * The product of {@link TileProduct#multiply}, by addresses.
   *
   * @return whether it was computed: there is machine code, {@code depth} is not 0, and every
   *     stride fits into 31 bits
   */
  static boolean multiply(
      long c,
      long cRow,
      long a,
      long aRow,
      long aStep,
      long b,
      long bRow,
      int rows,
      int vectors,
      int depth,
      boolean add) {
    if (!IS_HERE || depth <= 0 || (cRow | aRow | aStep | bRow) >>> 31 != 0) {
      return false;
    }
    long between = aRow | cRow << 32;
    long inner = aStep | bRow << 32;
    int tiles = rows / ROWS;
    int left = rows - tiles * ROWS;
    for (int v = 0; v < vectors; v += VECTORS) {
      int width = Math.min(VECTORS, vectors - v);
      long columns = (long) v * VECTOR_BYTES;
      if (tiles > 0) {
        long counts = depth | (long) tiles << 32;
        get(add, ROWS, width).call(c + columns, a, b + columns, between, inner, counts);
      }
      if (left > 0) {
        long to = c + columns + (rows - left) * cRow;
        long from = a + (rows - left) * aRow;
        get(add, left, width).call(to, from, b + columns, between, inner, depth | 1L << 32);
      }
    }
    return true;
  }

  private static MachineCode get(boolean add, int rows, int vectors) {
    int index = index(add, rows, vectors);
    MachineCode code = CODES[index];
    if (code == null) { // two threads may do this at once, and either code is right
      code = MachineCode.load(code(add, rows, vectors)).orElseThrow();
      CODES[index] = code;
    }
    return code;
  }

  private static int index(boolean add, int rows, int vectors) {
    return ((add ? ROWS : 0) + rows - 1) * VECTORS + vectors - 1;
  }

  /**
   * {@code (c, a, b, aRow | cRow << 32, aStep | bRow << 32, depth | tiles << 32)}: the first
   * registers are the sums, row by row, zmm24 to zmm27 a row of B, zmm28 to zmm31 elements of A in
   * turn.
   */
  static byte[] code(boolean add, int rows, int vectors) {
    X86 x = new X86();
    for (X86.Gp register : PRESERVED) {
      x.push(register);
    }
    x.mov32(RAX, RCX);
    x.push(RAX); // aRow
    x.mov32(RAX, R9);
    x.push(RAX); // depth
    x.mov32(RAX, R8); // aStep
    x.shr(RCX, 32); // cRow
    x.shr(R8, 32); // bRow
    x.shr(R9, 32); // tiles
    int tile = x.here();
    for (int row = 0; row < rows; row++) {
      x.mov(A[row], RSI);
      x.add(RSI, at(RSP, A_ROW_AT));
    }
    x.mov(B, RDI);
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        int sum = row * vectors + v;
        if (add) {
          x.vmovups(sum, at(B, v * VECTOR_BYTES));
        } else {
          x.vpxord(sum, sum, sum);
        }
      }
      if (add) {
        x.add(B, RCX);
      }
    }
    x.mov(B, RDX);
    x.mov(COUNT, at(RSP, DEPTH_AT));
    int loop = x.here();
    for (int v = 0; v < vectors; v++) {
      x.vmovups(FIRST_B + v, at(B, v * VECTOR_BYTES));
    }
    for (int row = 0; row < rows; row++) {
      int a = FIRST_A + row % (32 - FIRST_A);
      x.vbroadcastss(a, at(A[row]));
      for (int v = 0; v < vectors; v++) {
        x.vfmadd231ps(row * vectors + v, a, FIRST_B + v);
      }
      x.add(A[row], RAX);
    }
    x.add(B, R8);
    x.sub(COUNT, 1);
    x.jnz(loop);
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        x.vmovups(at(RDI, v * VECTOR_BYTES), row * vectors + v);
      }
      x.add(RDI, RCX);
    }
    x.sub(R9, 1);
    x.jnz(tile);
    x.add(RSP, LOCALS);
    for (X86.Gp register : List.of(PRESERVED).reversed()) {
      x.pop(register);
    }
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
