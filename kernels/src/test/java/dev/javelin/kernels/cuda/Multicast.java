package dev.javelin.kernels.cuda;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;

/** The tiles that check_cluster.cu brings to both blocks of a cluster. */
final class Multicast {
  private static final int TILES = 5; // two slots: they go round twice and a half
  private static final int ROWS = 32;
  private static final int TILE = ROWS * 64;
  private static final short[] MATRIX = Halves.random(DType.BF16, TILES * TILE, 1);

  private Multicast() {}

  /** Where a tile is wrong; "" if all are right. */
  static String run(Gpu gpu) {
    DeviceMemory matrix = gpu.of(MATRIX);
    DeviceMemory out = gpu.bytes(2L * 2 * TILES * TILE);
    gpu.kernel("check_cluster_multicast")
        .grid(2)
        .ptr(out)
        .map(
            TensorMap.rows(
                DType.BF16, matrix, TILES * ROWS, 64, 64, ROWS / 2, 64, Swizzle.BYTES_128))
        .i32(TILES)
        .shared(2 * 2 * TILE)
        .run();
    gpu.synchronize();
    short[] got = gpu.shorts(out, 2 * TILES * TILE);
    for (int i = 0; i < got.length; i++) {
      int row = i / 64 % ROWS;
      int column = (i / 8 % 8 ^ row % 8) * 8 + i % 8; // as the swizzle has it
      short want = MATRIX[i / TILE % TILES * TILE + row * 64 + column];
      if (got[i] != want) {
        return "block %d, tile %d, [%d, %d] is %d, not %d"
            .formatted(i / TILE / TILES, i / TILE % TILES, row, column, got[i], want);
      }
    }
    return "";
  }
}
