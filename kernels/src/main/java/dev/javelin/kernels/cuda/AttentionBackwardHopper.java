package dev.javelin.kernels.cuda;

import static dev.javelin.kernels.cuda.CudaRows.flag;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Launch;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * The backward pass of attention in half types on compute capability 9.0: {@code
 * attention_backward_hopper.cuh}. One kernel makes dk and dv and adds the parts of dq up, in turns;
 * another rounds dq. {@link AttentionCuda} has the rest.
 */
final class AttentionBackwardHopper {
  static final int ROWS = 128; // keys of a block
  static final int ROWS_OF_RESULTS = 64; // of a multiplying warpgroup
  static final int COLUMNS = 64; // queries of a tile
  private static final int[] DIMS = {64, 128};
  private static final int VECTOR = 8; // elements that are read and written at once
  private static final int PARTS_OF_TILE = 4 * ROWS_OF_RESULTS / 32; // of 64 columns, one a warp
  private static final String NAME = "attention_backward_hopper_";

  private AttentionBackwardHopper() {}

  /** The names of all kernels that may be asked for. */
  static List<String> instances() {
    List<String> names = new ArrayList<>();
    for (int dim : DIMS) {
      for (String type : List.of("_bf16", "_f16")) {
        names.add(NAME + "d" + dim + type);
        names.add(NAME + "dq_d" + dim + type);
      }
    }
    return names;
  }

  /**
   * Whether there are kernels for these operands and this mask on this device: heads of up to 128
   * elements, a multiple of 8 of them, that begin at 16-byte boundaries, with a positive scale;
   * causal or not, with a window, with documents. No lengths, since tiles are read to their end and
   * a key beyond its sequence's length may be anything; no mask of single keys, slopes or soft cap.
   * dk and dv leave through a tensor map, which does not add to what is there, and should give both
   * warpgroups something to do.
   */
  static boolean fits(
      Cuda cuda,
      CudaHeads dq,
      CudaHeads dk,
      CudaHeads dv,
      CudaHeads dy,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      CudaMask mask,
      float scale) {
    return MatmulHopper.isWanted(cuda)
        && q.type() != DType.F32
        && q.dim() <= DIMS[1]
        && q.dim() % VECTOR == 0
        && k.time() > ROWS_OF_RESULTS
        && scale > 0
        && mask.softCap() == 0
        && mask.lengths() == null
        && mask.keys() == null
        && mask.slopes() == null
        && !dk.accumulate()
        && !dv.accumulate()
        && Stream.of(dq, dk, dv, dy, q, k, v).allMatch(AttentionHopper::hasMap);
  }

  /** The instance whose heads these fit in; what they lack are zeros. */
  private static int instance(int dim) {
    return dim <= DIMS[0] ? DIMS[0] : DIMS[1];
  }

  private static long tiles(CudaHeads q, int padded) {
    return (long) q.batch() * q.heads() * (padded / COLUMNS);
  }

  /** Of fp32 sums of {@code padded} queries of each head. */
  static long sumBytes(CudaHeads q, int padded) {
    return DType.F32.bytes(tiles(q, padded) * COLUMNS * instance(q.dim()));
  }

  /** A ticket, and a counter for each tile of queries. */
  static long turnBytes(CudaHeads q, int padded) {
    return Integer.BYTES * (1 + tiles(q, padded));
  }

  /**
   * All gradients.
   *
   * @param sums of dq; {@link #sumBytes}
   * @param turns {@link #turnBytes}
   * @param stats what {@code attention_backward_delta} leaves for {@code padded} queries of a head
   */
  static void run(
      Cuda cuda,
      CudaHeads dq,
      CudaHeads dk,
      CudaHeads dv,
      CudaHeads dy,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      Addressable sums,
      Addressable turns,
      Addressable stats,
      int padded,
      CudaMask mask,
      float scale) {
    int dim = instance(q.dim());
    cuda.fillWords(turns, 0, turnBytes(q, padded) / Integer.BYTES, 0);
    Launch launch =
        cuda.kernel(NAME + "d" + dim, q.type())
            .grid((long) Math.ceilDiv(k.time(), ROWS) * k.heads() * k.batch())
            .map(AttentionHopper.map(k, ROWS))
            .map(AttentionHopper.map(v, ROWS))
            .map(AttentionHopper.map(q, COLUMNS))
            .map(AttentionHopper.map(dy, COLUMNS))
            .map(AttentionHopper.map(dk, ROWS_OF_RESULTS))
            .map(AttentionHopper.map(dv, ROWS_OF_RESULTS))
            .ptr(sums)
            .ptr(turns)
            .ptr(stats)
            .i32(padded);
    AttentionCuda.masked(launch, q, k, mask, scale).shared(sharedBytes(dim)).run();
    long jobs = tiles(q, padded) * PARTS_OF_TILE * dim / COLUMNS;
    Launch round = cuda.kernel(NAME + "dq_d" + dim, q.type()).grid(Math.ceilDiv(jobs, 4));
    AttentionCuda.heads(round, dq);
    round
        .i32(flag(dq.accumulate()))
        .ptr(sums)
        .ptr(turns)
        .i64(jobs)
        .i32(q.time())
        .i32(q.heads())
        .i32(q.dim())
        .i32(padded)
        .f32(scale)
        .run();
  }

  /** Keys and values; stages of queries and dy; dS in two places; a part of dq. */
  static int sharedBytes(int dim) {
    int stages = dim == DIMS[0] ? 3 : 2;
    int halves = 2 * ROWS * dim + 2 * stages * COLUMNS * dim + 2 * ROWS * COLUMNS;
    int floats = COLUMNS * dim;
    return (int) (DType.BF16.bytes(halves) + DType.F32.bytes(floats));
  }
}
