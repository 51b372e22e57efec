package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Parallel;
import java.lang.foreign.MemorySegment;

/**
 * One matrix product {@code C[m, n] (+)= A[m, k] · B[k, n]}: its blocking, and the loops around the
 * register tile.
 *
 * <pre>
 * for each chunk of columns whose packed B fits the last-level cache
 *   pack B (and A, if it has few rows) into panels                  in parallel
 *   for each block of rows (x group of columns)                     in parallel
 *     pack A, unless done
 *     for each strip of columns, for each pass over k               the strip of C stays in L2
 *       for each panel of B, for each panel of A: tile
 *     epilogue on the strip, rows to C
 * </pre>
 *
 * The passes over k depend on the sizes only and so do the sums of every element of C; blocks,
 * groups and strips only decide who computes it when. A small C with a long k has too few tiles for
 * a team: there the passes run in parallel too, into partial matrices that are added in order.
 */
final class MatmulBlocking {
  /** Longest pass over k: long, since each pass reads and writes C again. */
  private static final int MAX_PASS = 1024;

  /** Passes are multiples of this and of the tile's step, both powers of two. */
  private static final int MIN_STEP = 8;

  private static final int SPLIT_PASS = 512;
  private static final int SPLIT_MAX_AREA = 1 << 14;
  private static final int SPLIT_MIN_DEPTH = 1 << 10;

  private static final int CHUNK_ELEMENTS = 2 << 20; // packed B: 8 MB
  private static final int CHUNK_MIN_COLS = 256;
  private static final int BLOCK_ELEMENTS = 96 << 10; // packed A of one pass: 384 kB of L2
  private static final int BLOCK_TOTAL_ELEMENTS = 1 << 20; // packed A of all passes: 4 MB
  private static final int MIN_BLOCK_PANELS = 4;
  private static final int STRIP_COLS = 512;
  private static final int PIECES_PER_THREAD = 8;
  private static final int MIN_PIECES_PER_THREAD = 3;
  private static final int PIECE_ELEMENTS = 8 << 10; // of packing or summing
  private static final int BF16_BYTES = 2;
  private static final long MAX_PREPACKED_ELEMENTS = 8L << 20;

  private final Cpu cpu;
  private final MatmulTile tile;
  private final boolean team;
  private final MemorySegment c;
  private final DType cType;
  private final long ldc;
  private final MatmulOperand a;
  private final MatmulOperand b;
  private final int m;
  private final int n;
  private final int k;
  private final boolean accumulate;
  private final MatmulEpilogue epilogue;

  private final int kc;
  private final int passes;
  private final boolean split;
  private final boolean rounded;
  private final boolean direct;
  private final int rowPanels;
  private final int colPanels;
  private final int chunkPanels;
  private final boolean prepacked;
  private final int blockPanels;
  private final int blocks;
  private final int groupPanels;
  private final int stripPanels;

  // The chunk in work and where its panels lie.
  private int firstColPanel;
  private int colPanelsNow;
  private long packedB;
  private long packedA;
  private long partials;

  /**
   * @param team whether the loops may use the team of {@code cpu}; false inside a parallel loop
   */
  MatmulBlocking(
      Cpu cpu,
      MatmulTile tile,
      boolean team,
      MemorySegment c,
      DType cType,
      long ldc,
      MatmulOperand a,
      MatmulOperand b,
      int m,
      int n,
      int k,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    this.cpu = cpu;
    this.tile = tile.reading(a, b, m, n);
    this.team = team;
    this.c = c;
    this.cType = cType;
    this.ldc = ldc;
    this.a = a;
    this.b = b;
    this.m = m;
    this.n = n;
    this.k = k;
    this.accumulate = accumulate;
    this.epilogue = epilogue;

    split = (long) m * n <= SPLIT_MAX_AREA && k >= SPLIT_MIN_DEPTH;
    int wanted = Math.ceilDiv(k, split ? SPLIT_PASS : MAX_PASS);
    int step = Math.max(MIN_STEP, tile.kStep());
    kc = Math.ceilDiv(Math.ceilDiv(k, wanted), step) * step;
    passes = Math.ceilDiv(k, kc);
    rounded =
        cType == DType.BF16
            && tile.rounds()
            && passes == 1
            && !accumulate
            && epilogue.equals(MatmulEpilogue.NONE);
    direct = cType == DType.F32 || split || rounded;

    rowPanels = Math.ceilDiv(m, tile.rows);
    colPanels = Math.ceilDiv(n, tile.cols);
    long chunkCols = Math.max(CHUNK_MIN_COLS, CHUNK_ELEMENTS / k);
    chunkPanels = (int) Math.min(colPanels, chunkCols / tile.cols);

    int pieces = team ? PIECES_PER_THREAD * cpu.threads() : 1;
    int most = Math.min(BLOCK_ELEMENTS / kc, BLOCK_TOTAL_ELEMENTS / k) / tile.rows;
    prepacked =
        split || (rowPanels < MIN_BLOCK_PANELS * pieces && (long) m * k <= MAX_PREPACKED_ELEMENTS);
    int share = prepacked ? MIN_BLOCK_PANELS : Math.max(MIN_BLOCK_PANELS, rowPanels / pieces);
    blockPanels = Math.clamp(share, 1, Math.max(1, most));
    blocks = Math.ceilDiv(rowPanels, blockPanels);
    int groups = prepacked ? Math.ceilDiv(pieces, blocks * (split ? passes : 1)) : 1;
    groupPanels = Math.ceilDiv(chunkPanels, groups);
    stripPanels =
        direct && passes == 1 ? groupPanels : Math.min(groupPanels, STRIP_COLS / tile.cols);
  }

