package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Launch;
import java.util.ArrayList;
import java.util.List;

/**
 * The backward pass of attention in half types on compute capability 9.0: {@code
 * attention_backward_hopper.cu}, for what {@link AttentionHopper} takes. {@link AttentionCuda} has
 * the rest.
 */
final class AttentionBackwardHopper {
  static final int ROWS = 128; // of a block
  static final int ROWS_OF_RESULTS = 64; // of a multiplying warpgroup
  static final int STAGES_OF_KEYS = 2; // that stream by for dq
  static final int STAGES_OF_QUERIES = 3; // that stream by for dk and dv
  private static final String NAME = "attention_backward_hopper_";

  /** Positions in a tile that streams by, for heads of {@code dim} elements. */
  private record Tiles(int dim, int keys, int queries) {
    String queriesKernel() {
      return "%squeries_d%d_%dx%d".formatted(NAME, dim, ROWS, keys);
    }

    String keysKernel() {
      return "%skeys_d%d_%dx%d".formatted(NAME, dim, ROWS, queries);
    }
  }

  private static final List<Tiles> TILES = List.of(new Tiles(64, 128, 64), new Tiles(128, 128, 64));

  private AttentionBackwardHopper() {}

  private static Tiles tiles(int dim) {
    return TILES.stream().filter(t -> t.dim == dim).findFirst().orElseThrow();
  }

  /** The names of all kernels that may be asked for. */
  static List<String> instances() {
    List<String> names = new ArrayList<>();
    for (Tiles t : TILES) {
      for (String type : List.of("_bf16", "_f16")) {
        names.add(t.queriesKernel() + type);
        names.add(t.keysKernel() + type);
      }
    }
    return names;
  }

  /** Whether there are kernels for these operands and this mask on this device. */
  static boolean fits(
      Cuda cuda, CudaHeads dy, CudaHeads q, CudaHeads k, CudaHeads v, CudaMask mask, float scale) {
    return AttentionHopper.reads(cuda, q, k, v, mask, scale) && AttentionHopper.hasMap(dy);
  }

  /**
   * Whether these gradients can leave through a tensor map, which does not add to what is there,
   * and give each warpgroup something to do.
   */
  static boolean hasPlaceFor(CudaHeads gradients) {
    return !gradients.accumulate()
        && gradients.time() >= ROWS_OF_RESULTS
        && AttentionHopper.hasMap(gradients);
  }

  /**
   * dq, from the statistics that {@code attention_backward_delta} leaves for {@code padded} queries
   * of each head.
   */
  static void queries(
      Cuda cuda,
      CudaHeads dq,
      CudaHeads dy,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      Addressable stats,
      int padded,
      CudaMask mask,
      float scale) {
    Tiles tiles = tiles(q.dim());
    Launch launch =
        cuda.kernel(tiles.queriesKernel(), q.type())
            .grid(blocks(q))
            .map(AttentionHopper.map(q, ROWS))
            .map(AttentionHopper.map(dy, ROWS))
            .map(AttentionHopper.map(k, tiles.keys))
            .map(AttentionHopper.map(v, tiles.keys))
            .map(AttentionHopper.map(dq, ROWS_OF_RESULTS))
            .ptr(stats)
            .i32(padded);
    AttentionCuda.masked(launch, q, k, mask, scale)
        .shared(sharedBytes(q.dim(), STAGES_OF_KEYS, tiles.keys))
        .run();
  }

  /** dk and dv, likewise: sums over the query heads of a group one after another. */
  static void keys(
      Cuda cuda,
      CudaHeads dk,
      CudaHeads dv,
      CudaHeads dy,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      Addressable stats,
      int padded,
      CudaMask mask,
      float scale) {
    Tiles tiles = tiles(q.dim());
    Launch launch =
        cuda.kernel(tiles.keysKernel(), q.type())
            .grid(blocks(k))
            .map(AttentionHopper.map(k, ROWS))
            .map(AttentionHopper.map(v, ROWS))
            .map(AttentionHopper.map(q, tiles.queries))
            .map(AttentionHopper.map(dy, tiles.queries))
            .map(AttentionHopper.map(dk, ROWS_OF_RESULTS))
            .map(AttentionHopper.map(dv, ROWS_OF_RESULTS))
            .ptr(stats)
            .i32(padded);
    AttentionCuda.masked(launch, q, k, mask, scale)
        .shared(sharedBytes(q.dim(), STAGES_OF_QUERIES, tiles.queries))
        .run();
  }

  private static long blocks(CudaHeads h) {
    return (long) Math.ceilDiv(h.time(), ROWS) * h.heads() * h.batch();
  }

  /** Two operands' rows, and the stages of two operands' columns. */
  static int sharedBytes(int dim, int stages, int columns) {
    return 2 * (ROWS + stages * columns) * (int) DType.BF16.bytes(dim);
  }
}
