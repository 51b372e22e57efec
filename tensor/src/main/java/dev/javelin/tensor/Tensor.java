package dev.javelin.tensor;

import dev.javelin.device.Addressable;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import java.lang.foreign.MemorySegment;

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
    lease.check();
    return switch (memory) {
      case HostMemory host -> host.segment().asSlice(offset, span());
      case DeviceMemory m ->
          throw new IllegalStateException(
              this + " lies on " + m.device() + ", where the host cannot reach it: use toHost()");
    };
  }

  /**
   * The address of the first element, for a tensor in a GPU's memory.
   *
   * @throws IllegalStateException where the memory has been released, or is the host's
   */
  @Override
  public long address() {
    lease.check();
    return switch (memory) {
      case DeviceMemory m -> m.address() + offset;
      case HostMemory _ ->
          throw new IllegalStateException(
              this + " lies in host memory, which a kernel cannot read: copy it to the GPU first");
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
        lease.check();
        long[] words = new long[Math.toIntExact(Math.ceilDiv(span(), Long.BYTES))];
        MemorySegment copy = MemorySegment.ofArray(words).asSlice(0, span());
        m.device().read(copy, m, offset);
        yield copy;
      }
    };
  }

  /** Overwrites the bytes from the first element to the last; on a GPU in order with its work. */
  public void fromHost(MemorySegment bytes) {
    lease.check();
    if (bytes.byteSize() != span()) {
      throw new IllegalArgumentException(
          this + " takes " + span() + " bytes, got " + bytes.byteSize());
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
    lease.check();
    source.lease.check();
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

  @Override
  public String toString() {
    return dtype.toString() + shape();
  }
}
