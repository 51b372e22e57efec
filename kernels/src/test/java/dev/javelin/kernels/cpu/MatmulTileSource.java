package dev.javelin.kernels.cpu;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Writes the sources of the matmul register tiles. C2 keeps the accumulators in registers only when
 * they are local variables of a straight-line loop body, which nobody wants to type for 24 of them.
 *
 * <p>To write them anew: run {@link #main} in the folder of this module. A test compares the files
 * with this generator.
 */
final class MatmulTileSource {
  /** The tiles: vector bits, rows. All are two vectors wide. */
  static final int[][] TILES = {{512, 6}, {256, 6}, {128, 8}};

  private static final int VECTORS = 2;

  private final StringBuilder out = new StringBuilder();
  private final int bits;
  private final int rows;
  private final int lanes;

  private MatmulTileSource(int bits, int rows) {
    this.bits = bits;
    this.rows = rows;
    this.lanes = bits / Float.SIZE;
  }

  public static void main(String[] args) throws IOException {
    for (int[] tile : TILES) {
      Files.writeString(file(Path.of(""), tile[0]), source(tile[0], tile[1]));
    }
  }

  /** Where the source of the tile of {@code bits} lies below the folder of the module. */
  static Path file(Path module, int bits) {
    return module.resolve("src/main/java/dev/javelin/kernels/cpu/MatmulTile" + bits + ".java");
  }

  static String source(int bits, int rows) {
    MatmulTileSource s = new MatmulTileSource(bits, rows);
    s.writeClass();
    return s.out.toString();
  }

  private void line(String format, Object... args) {
    out.append(String.format(format, args)).append('\n');
  }

  private void writeClass() {
    line("package dev.javelin.kernels.cpu;");
    line("");
    line("import java.lang.foreign.MemorySegment;");
    line("import java.lang.foreign.ValueLayout;");
    line("import java.nio.ByteOrder;");
    line("import jdk.incubator.vector.FloatVector;");
    line("import jdk.incubator.vector.VectorSpecies;");
    line("");
    line(
        "/** %d x %d tile of %d-bit vectors. Written by MatmulTileSource. */",
        rows, VECTORS * lanes, bits);
    line("final class MatmulTile%d extends MatmulTile {", bits);
    line("  private static final VectorSpecies<Float> S = FloatVector.SPECIES_%d;", bits);
    line("  private static final Class<? extends FloatVector> V = Lanes.type(S);");
    line("  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;");
    line("  private static final ValueLayout.OfFloat F = Ram.FLOAT;");
    line("  private static final MemorySegment RAM = Ram.ALL;");
    line("");
    line("  MatmulTile%d() {", bits);
    line("    super(%d, %d);", rows, VECTORS * lanes);
    line("  }");
    line("");
    line("  @Override");
    line("  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {");
    line("    MemorySegment a = RAM.asSlice(aPanel, %dL * kc);", rows * Float.BYTES);
    line("    MemorySegment b = RAM.asSlice(bPanel, %dL * kc);", VECTORS * lanes * Float.BYTES);
    writeAccumulators();
    writeLoop();
    line("    long r0 = c;");
    for (int i = 1; i < rows; i++) {
      line("    long r%d = r%d + rowBytes;", i, i - 1);
    }
    writeStores();
    line("  }");
    line("}");
  }

  private void writeAccumulators() {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < VECTORS; j++) {
        line("    FloatVector c%dx%d = FloatVector.zero(S);", i, j);
      }
    }
  }

  private void writeLoop() {
    line("    for (int k = 0; k < kc; k++) {");
    line("      int ak = k * %d;", rows * Float.BYTES);
    line("      int bk = k * %d;", VECTORS * lanes * Float.BYTES);
    line("      FloatVector b0 = FloatVector.fromMemorySegment(S, b, bk, LE);");
    line(
        "      FloatVector b1 = FloatVector.fromMemorySegment(S, b, bk + %d, LE);",
        lanes * Float.BYTES);
    for (int i = 0; i < rows; i++) {
      String at = i == 0 ? "ak" : "ak + " + i * Float.BYTES;
      line("      FloatVector a%d = FloatVector.broadcast(S, a.get(F, %s));", i, at);
      for (int j = 0; j < VECTORS; j++) {
        line("      c%dx%d = a%d.fma(b%d, c%dx%d);", i, j, i, j, i, j);
      }
    }
    line("    }");
  }

  private void writeStores() {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < VECTORS; j++) {
        String at = j == 0 ? "r" + i : "r" + i + " + " + j * lanes * Float.BYTES;
        line("    V.cast(c%dx%d).intoMemorySegment(RAM, %s, LE);", i, j, at);
      }
    }
  }
}
