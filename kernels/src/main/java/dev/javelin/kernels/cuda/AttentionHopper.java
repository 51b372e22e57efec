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
  static final int KEYS = 128; // of a tile
  static final int ROWS_OF_RESULTS = 64; // of a multiplying warpgroup
  static final int STAGES = 2; // of keys, and of values
  static final int STAGES_OF_QUERIES = 2;

  /** Of keys and values that blocks read at the same time: most of the L2 cache of an H200. */
  private static final long SECTION_BYTES = 32L << 20;

  private static final int[] DIMS = {64, 128};
  private static final int FEW = 32; // elements, for which the older kernel has an instance
  private static final int VECTOR = 8; // elements
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
   * Whether there is a kernel for this on this device: heads of up to 128 elements, a multiple of 8
   * of them and more than 32, that begin at 16-byte boundaries, with a positive scale; causal or
   * not, with a window, with documents. No lengths, since tiles are read to their end and a key
   * beyond its sequence's length may be anything; no mask of single keys, slopes or soft cap.
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
        && q.dim() > FEW
        && q.dim() <= DIMS[1]
        && q.dim() % VECTOR == 0
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
    int blocks = cuda.properties().multiprocessors();
    forward(cuda, o, lse, q, k, v, mask, scale, blocks, headsAtOnce(q, k));
  }

  /** The same by at most so many blocks, of so many heads at once. */
  static void forward(
      Cuda cuda,
      CudaHeads o,
      Addressable lse,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      CudaMask mask,
      float scale,
      int blocks,
      int headsAtOnce) {
    int work = Math.toIntExact(work(q));
    Launch launch =
        cuda.kernel(NAME + instance(q.dim()), q.type())
            .grid(Math.min(work, blocks))
            .map(map(q, rows(q.dim())))
            .map(map(k, KEYS))
            .map(map(v, KEYS))
            .map(map(o, ROWS_OF_RESULTS))
            .ptr(lse)
            .i32(work)
            .i32(headsAtOnce);
    AttentionCuda.masked(launch, q, k, mask, scale).shared(sharedBytes(q.dim())).run();
  }

  /**
   * Heads whose queries are taken up before those of the next: all query heads of so many heads of
   * keys as the L2 cache holds, about as many each time.
   */
  static int headsAtOnce(CudaHeads q, CudaHeads k) {
    return headsAtOnce(k.batch() * k.heads(), q.heads() / k.heads(), k.time(), k.dim());
  }

  static int headsAtOnce(int heads, int group, int keys, int dim) {
    long bytes = 2 * DType.BF16.bytes((long) keys * dim);
    long most = Math.clamp(SECTION_BYTES / Math.max(1, bytes), 1, heads);
    int sections = Math.ceilDiv(heads, (int) most);
    return Math.ceilDiv(heads, sections) * group;
  }

  /**
   * The instance whose heads these fit in: what they lack arrives as zeros, which change no sum,
   * and what is beyond a result is not stored.
   */
  private static int instance(int dim) {
    return dim <= DIMS[0] ? DIMS[0] : DIMS[1];
  }

  /** Pieces: a block's queries of a head. */
  static long work(CudaHeads q) {
    return (long) Math.ceilDiv(q.time(), rows(q.dim())) * q.heads() * q.batch();
  }

  /** Queries of a block: three multiplying warpgroups where their registers suffice, or two. */
  static int rows(int dim) {
    return (instance(dim) == DIMS[0] ? 3 : 2) * ROWS_OF_RESULTS;
  }

  /** The queries, and the stages. */
  static int sharedBytes(int dim) {
    int rows = STAGES_OF_QUERIES * rows(dim) + 2 * STAGES * KEYS;
    return rows * (int) DType.BF16.bytes(instance(dim));
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
