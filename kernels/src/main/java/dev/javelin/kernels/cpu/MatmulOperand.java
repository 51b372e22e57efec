package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * One factor of a matrix product as the packing sees it: lines {@code i} (rows of A or columns of
 * B) along the summed index {@code k}.
 *
 * @param address of the first element
 * @param stride elements between stored rows
 * @param alongK whether stored rows run along k: element (i, k) at {@code i·stride + k}, otherwise
 *     at {@code k·stride + i}
 * @param quantized what is read in the place of {@code address}; {@code null} for a matrix of
 *     floats
 */
record MatmulOperand(
    long address, DType type, long stride, boolean alongK, @Nullable QuantizedView quantized) {

  /** A quantised matrix; its rows run along k, or its columns do. */
  static MatmulOperand of(QuantizedView w, boolean alongK) {
    return new MatmulOperand(0, DType.U8, 0, alongK, w);
  }

  /**
   * The operand in {@code memory}.
   *
   * @throws IllegalArgumentException if its elements do not all lie in {@code memory}
   */
  static MatmulOperand of(
      String name,
      MemorySegment memory,
      DType type,
      long stride,
      boolean alongK,
      int lines,
      int k) {
    check(name, memory, type, stride, alongK ? lines : k, alongK ? k : lines);
    return new MatmulOperand(memory.address(), type, stride, alongK, null);
  }

  /** Checks that a stored matrix {@code [rows, cols]} lies within off-heap {@code memory}. */
  static void check(
      String name, MemorySegment memory, DType type, long stride, int rows, int cols) {
    if (!type.isFloat()) {
      throw new IllegalArgumentException(
          "matmul: " + name + " must be f32, bf16 or f16, got " + type.suffix());
    }
    long needed = type.bytes((rows - 1) * stride + cols);
    if (stride < cols || !memory.isNative() || memory.byteSize() < needed) {
      throw new IllegalArgumentException(
          "matmul: %s is stored as [%d, %d] %s with row stride %d, which needs %d bytes off the heap, got %s"
              .formatted(name, rows, cols, type.suffix(), stride, needed, memory));
    }
  }

  /** The same operand from line {@code i} and index {@code k} on. */
  long at(long i, long k) {
    return address + type.bytes(alongK ? i * stride + k : k * stride + i);
  }

  /** Writes n elements of a stored row, from line i and index k on, as fp32 to an address. */
  void widen(long to, int i, int k, int n) {
    if (quantized != null) {
      quantized.widen(to, alongK ? i : k, alongK ? k : i, n);
    } else {
      Half.widen(Ram.ALL, to, Ram.ALL, at(i, k), type, n);
    }
  }

  /** Bytes between stored rows. */
  long strideBytes() {
    return type.bytes(stride);
  }
}