  void run() {
    boolean packsA = prepacked && !tile.readsA();
    long bBytes = tile.readsB() ? 0 : (long) passes * chunkPanels * tile.panelBytes(tile.cols, kc);
    long aBytes = packsA ? (long) passes * rowPanels * tile.panelBytes(tile.rows, kc) : 0;
    long sums = split ? (long) passes * m * n : 0;
    long bytes = bBytes + aBytes + 4 * sums;
    packedB =
        team ? cpu.shared(bytes).address() : cpu.scratch(bytes + ownBytes()).address() + ownBytes();
    packedA = packedB + bBytes;
    partials = packedA + aBytes;
    for (int first = 0; first < colPanels; first += chunkPanels) {
      firstColPanel = first;
      colPanelsNow = Math.min(chunkPanels, colPanels - first);
      int units = passes * (panelsOfB() + (packsA && first == 0 ? rowPanels : 0));
      if (units > 0) {
        int share = Math.ceilDiv(units, MIN_PIECES_PER_THREAD * cpu.threads());
        int together = Math.min(share, Math.max(tile.sideBySide(a), tile.sideBySide(b)));
        each(units, Math.max(together, PIECE_ELEMENTS / (kc * tile.cols)), this::pack);
      }
      int groups = Math.ceilDiv(colPanelsNow, groupPanels);
      each(blocks * groups * (split ? passes : 1), 1, this::multiply);
    }
    if (split) {
      each(m, Math.max(1, PIECE_ELEMENTS / (n * passes)), this::sumPartials);
    }
  }

  /** Panels of B that are packed now, in each pass. */
  private int panelsOfB() {
    return tile.readsB() ? 0 : colPanelsNow;
  }

  private void each(int count, int grain, Parallel.Range body) {
    if (team) {
      cpu.parallel(count, grain, body);
    } else {
      body.run(0, count);
    }
  }

  // Memory of the thread: packed A | one tile | fp32 strip of C | spare for packing

  private long ownBytes() {
    return spareOffset() + tile.spareBytes(a, b, kc);
  }

  private long tileOffset() {
    return prepacked || tile.readsA()
        ? 0
        : (long) passes * blockPanels * tile.panelBytes(tile.rows, kc);
  }

  private long stripOffset() {
    return tileOffset() + 4L * tile.rows * tile.cols;
  }

  private long spareOffset() {
    return stripOffset() + (direct ? 0 : 4L * blockPanels * tile.rows * stripPanels * tile.cols);
  }

  /** Units of packing: first the panels of B, pass by pass, then those of A. */
  private void pack(int from, int to) {
    long spare = cpu.scratch(ownBytes()).address() + spareOffset();
    int unitsOfB = passes * panelsOfB();
    for (int u = from, count; u < to; u += count) {
      int panels = u < unitsOfB ? colPanelsNow : rowPanels;
      int first = u < unitsOfB ? u : u - unitsOfB;
      count = Math.min(to - u, panels - first % panels);
      if (u < unitsOfB) {
        packB(first / panels, first % panels, count, spare);
      } else {
        packA(packedA, 0, panels, first / panels, first % panels, count, spare);
      }
    }
  }

  /** Packs so many panels of a pass, which lie side by side. */
  private void packB(int pass, int panel, int count, long spare) {
    int col = (firstColPanel + panel) * tile.cols;
    tile.packB(
        panelAddress(packedB, tile.cols, colPanelsNow, pass, panel),
        b,
        col,
        Math.min(count * tile.cols, n - col),
        pass * kc,
        depth(pass),
        spare);
  }

  private void packA(
      long packed, int firstPanel, int panels, int pass, int panel, int count, long spare) {
    int row = (firstPanel + panel) * tile.rows;
    tile.packA(
        panelAddress(packed, tile.rows, panels, pass, panel),
        a,
        row,
        Math.min(count * tile.rows, m - row),
        pass * kc,
        depth(pass),
        spare);
  }

  private int depth(int pass) {
    return Math.min(kc, k - pass * kc);
  }

  private long panelAddress(long packed, int width, int panels, int pass, int panel) {
    return packed
        + (long) pass * panels * tile.panelBytes(width, kc)
        + panel * tile.panelBytes(width, depth(pass));
  }

