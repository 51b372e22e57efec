package dev.javelin.kernels.cpu;

import java.util.Arrays;

/**
 * The tiles of AMX: eight of up to 16 rows of 64 bytes. Limits and order of additions are those of
 * the manual; what would be #UD or #GP is an {@link X86Fault}.
 */
final class X86Tiles {
  private static final int TILES = 8;
  private static final int MAX_ROWS = 16;
  private static final int MAX_BYTES = 64;

  private final X86Memory memory;
  private final int[] config = new int[16];
  private final int[] rows = new int[TILES];
  private final int[] rowBytes = new int[TILES];
  private final int[][][] tile = new int[TILES][MAX_ROWS][MAX_BYTES / 4];
  private boolean configured;

  X86Tiles(X86Memory memory) {
    this.memory = memory;
  }

  boolean configured() {
    return configured;
  }

  void reset() {
    configured = false;
    Arrays.fill(config, 0);
    Arrays.fill(rows, 0);
    Arrays.fill(rowBytes, 0);
    for (int[][] t : tile) {
      clear(t, 0);
    }
  }

  void run(X86Instruction i, long address, long stride) {
    switch (i.op) {
      case LDTILECFG -> configure(address);
      case STTILECFG -> memory.write(address, config, 16);
      case TILERELEASE -> reset();
      case TILEZERO -> {
        valid(i.reg);
        clear(tile[i.reg], 0);
      }
      case TILELOADD, TILELOADDT1 -> {
        needSib(i);
        valid(i.reg);
        int[] row = new int[16];
        for (int m = 0; m < rows[i.reg]; m++) {
          memory.read(address + m * stride, row, rowBytes[i.reg] / 4);
          tile[i.reg][m] = row.clone();
        }
        clear(tile[i.reg], rows[i.reg]);
      }
      case TILESTORED -> {
        needSib(i);
        valid(i.reg);
        for (int m = 0; m < rows[i.reg]; m++) {
          memory.write(address + m * stride, tile[i.reg][m], rowBytes[i.reg] / 4);
        }
      }
      case TDPBF16PS -> multiply(i.reg, i.rm, i.vvvv);
      default -> throw new X86Fault("not executed by this machine");
    }
  }

  private void configure(long address) {
    int[] c = new int[16];
    memory.read(address, c, 16);
    int palette = c[0] & 0xff;
    if (palette > 1) {
      throw new X86Fault("#GP: palette " + palette);
    }
    reset();
    if (palette == 0) {
      return;
    }
    if ((c[0] >>> 8 & 0xff) != 0) {
      throw new X86Fault("a start row, which only an interrupt leaves behind, is not known");
    }
    boolean reserved = c[0] >>> 16 != 0;
    for (int n : new int[] {1, 2, 3, 8, 9, 10, 11, 14, 15}) {
      reserved |= c[n] != 0;
    }
    if (reserved) {
      throw new X86Fault("#GP: reserved bytes of the configuration are not 0");
    }
    for (int t = 0; t < TILES; t++) {
      rowBytes[t] = c[4 + t / 2] >>> 16 * (t & 1) & 0xffff;
      rows[t] = c[12 + t / 4] >>> 8 * (t & 3) & 0xff;
      if (rows[t] > MAX_ROWS || rowBytes[t] > MAX_BYTES || rows[t] == 0 != (rowBytes[t] == 0)) {
        int wrongRows = rows[t];
        int wrongBytes = rowBytes[t];
        reset();
        throw new X86Fault(
            "#GP: tile %d of %d rows of %d bytes".formatted(t, wrongRows, wrongBytes));
      }
    }
    System.arraycopy(c, 0, config, 0, 16);
    configured = true;
  }

  private void valid(int t) {
    if (!configured) {
      throw new X86Fault("#UD: no tile is configured");
    }
    if (t >= TILES || rows[t] == 0) {
      throw new X86Fault("#UD: tile " + t + " is not configured");
    }
    if (rowBytes[t] % 4 != 0) {
      throw new X86Fault("rows of %d bytes are not known".formatted(rowBytes[t]));
    }
  }

  private static void needSib(X86Instruction i) {
    if (!i.sib) {
      throw new X86Fault("#UD: a tile's address needs a SIB byte");
    }
  }

  /** {@code dest[m, n] += a[m, 2k] · b[2k, n]}: for each dword of a row of a, a row of b. */
  private void multiply(int dest, int a, int b) {
    valid(dest);
    valid(a);
    valid(b);
    if (dest == a || dest == b || a == b) {
      throw new X86Fault("#UD: the three tiles must differ");
    }
    if (rows[dest] != rows[a] || rowBytes[dest] != rowBytes[b] || rowBytes[a] / 4 != rows[b]) {
      throw new X86Fault(
          "#UD: sizes do not fit: [%d, %d] from [%d, %d] and [%d, %d] (rows, bytes)"
              .formatted(rows[dest], rowBytes[dest], rows[a], rowBytes[a], rows[b], rowBytes[b]));
    }
    int columns = rowBytes[dest] / 4;
    for (int m = 0; m < rows[dest]; m++) {
      float[] even = new float[columns];
      float[] odd = new float[columns];
      for (int k = 0; k < rowBytes[a] / 4; k++) {
        int pair = tile[a][m][k];
        for (int n = 0; n < columns; n++) {
          int other = tile[b][k][n];
          even[n] = FlushedFloat.fma(X86Vector.low(pair), X86Vector.low(other), even[n]);
          odd[n] = FlushedFloat.fma(X86Vector.high(pair), X86Vector.high(other), odd[n]);
        }
      }
      for (int n = 0; n < columns; n++) {
        float sum = FlushedFloat.add(even[n], odd[n]);
        float c = Float.intBitsToFloat(tile[dest][m][n]);
        tile[dest][m][n] = Float.floatToRawIntBits(FlushedFloat.add(c, sum));
      }
      Arrays.fill(tile[dest][m], columns, 16, 0);
    }
    clear(tile[dest], rows[dest]);
  }

  private static void clear(int[][] t, int fromRow) {
    for (int m = fromRow; m < MAX_ROWS; m++) {
      Arrays.fill(t[m], 0);
    }
  }
}
