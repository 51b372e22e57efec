package dev.javelin.kernels.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The tiles in machine code, run by {@link X86Machine}: on any machine, and with no access allowed
 * but to the panels and to the tile of C, to the byte.
 */
final class InterpretedTiles {
  private InterpretedTiles() {}

  static MatmulPairTile avx512Bf16() {
    byte[] code = MatmulTileBf16.code();
    return new MatmulPairTile(MatmulTileBf16.ROWS, MatmulTileBf16.COLS, 2) {
      @Override
      void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
        call(code, this, kc, c, rowBytes, aPanel, bPanel, pairs(kc), 0);
      }
    };
  }

  static MatmulPairTile amxBf16() {
    byte[] code = MatmulTileAmx.code();
    MemorySegment configuration = MatmulTileAmx.configuration(Arena.global());
    MatmulTileAmx[] tile = new MatmulTileAmx[1];
    tile[0] =
        new MatmulTileAmx(
            (c, rowBytes, aPanel, bPanel, steps, address) -> {
              int kc = (int) steps * MatmulTileAmx.STEP;
              call(code, tile[0], kc, c, rowBytes, aPanel, bPanel, steps, address, configuration);
              return 0;
            },
            configuration);
    return tile[0];
  }

  private static void call(
      byte[] code,
      MatmulPairTile tile,
      int kc,
      long c,
      long rowBytes,
      long aPanel,
      long bPanel,
      long steps,
      long constants,
      MemorySegment... readable) {
    X86Machine machine = new X86Machine(code);
    for (int i = 0; i < tile.rows; i++) {
      machine.memory(Ram.ALL.asSlice(c + i * rowBytes, 4L * tile.cols));
    }
    machine.memory(
        Ram.ALL.asSlice(aPanel, tile.panelBytes(tile.rows, kc)).asReadOnly(),
        Ram.ALL.asSlice(bPanel, tile.panelBytes(tile.cols, kc)).asReadOnly());
    for (MemorySegment s : readable) {
      machine.memory(s.asReadOnly());
    }
    machine.run(c, rowBytes, aPanel, bPanel, steps, constants);
    if (!machine.upperHalvesAreClean()) {
      throw new X86Fault("returns without vzeroupper");
    }
  }
}