  /** One piece: a block of rows times a group of columns (in one pass over k, if split). */
  private void multiply(int from, int to) {
    long own = cpu.scratch(ownBytes()).address();
    int groups = Math.ceilDiv(colPanelsNow, groupPanels);
    for (int piece = from; piece < to; piece++) {
      int block = piece / groups % blocks;
      int firstRowPanel = block * blockPanels;
      int panels = Math.min(blockPanels, rowPanels - firstRowPanel);
      if (!prepacked && !tile.readsA()) {
        for (int pass = 0; pass < passes; pass++) {
          packA(own, firstRowPanel, panels, pass, 0, panels, own + spareOffset());
        }
      }
      int group = piece % groups * groupPanels;
      int end = Math.min(colPanelsNow, group + groupPanels);
      for (int strip = group; strip < end; strip += stripPanels) {
        int count = Math.min(stripPanels, end - strip);
        if (split) {
          int pass = piece / (groups * blocks);
          long part = partials + 4L * pass * m * n;
          pass(pass, part, n, false, own, firstRowPanel, panels, strip, count);
        } else {
          strip(own, firstRowPanel, panels, strip, count);
        }
      }
    }
  }

  /** All passes over k for a block of rows and a strip of columns, then the epilogue. */
  private void strip(long own, int firstRowPanel, int panels, int strip, int count) {
    int row = firstRowPanel * tile.rows;
    int rows = Math.min(panels * tile.rows, m - row);
    int col = (firstColPanel + strip) * tile.cols;
    int cols = Math.min(count * tile.cols, n - col);
    long target;
    long stride;
    if (direct) {
      target = c.address();
      stride = ldc;
    } else {
      // As if the strip were a whole matrix: its first element is that of (row, col).
      stride = (long) stripPanels * tile.cols;
      target = own + stripOffset() - 4 * (row * stride + col);
      if (accumulate) {
        for (int i = row; i < row + rows; i++) {
          Half.widen(
              Ram.ALL, target + 4 * (i * stride + col), c, cType.bytes(i * ldc + col), cType, cols);
        }
      }
    }
    for (int pass = 0; pass < passes; pass++) {
      boolean add = accumulate || pass > 0;
      pass(pass, target, stride, add, own, firstRowPanel, panels, strip, count);
    }
    if (rounded) {
      return;
    }
    epilogue.apply(Ram.ALL, target + 4 * (row * stride + col), 4 * stride, row, rows, col, cols);
    for (int i = row; i < row + rows && !direct; i++) {
      long at = target + 4 * (i * stride + col);
      Half.narrow(c, cType.bytes(i * ldc + col), cType, Ram.ALL, at, cols);
    }
  }

  /** One pass over k for a block of rows and a strip of columns. */
  private void pass(
      int pass,
      long target,
      long stride,
      boolean add,
      long own,
      int firstRowPanel,
      int panels,
      int strip,
      int count) {
    int depth = depth(pass);
    int bytes = rounded ? BF16_BYTES : Float.BYTES;
    for (int j = strip; j < strip + count; j++) {
      int col = (firstColPanel + j) * tile.cols;
      long bPanel =
          tile.readsB()
              ? b.at(col, (long) pass * kc)
              : panelAddress(packedB, tile.cols, colPanelsNow, pass, j);
      for (int i = 0; i < panels; i++) {
        int row = (firstRowPanel + i) * tile.rows;
        long aPanel =
            tile.readsA()
                ? a.at(row, (long) pass * kc)
                : prepacked
                    ? panelAddress(packedA, tile.rows, rowPanels, pass, firstRowPanel + i)
                    : panelAddress(own, tile.rows, panels, pass, i);
        long at = target + bytes * (row * stride + col);
        int rows = Math.min(tile.rows, m - row);
        int cols = Math.min(tile.cols, n - col);
        long spare = own + tileOffset();
        tile.multiply(at, bytes * stride, aPanel, bPanel, depth, rows, cols, add, rounded, spare);
      }
    }
  }

  /** Rows {@code [from, to)} of C from the partial matrices, added in the order of k. */
  private void sumPartials(int from, int to) {
    MemorySegment sums = cpu.scratch(4L * n);
    for (int i = from; i < to; i++) {
      if (accumulate) {
        Half.widen(sums, 0, c, cType.bytes(i * ldc), cType, n);
      } else {
        sums.asSlice(0, 4L * n).fill((byte) 0);
      }
      for (int pass = 0; pass < passes; pass++) {
        long part = partials + 4L * ((long) pass * m * n + (long) i * n);
        MatmulTile.merge(sums.address(), 4L * n, part, 4L * n, 1, n, true);
      }
      epilogue.apply(sums, 0, 4L * n, i, 1, 0, n);
      Half.narrow(c, cType.bytes(i * ldc), cType, sums, 0, n);
    }
  }
}
