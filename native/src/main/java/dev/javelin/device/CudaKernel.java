package dev.javelin.device;

import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jcuda.driver.JCudaDriver;

/**
 * A kernel in an image that is loaded. Its block size is what the source says in {@code
 * __launch_bounds__}: that is the one place where it stands. Threads may share it: a launch is its
 * thread's own.
 */
public final class CudaKernel {
  private static final int WITHOUT_OPT_IN = 48 * 1024; // bytes of shared memory
  private static final int MAX_PARAMETERS = 64;

  private final Cuda cuda;
  private final String name;
  private final Handles.Function function;
  private final long number;
  private final int blockSize;
  private final int[] parameterBytes; // empty where the driver does not tell
  private final boolean knowsParameters;
  private int sharedLimit; // bytes that a launch may add to what the source declares

  /** Since the device was opened; {@link Cuda} counts. */
  long launches;

  CudaKernel(Cuda cuda, String name, Handles.Function function) {
    this.cuda = cuda;
    this.name = name;
    this.function = function;
    this.number = function.number();
    this.blockSize = attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
    this.sharedLimit =
        Math.clamp(
            WITHOUT_OPT_IN - (long) staticShared(),
            0,
            attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES));
    int[] sizes = new int[MAX_PARAMETERS];
    int count = askParameters(sizes);
    this.knowsParameters = count >= 0;
    this.parameterBytes = Arrays.copyOf(sizes, Math.max(0, count));
  }

  /** Number of parameters, their sizes in {@code sizes}; -1 where the driver (< 12.4) is silent. */
  private int askParameters(int[] sizes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment offset = arena.allocate(JAVA_LONG);
      MemorySegment size = arena.allocate(JAVA_LONG);
      for (int i = 0; i < MAX_PARAMETERS; i++) {
        int result = DriverCalls.parameter(number, i, offset, size);
        if (result == DriverCalls.NOT_SUPPORTED) {
          return -1;
        }
        if (result != 0) {
          return i; // CUDA_ERROR_INVALID_VALUE: there are no more
        }
        sizes[i] = (int) size.get(JAVA_LONG, 0);
      }
    }
    return MAX_PARAMETERS;
  }

  /** A launch of {@code x} blocks. */
  public Launch grid(long x) {
    return grid(x, 1, 1);
  }

  /** A launch of {@code x · y} blocks. */
  public Launch grid(long x, long y) {
    return grid(x, y, 1);
  }

  /**
   * A launch of {@code x · y · z} blocks, to be given its arguments in the order of the kernel's
   * parameters, then run. No blocks, no work: with a 0 among them {@link Launch#run} does nothing.
   */
  public Launch grid(long x, long y, long z) {
    return cuda.begin(this, x, y, z);
  }

  /** As many blocks as {@code threads} threads take. */
  public Launch threads(long threads) {
    return grid(Math.ceilDiv(threads, blockSize), 1, 1);
  }

  public String name() {
    return name;
  }

  /** Threads in a block. */
  public int blockSize() {
    return blockSize;
  }

  /** Registers of a thread. */
  public int registers() {
    return attribute(CU_FUNC_ATTRIBUTE_NUM_REGS);
  }

  /** Bytes of shared memory in the source, without what a launch adds. */
  public int staticShared() {
    return attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
  }

  /** Bytes of a thread's local memory: register spills and arrays that are indexed. */
  public int localBytes() {
    return attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
  }

  /** Blocks that fit on a multiprocessor at once, with {@code shared} bytes for each. */
  public int blocksPerMultiprocessor(int shared) {
    try (Turn _ = cuda.turn()) {
      cuda.bind();
      allowShared(shared);
      int[] blocks = new int[1];
      CudaDriver.check(
          JCudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor(
              blocks, function, blockSize, shared),
          "querying the occupancy of " + name);
      return blocks[0];
    }
  }

  /**
   * Above 48 KB, what the source declares included, a kernel must be told beforehand how much
   * shared memory its launches may add.
   */
  void allowShared(int bytes) {
    if (bytes <= sharedLimit) {
      return;
    }
    int most = cuda.properties().sharedMemory();
    if (bytes > most) {
      throw new IllegalArgumentException(
          "kernel %s: asked for %d bytes of shared memory, a block of this GPU has %d at most"
              .formatted(name, bytes, most));
    }
    CudaDriver.check(
        JCudaDriver.cuFuncSetAttribute(
            function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes),
        "allowing kernel " + name + " " + bytes + " bytes of shared memory");
    sharedLimit = bytes;
  }

  /** Throws where argument {@code index} has another size than the parameter it is for. */
  void checkArgument(int index, int bytes) {
    if (knowsParameters && (index >= parameterBytes.length || parameterBytes[index] != bytes)) {
      throw new IllegalArgumentException(
          index >= parameterBytes.length
              ? "kernel %s: takes %d arguments, got more".formatted(name, parameterBytes.length)
              : "kernel %s: parameter %d takes %d bytes, got an argument of %d"
                  .formatted(name, index, parameterBytes[index], bytes));
    }
  }

  void checkArgumentCount(int count) {
    if (knowsParameters && count != parameterBytes.length) {
      throw new IllegalArgumentException(
          "kernel %s: takes %d arguments, got %d".formatted(name, parameterBytes.length, count));
    }
  }

  Handles.Function handle() {
    return function;
  }

  long number() {
    return number;
  }

  private int attribute(int which) {
    try (Turn _ = cuda.turn()) {
      cuda.bind();
      int[] value = new int[1];
      CudaDriver.check(
          JCudaDriver.cuFuncGetAttribute(value, which, function), "querying kernel " + name);
      return value[0];
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
