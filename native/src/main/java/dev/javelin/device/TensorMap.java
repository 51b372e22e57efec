package dev.javelin.device;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * How the tensor memory accelerator of compute capability 9.0 sees an array: sizes, strides, and
 * the box that one instruction moves into shared memory. A description only; {@link Launch#map}
 * encodes it where the launch's arguments lie, so it needs no closing. Immutable.
 *
 * <p>Dimensions stand innermost first, as the hardware has them. The base must be 16-byte aligned,
 * strides multiples of 16 bytes, the innermost stride is that of dense elements; parts of a box
 * beyond the array read as zero.
 *
 * @see <a
 *     href="https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TENSOR__MEMORY.html">Tensor
 *     map objects</a>
 */
public final class TensorMap {
  /** How the 16-byte pieces of a row of the box are exchanged, so that columns hit all banks. */
  public enum Swizzle {
    NONE(0),
    BYTES_32(1),
    BYTES_64(2),
    BYTES_128(3);

    private final int number;

    Swizzle(int number) {
      this.number = number;
    }
  }

  /** Bytes of an encoded map; it must be 64-byte aligned. */
  static final int BYTES = 128;

  static final int ALIGNMENT = 64;

  /** Bytes of working memory that encoding needs. */
  static final int WORK_BYTES = 5 * (8 + 8 + 4 + 4);

  private static final int MAX_RANK = 5;
  private static final int L2_128_BYTES = 2; // CU_TENSOR_MAP_L2_PROMOTION_L2_128B

  private final DType dtype;
  private final Addressable base;
  private final long[] sizes;
  private final long[] byteStrides;
  private final int[] box;
  private final Swizzle swizzle;

  private TensorMap(
      DType dtype, Addressable base, long[] sizes, long[] byteStrides, int[] box, Swizzle swizzle) {
    this.dtype = dtype;
    this.base = base;
    this.sizes = sizes;
    this.byteStrides = byteStrides;
    this.box = box;
    this.swizzle = swizzle;
  }

  /**
   * A map of any rank up to 5.
   *
   * @param sizes elements along each dimension, innermost first
   * @param byteStrides bytes between neighbours along every dimension but the innermost
   * @param box elements of the box along each dimension
   */
  public static TensorMap of(
      DType dtype, Addressable base, long[] sizes, long[] byteStrides, int[] box, Swizzle swizzle) {
    if (sizes.length < 1
        || sizes.length > MAX_RANK
        || byteStrides.length != sizes.length - 1
        || box.length != sizes.length) {
      throw new IllegalArgumentException(
          "a tensor map has 1 to 5 sizes, one stride fewer, and a box of as many; got "
              + Arrays.toString(sizes)
              + ", strides "
              + Arrays.toString(byteStrides)
              + ", box "
              + Arrays.toString(box));
    }
    return new TensorMap(dtype, base, sizes.clone(), byteStrides.clone(), box.clone(), swizzle);
  }

  /** A matrix of rows that lie {@code rowStride} elements apart. */
  public static TensorMap rows(
      DType dtype,
      Addressable base,
      long rows,
      long columns,
      long rowStride,
      int boxRows,
      int boxColumns,
      Swizzle swizzle) {
    return new TensorMap(
        dtype,
        base,
        new long[] {columns, rows},
        new long[] {dtype.bytes(rowStride)},
        new int[] {boxColumns, boxRows},
        swizzle);
  }

  /**
   * Encodes the map at {@code to}.
   *
   * @param work {@link #WORK_BYTES} bytes for the driver's arguments
   */
  void encode(MemorySegment to, MemorySegment work) {
    int rank = sizes.length;
    MemorySegment s = work.asSlice(0, 8L * MAX_RANK);
    MemorySegment strides = work.asSlice(8L * MAX_RANK, 8L * MAX_RANK);
    MemorySegment b = work.asSlice(16L * MAX_RANK, 4L * MAX_RANK);
    MemorySegment steps = work.asSlice(20L * MAX_RANK, 4L * MAX_RANK);
    for (int i = 0; i < rank; i++) {
      s.setAtIndex(JAVA_LONG, i, sizes[i]);
      b.setAtIndex(JAVA_INT, i, box[i]);
      steps.setAtIndex(JAVA_INT, i, 1);
      if (i < rank - 1) {
        strides.setAtIndex(JAVA_LONG, i, byteStrides[i]);
      }
    }
    int result =
        DriverCalls.encodeTiled(
            to.address(),
            type(),
            rank,
            base.address(),
            s.address(),
            strides.address(),
            b.address(),
            steps.address(),
            swizzle.number,
            L2_128_BYTES);
    if (result != 0) {
      CudaDriver.check(result, "encoding " + this);
    }
  }

  /** {@code CUtensorMapDataType}. */
  private int type() {
    return switch (dtype) {
      case U8 -> 0;
      case I32 -> 3;
      case I64 -> 5;
      case F16 -> 6;
      case F32 -> 7;
      case BF16 -> 9;
    };
  }

  @Override
  public String toString() {
    return "tensor map of "
        + dtype
        + Arrays.toString(sizes)
        + " (innermost first), strides in bytes "
        + Arrays.toString(byteStrides)
        + ", box "
        + Arrays.toString(box)
        + ", swizzle "
        + swizzle;
  }
}
