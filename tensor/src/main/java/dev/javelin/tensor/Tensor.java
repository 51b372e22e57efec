package dev.javelin.tensor;

import dev.javelin.device.Addressable;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A typed, shaped window onto a block of memory. It owns nothing: its lease says how long the
 * memory is its own.
 *
 * @param offset of the first element, in bytes from the start of {@code memory}
 */
public record Tensor(Memory memory, long offset, Layout layout, DType dtype, Lease lease)
    implements Addressable {

  /** A contiguous tensor at {@code offset} of memory that lives as long as its owner says. */
  public static Tensor of(Memory memory, long offset, DType dtype, Shape shape) {
    if (offset < 0 || offset + dtype.bytes(shape.elements()) > memory.byteSize()) {
      throw new IllegalArgumentException(
          dtype.toString()
              + shape
              + " at byte "
              + offset
              + " does not fit a block of "
              + memory.byteSize()
              + " bytes");
    }
    return new Tensor(memory, offset, Layout.contiguous(shape), dtype, Lease.UNLIMITED);
  }

  /**
   * An F32 tensor of values that somebody wrote down: {@code Tensor.of(new float[] {1, 2, 3, 4}, 2,
   * 2)}. The values are copied into host memory of its own, which lives as long as a tensor refers
   * to it: nothing to close, and no step releases it. For tests, examples and constants; for a GPU
   * {@link #copyFrom} takes it there.
   *
   * @throws IllegalArgumentException where the shape has another number of elements
   */
  public static Tensor of(float[] values, int... shape) {
    Shape s = Shape.of(shape);
    if (s.elements() != values.length) {
      throw new IllegalArgumentException(
          "a tensor of shape %s has %d elements, got %d values"
              .formatted(s, s.elements(), values.length));
    }
    HostMemory memory = HostMemory.unowned(DType.F32.bytes(values.length));
    MemorySegment.copy(
        values, 0, memory.segment(), ValueLayout.JAVA_FLOAT_UNALIGNED, 0, values.length);
    return of(memory, 0, DType.F32, s);
  }

  /**
   * The elements in row-major order, from any layout, type and device: half types widened exactly,
   * integers rounded to fp32. For a GPU the host waits.
   *
   * @throws IllegalStateException where the memory has been released
   */
  public float[] toFloats() {
    return Elements.toFloats(this);
  }

  public Shape shape() {
    return layout.shape();
  }

  public Device device() {
    return memory.device();
  }

  public int rank() {
    return layout.shape().rank();
  }

  /** Dimension {@code i}; negative counts from the end. */
  public int dim(int i) {
    return layout.shape().dim(i);
  }

  public long elements() {
    return layout.shape().elements();
  }

  /** Product of all dimensions but the last. */
  public int rows() {
    return layout.shape().rows();
  }

  /** The last dimension. */
  public int last() {
    return layout.shape().last();
  }

  /**
   * Elements between neighbours along dimension {@code i}; negative {@code i} counts from the end.
   */
  public long stride(int i) {
    return layout.stride(i);
  }

  /** Elements between the starts of neighbouring rows; see {@link Layout#rowStride}. */
  public long rowStride() {
    return layout.rowStride();
  }

  public boolean isContiguous() {
    return layout.isContiguous();
  }

  /**
   * The memory from the first element on, for a tensor in host memory.
   *
   * @throws IllegalStateException where the memory has been released, or lies on a GPU
   */
  public MemorySegment segment() {
    lease.check(this);
    return switch (memory) {
      case HostMemory host -> host.slice(offset, span());
      case DeviceMemory m ->
          throw new IllegalStateException(
              form() + " lies on " + m.device() + ", where the host cannot reach it: use toHost()");
    };
  }

  /**
   * The address of the first element, for a tensor in a GPU's memory.
   *
   * @throws IllegalStateException where the memory has been released, or is the host's
   */
  @Override
  public long address() {
    lease.check(this);
    return switch (memory) {
      case DeviceMemory m -> m.address() + offset;
      case HostMemory _ ->
          throw new IllegalStateException(
              form()
                  + " lies in host memory, which a kernel cannot read: copy it to the GPU first");
    };
  }

  /**
   * The bytes from the first element to the last, as the host reads them: the memory itself where
   * it is the host's, otherwise a copy, for which the host waits.
   */
  public MemorySegment toHost() {
    return switch (memory) {
      case HostMemory _ -> segment();
      case DeviceMemory m -> {
        lease.check(this);
        long[] words = new long[Math.toIntExact(Math.ceilDiv(span(), Long.BYTES))];
        MemorySegment copy = MemorySegment.ofArray(words).asSlice(0, span());
        m.device().read(copy, m, offset);
        yield copy;
      }
    };
  }

  /** Overwrites the bytes from the first element to the last; on a GPU in order with its work. */
  public void fromHost(MemorySegment bytes) {
    lease.check(this);
    if (bytes.byteSize() != span()) {
      throw new IllegalArgumentException(
          form() + " takes " + span() + " bytes, got " + bytes.byteSize());
    }
    memory.device().write(memory, offset, bytes);
  }

  /**
   * Copies all elements from a tensor on any device.
   *
   * @throws IllegalArgumentException where the two differ in type or shape, or either has gaps
   */
  public void copyFrom(Tensor source) {
    Check.that("copyFrom")
        .sameShape("the source", source, "the destination", this)
        .dtype("the source", source, dtype)
        .contiguous("the source", source)
        .contiguous("the destination", this);
    lease.check(this);
    source.lease.check(source);
    Device device = memory instanceof DeviceMemory ? memory.device() : source.memory.device();
    device.copy(memory, offset, source.memory, source.offset, span());
  }

  private long span() {
    return dtype.bytes(layout.span());
  }

  /** The same elements under another shape, without a copy; see {@link Layout#reshape}. */
  public Tensor reshape(Shape shape) {
    return new Tensor(memory, offset, layout.reshape(shape), dtype, lease);
  }

  /** {@link #reshape(Shape)} from plain dimensions. */
  public Tensor reshape(int... dims) {
    return reshape(Shape.of(dims));
  }

  /** A view with two dimensions exchanged. */
  public Tensor transpose(int a, int b) {
    return new Tensor(memory, offset, layout.transpose(a, b), dtype, lease);
  }

  /** A view of the elements {@code [from, to)} of one dimension. */
  public Tensor slice(int dim, int from, int to) {
    return new Tensor(
        memory,
        offset + dtype.bytes(layout.offset(dim, from)),
        layout.slice(dim, from, to),
        dtype,
        lease);
  }

  /** A view of any layout, beginning at this tensor's first element. */
  public Tensor as(Layout view) {
    if (view.span() > layout.span()) {
      throw new IllegalArgumentException(
          "a view of layout " + view + " reaches beyond a tensor of layout " + layout);
    }
    return new Tensor(memory, offset, view, dtype, lease);
  }

  /** Type and shape, {@code F32[2, 3]}: what errors say of a tensor. */
  public String form() {
    return dtype.toString() + shape();
  }

  /**
   * Type, shape, device and values, of large tensors the first and last ones of each dimension:
   * {@code F32[3] on cpu (2 threads) [1.0, 2.0, 3.0]}. On a GPU the host waits for it; where the
   * values cannot be read it says why.
   */
  @Override
  public String toString() {
    return Elements.show(this);
  }
}
