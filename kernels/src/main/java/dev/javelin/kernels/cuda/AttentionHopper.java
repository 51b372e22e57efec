package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Launch;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;
import java.util.ArrayList;
import java.util.List;

/**
 * The forward pass of attention in half types on compute capability 9.0: {@code
 * attention_forward_hopper.cu}, which reads and writes heads through tensor maps. {@link
 * AttentionBackwardHopper} has its gradients, {@link AttentionCuda} the rest.
 */
final class AttentionHopper {
  static final int ROWS = 128; // of a block, and of a tile of keys
  static final int ROWS_OF_RESULTS = 64; // of a multiplying warpgroup
  static final int STAGES = 2; // of keys, and of values
  private static final int[] DIMS = {64, 128};
  private static final int ALIGNMENT = 16; // of tensor maps
  private static final int SWIZZLE_BYTES = 128; // of a box's row
  private static final String NAME = "attention_forward_hopper_d";

  private AttentionHopper() {}

  /** The names of all kernels that may be asked for. */
  static List<String> instances() {
    List<String> names = new ArrayList<>();
    for (int dim : DIMS) {
      names.add(NAME + dim + "_bf16");
      names.add(NAME + dim + "_f16");
    }
    return names;
  }

  /**
   * Whether there is a kernel for this on this device: heads of 64 or 128 elements that begin at
   * 16-byte boundaries, with a positive scale; causal or not, with a window, with documents. No
   * lengths, since tiles are read to their end and a key beyond its sequence's length may be
   * anything; no mask of single keys, slopes or soft cap.
   */
  static boolean fits(
      Cuda cuda, CudaHeads o, CudaHeads q, CudaHeads k, CudaHeads v, CudaMask mask, float scale) {
    return reads(cuda, q, k, v, mask, scale) && hasMap(o);
  }

  /** Whether these operands and this mask are such. */
  static boolean reads(
      Cuda cuda, CudaHeads q, CudaHeads k, CudaHeads v, CudaMask mask, float scale) {
    return MatmulHopper.isWanted(cuda)
        && q.type() != DType.F32
        && (q.dim() == DIMS[0] || q.dim() == DIMS[1])
        && scale > 0
        && mask.softCap() == 0
        && mask.lengths() == null
        && mask.keys() == null
        && mask.slopes() == null
        && hasMap(q)
        && hasMap(k)
        && hasMap(v);
  }

  static boolean hasMap(CudaHeads h) {
    return h.address() % ALIGNMENT == 0
        && isStride(h.timeStride(), h.time(), h.type())
        && isStride(h.headStride(), h.heads(), h.type())
        && isStride(h.batchStride(), h.batch(), h.type());
  }

  private static boolean isStride(long stride, int size, DType type) {
    return size == 1 || stride > 0 && type.bytes(stride) % ALIGNMENT == 0;
  }

  /** As {@link AttentionCuda#forward}, without dropout, where it {@link #fits}. */
  static void forward(
      Cuda cuda,
      CudaHeads o,
      Addressable lse,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      CudaMask mask,
      float scale) {
    Launch launch =
        cuda.kernel(NAME + q.dim(), q.type())
            .grid(blocks(q))
            .map(map(q, ROWS))
            .map(map(k, ROWS))
            .map(map(v, ROWS))
            .map(map(o, ROWS_OF_RESULTS))
            .ptr(lse);
    AttentionCuda.masked(launch, q, k, mask, scale).shared(sharedBytes(q.dim())).run();
  }

  static long blocks(CudaHeads q) {
    return (long) Math.ceilDiv(q.time(), ROWS) * q.heads() * q.batch();
  }

  /** The queries, and the stages. */
  static int sharedBytes(int dim) {
    return (1 + 2 * STAGES) * ROWS * (int) DType.BF16.bytes(dim);
  }

  /** A box is {@code rows} positions of a head, of which 64 elements. */
  static TensorMap map(CudaHeads h, int rows) {
    DType type = h.type();
    return TensorMap.of(
        type,
        h,
        new long[] {h.dim(), h.time(), h.heads(), h.batch()},
        new long[] {
          bytes(h.timeStride(), h.time(), type),
          bytes(h.headStride(), h.heads(), type),
          bytes(h.batchStride(), h.batch(), type)
        },
        new int[] {SWIZZLE_BYTES / (int) type.bytes(1), rows, 1, 1},
        Swizzle.BYTES_128);
  }

  /** Of one element, a stride that any map may have. */
  private static long bytes(long stride, int size, DType type) {
    return size == 1 ? SWIZZLE_BYTES : type.bytes(stride);
  }
}
