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
    return new MatmulTileBf16() {
      @Override
      void weave(
          int width, long to, long panelBytes, long from, long rowBytes, int pairs, int lines) {
        int panels = Math.ceilDiv(lines, width);
        X86Machine machine = new X86Machine(MatmulWeaveCode.code(width, panels));
        for (int i = 0; i < panels; i++) {
          machine.memory(Ram.ALL.asSlice(to + i * panelBytes, 4L * width * pairs));
        }
        for (int row = 0; row < 2 * pairs; row++) {
          machine.memory(Ram.ALL.asSlice(from + row * rowBytes, 2L * lines).asReadOnly());
        }
        long mask = (1L << lines - (panels - 1) * width) - 1;
        machine.run(to, panelBytes, from, rowBytes, pairs, mask);
        if (!machine.upperHalvesAreClean()) {
          throw new X86Fault("returns without vzeroupper");
        }
      }

      @Override
      void call(
          Finish finish,
          int rows,
          int vectors,
          long c,
          long rowBytes,
          long aPanel,
          long bPanel,
          int pairs,
          int mask) {
        int last = Integer.bitCount(mask);
        int bytes = finish == Finish.ROUND ? 2 * last : 64 * (vectors - 1) + 4 * last;
        byte[] code = code(finish, rows, vectors);
        X86Machine machine = machine(code, this, 2 * pairs, aPanel, bPanel);
        run(machine, rows, bytes, c, rowBytes, aPanel, bPanel, pairs, mask);
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
              X86Machine machine = machine(code, tile[0], kc, aPanel, bPanel);
              machine.memory(configuration.asReadOnly());
              int bytes = 4 * MatmulTileAmx.COLS;
              run(machine, tile[0].rows, bytes, c, rowBytes, aPanel, bPanel, steps, address);
              return 0;
            },
            configuration);
    return tile[0];
  }

  private static X86Machine machine(
      byte[] code, MatmulPairTile tile, int kc, long aPanel, long bPanel) {
    return new X86Machine(code)
        .memory(
            Ram.ALL.asSlice(aPanel, tile.panelBytes(tile.rows, kc)).asReadOnly(),
            Ram.ALL.asSlice(bPanel, tile.panelBytes(tile.cols, kc)).asReadOnly());
  }

  private static void run(
      X86Machine machine,
      int rows,
      int bytes,
      long c,
      long rowBytes,
      long aPanel,
      long bPanel,
      long steps,
      long constants) {
    for (int i = 0; i < rows; i++) {
      machine.memory(Ram.ALL.asSlice(c + i * rowBytes, bytes));
    }
    machine.run(c, rowBytes, aPanel, bPanel, steps, constants);
    if (!machine.upperHalvesAreClean()) {
      throw new X86Fault("returns without vzeroupper");
    }
  }
}
