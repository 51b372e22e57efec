package dev.javelin.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import jcuda.driver.JCudaDriver;

/** Copies from, to and within a GPU's memory. */
final class CudaCopy {
  private static final long STAGING_BYTES = 4 << 20;

  private CudaCopy() {}

  /** Queues a copy between two blocks of which neither belongs to another GPU. */
  static void enqueue(
      Cuda cuda,
      CudaStream stream,
      Memory dst,
      long dstOffset,
      Memory src,
      long srcOffset,
      long bytes) {
    Objects.checkFromIndexSize(dstOffset, bytes, dst.byteSize());
    Objects.checkFromIndexSize(srcOffset, bytes, src.byteSize());
    if (bytes == 0) {
      return;
    }
    cuda.bind();
    int result =
        switch (dst) {
          case DeviceMemory to -> {
            Handles.Address a = address(cuda, to, dstOffset);
            yield switch (src) {
              case DeviceMemory from ->
                  JCudaDriver.cuMemcpyDtoDAsync(
                      a, address(cuda, from, srcOffset), bytes, stream.handle());
              case HostMemory from ->
                  JCudaDriver.cuMemcpyHtoDAsync(a, host(from, srcOffset), bytes, stream.handle());
            };
          }
          case HostMemory to ->
              switch (src) {
                case DeviceMemory from ->
                    JCudaDriver.cuMemcpyDtoHAsync(
                        host(to, dstOffset),
                        address(cuda, from, srcOffset),
                        bytes,
                        stream.handle());
                case HostMemory from -> {
                  MemorySegment.copy(from.segment(), srcOffset, to.segment(), dstOffset, bytes);
                  yield 0;
                }
              };
        };
    if (result != 0) {
      cuda.checkAfterwards(result, "copying " + bytes + " bytes");
    }
  }

  /** Fills {@code dst} from a block; done when it returns. */
  static void read(Cuda cuda, MemorySegment dst, Memory src, long offset) {
    Objects.checkFromIndexSize(offset, dst.byteSize(), src.byteSize());
    switch (src) {
      case HostMemory host -> dst.copyFrom(host.segment().asSlice(offset, dst.byteSize()));
      case DeviceMemory m -> {
        if (dst.isNative()) {
          toHost(cuda, dst, m, offset);
          return;
        }
        try (Arena arena = Arena.ofConfined()) {
          MemorySegment staging = staging(arena, dst);
          for (long at = 0; at < dst.byteSize(); at += staging.byteSize()) {
            MemorySegment part = part(dst, at);
            MemorySegment direct = staging.asSlice(0, part.byteSize());
            toHost(cuda, direct, m, offset + at);
            part.copyFrom(direct);
          }
        }
      }
    }
  }

  /** Fills a block from {@code src}; done when it returns. */
  static void write(Cuda cuda, Memory dst, long offset, MemorySegment src) {
    Objects.checkFromIndexSize(offset, src.byteSize(), dst.byteSize());
    switch (dst) {
      case HostMemory host -> host.segment().asSlice(offset, src.byteSize()).copyFrom(src);
      case DeviceMemory m -> {
        if (src.isNative()) {
          fromHost(cuda, m, offset, src);
          return;
        }
        try (Arena arena = Arena.ofConfined()) {
          MemorySegment staging = staging(arena, src);
          for (long at = 0; at < src.byteSize(); at += staging.byteSize()) {
            MemorySegment part = part(src, at);
            fromHost(cuda, m, offset + at, staging.asSlice(0, part.byteSize()).copyFrom(part));
          }
        }
      }
    }
  }

  /** What lies on the heap has no address for the driver, and goes through memory that has. */
  private static MemorySegment staging(Arena arena, MemorySegment heap) {
    return arena.allocate(Math.clamp(heap.byteSize(), 1, STAGING_BYTES), Long.BYTES);
  }

  private static MemorySegment part(MemorySegment heap, long from) {
    return heap.asSlice(from, Math.min(heap.byteSize() - from, STAGING_BYTES));
  }

  private static void toHost(Cuda cuda, MemorySegment dst, DeviceMemory src, long offset) {
    cuda.bind();
    int result =
        JCudaDriver.cuMemcpyDtoHAsync(
            new Handles.Host(dst.address()),
            address(cuda, src, offset),
            dst.byteSize(),
            cuda.compute().handle());
    cuda.checkAfterwards(result, "reading device memory");
    cuda.compute().synchronize();
  }

  private static void fromHost(Cuda cuda, DeviceMemory dst, long offset, MemorySegment src) {
    cuda.bind();
    int result =
        JCudaDriver.cuMemcpyHtoDAsync(
            address(cuda, dst, offset),
            new Handles.Host(src.address()),
            src.byteSize(),
            cuda.compute().handle());
    cuda.checkAfterwards(result, "writing device memory");
    cuda.compute().synchronize();
  }

  private static Handles.Host host(HostMemory memory, long offset) {
    return new Handles.Host(memory.segment().address() + offset);
  }

  private static Handles.Address address(Cuda cuda, DeviceMemory memory, long offset) {
    if (memory.device() != cuda) {
      throw new IllegalArgumentException(
          "a copy on %s of memory of %s: copy through host memory"
              .formatted(cuda, memory.device()));
    }
    return memory.base().plus(offset);
  }
}
