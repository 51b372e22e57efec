package dev.javelin.device;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * One launch of a kernel: its arguments in the order of the kernel's parameters, then {@link #run}.
 *
 * <pre>{@code
 * cuda.kernel("rms_norm_forward", BF16).grid(rows).ptr(y).ptr(x).ptr(w).i32(cols).f32(eps).run();
 * }</pre>
 *
 * <p>A device has a single one for the thread whose turn it is, whose memory was laid out when the
 * device was opened, and one for each other thread: a launch makes no garbage. Number and sizes of
 * the arguments are held against what the driver knows of the kernel.
 *
 * <p>A launch belongs to the thread that began it. Other threads may close memory that it names:
 * {@link #run} looks again, in its turn on the device.
 *
 * <p>It goes through FFM: 0.2 µs of host time where JCuda's call, which wraps every argument in
 * objects and unwraps them in native code, takes 5.6 µs and more ({@code LaunchCost}: recorded into
 * a graph on the emulated device, so the driver's own part is left out; medians, two busy vCPUs of
 * an AMD EPYC).
 */
public final class Launch {
  private static final int MAX_ARGUMENTS = 64;
  private static final int MAX_MAPS = 8;
  private static final int MAX_WORDS = 128;
  private static final int SLOT = 8;
  private static final long MAX_X = Integer.MAX_VALUE;
  private static final long MAX_YZ = 65535;

  // CUlaunchConfig: grid, block and shared bytes as seven ints, then stream, attributes, count.
  private static final int CONFIG_BYTES = 56;
  private static final int CONFIG_STREAM = 32;
  private static final int CONFIG_ATTRIBUTES = 40;
  private static final int CONFIG_COUNT = 48;
  // CUlaunchAttribute: id, padding, a value of 64 bytes.
  private static final int ATTRIBUTE_BYTES = 72;
  private static final int ATTRIBUTE_VALUE = 8;
  private static final int CLUSTER_DIMENSION = 4;
  private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

  private final Cuda cuda;
  private final MemorySegment slots;
  private final MemorySegment pointers; // to the slots, or to a map where the argument is one
  private final MemorySegment maps;
  private final MemorySegment mapWork;
  private final MemorySegment words;
  private final MemorySegment config;
  private final MemorySegment attributes;
  private final long slotsAddress;
  private final long pointersAddress;

  private final @Nullable Addressable[] addressed = new @Nullable Addressable[MAX_ARGUMENTS];

  private @Nullable CudaKernel kernel;
  private long x;
  private long y;
  private long z;
  private int shared;
  private int count;
  private int mapCount;
  private int wordCount;
  private int cluster;
  private boolean overlaps;

  Launch(Cuda cuda, Arena arena) {
    this.cuda = cuda;
    this.slots = arena.allocate((long) MAX_ARGUMENTS * SLOT, SLOT);
    this.pointers = arena.allocate((long) MAX_ARGUMENTS * SLOT, SLOT);
    this.maps = arena.allocate((long) MAX_MAPS * TensorMap.BYTES, TensorMap.ALIGNMENT);
    this.mapWork = arena.allocate(TensorMap.WORK_BYTES, SLOT);
    this.words = arena.allocate((long) MAX_WORDS * SLOT, SLOT);
    this.config = arena.allocate(CONFIG_BYTES, SLOT);
    this.attributes = arena.allocate(2L * ATTRIBUTE_BYTES, SLOT);
    this.slotsAddress = slots.address();
    this.pointersAddress = pointers.address();
    for (int i = 0; i < MAX_ARGUMENTS; i++) {
      pointTo(i, slotsAddress + (long) i * SLOT);
    }
  }

  Launch begin(CudaKernel next, long gridX, long gridY, long gridZ) {
    finish(); // of one that was given up halfway
    kernel = next;
    x = gridX;
    y = gridY;
    z = gridZ;
    shared = 0;
    cluster = 1;
    overlaps = false;
    return this;
  }

  /** A pointer parameter; {@code null} is the null pointer. */
  public Launch ptr(@Nullable Addressable a) {
    long address = a == null ? 0 : a.address();
    slots.set(JAVA_LONG, slot(8), address);
    addressed[count - 1] = a;
    return this;
  }

  /** An {@code int} or {@code unsigned} parameter. */
  public Launch i32(int value) {
    slots.set(JAVA_INT, slot(4), value);
    return this;
  }

  /** A {@code long long} parameter. */
  public Launch i64(long value) {
    slots.set(JAVA_LONG, slot(8), value);
    return this;
  }

  /** A {@code float} parameter. */
  public Launch f32(float value) {
    slots.set(JAVA_FLOAT, slot(4), value);
    return this;
  }

  /** A {@code double} parameter. */
  public Launch f64(double value) {
    slots.set(JAVA_DOUBLE, slot(8), value);
    return this;
  }

  /** A tensor map, passed by value: {@code const __grid_constant__ CUtensorMap}. */
  public Launch map(TensorMap map) {
    if (mapCount == MAX_MAPS) {
      throw new IllegalArgumentException(
          "kernel " + name() + ": more than " + MAX_MAPS + " tensor maps");
    }
    MemorySegment to =
        maps.asSlice((long) mapCount * TensorMap.BYTES, TensorMap.BYTES, TensorMap.ALIGNMENT);
    map.encode(to, mapWork);
    mapCount++;
    pointTo((int) (slot(TensorMap.BYTES) / SLOT), to.address());
    return this;
  }

  /** A struct of 64-bit words, passed by value. */
  public Launch words(long... values) {
    if (wordCount + values.length > MAX_WORDS) {
      throw new IllegalArgumentException(
          "kernel " + name() + ": more than " + MAX_WORDS + " words of structs");
    }
    long at = (long) wordCount * SLOT;
    MemorySegment.copy(values, 0, words, JAVA_LONG, at, values.length);
    wordCount += values.length;
    pointTo((int) (slot(values.length * SLOT) / SLOT), words.address() + at);
    return this;
  }

  /** Bytes of shared memory for each block, beside what the source declares. */
  public Launch shared(int bytes) {
    shared = bytes;
    return this;
  }

  /** {@code blocks} neighbours along x share their shared memory; compute capability 9.0. */
  public Launch cluster(int blocks) {
    cluster = blocks;
    return this;
  }

  /**
   * The kernel may begin while the one before it ends; it waits itself, with {@code
   * griddepcontrol.wait}, before it touches that one's results. Compute capability 9.0.
   */
  public Launch overlapsPrevious() {
    overlaps = true;
    return this;
  }

  /**
   * Queues the launch on the compute stream, or records it where a graph is captured.
   *
   * @throws IllegalArgumentException where arguments or grid do not fit the kernel
   * @throws CudaException where the driver refuses the launch, or has noticed that an earlier one
   *     failed
   */
  public void run() {
    CudaKernel k = kernel;
    if (k == null) {
      throw new IllegalStateException("run() without a grid: begin with CudaKernel.grid");
    }
    k.checkArgumentCount(count);
    if (x == 0 || y == 0 || z == 0) {
      finish();
      return;
    }
    if (x < 0 || y < 0 || z < 0 || x > MAX_X || y > MAX_YZ || z > MAX_YZ) {
      throw new IllegalArgumentException(
          "kernel %s: a grid has at most %d x %d x %d blocks, got %d x %d x %d"
              .formatted(k.name(), MAX_X, MAX_YZ, MAX_YZ, x, y, z));
    }
    try (Turn _ = cuda.turn()) {
      requireOpen();
      cuda.bind();
      k.allowShared(shared);
      int result =
          cluster == 1 && !overlaps
              ? DriverCalls.launch(
                  k.number(),
                  (int) x,
                  (int) y,
                  (int) z,
                  k.blockSize(),
                  shared,
                  cuda.compute().number(),
                  pointersAddress)
              : launchEx(k);
      if (result != 0) {
        String what = toString();
        finish();
        cuda.checkAfterwards(result, "launching " + what);
      }
      cuda.launched(k);
    }
    finish();
  }

  /** Memory may have been closed since it was named, where that was not in this turn. */
  private void requireOpen() {
    for (int i = 0; i < count; i++) {
      Addressable a = addressed[i];
      if (a != null) {
        slots.set(JAVA_LONG, (long) i * SLOT, a.address());
      }
    }
  }

  private int launchEx(CudaKernel k) {
    int n = 0;
    if (cluster != 1) {
      attributes.set(JAVA_INT, 0, CLUSTER_DIMENSION);
      attributes.set(JAVA_INT, ATTRIBUTE_VALUE, cluster);
      attributes.set(JAVA_INT, ATTRIBUTE_VALUE + 4L, 1);
      attributes.set(JAVA_INT, ATTRIBUTE_VALUE + 8L, 1);
      n++;
    }
    if (overlaps) {
      attributes.set(JAVA_INT, (long) n * ATTRIBUTE_BYTES, PROGRAMMATIC_STREAM_SERIALIZATION);
      attributes.set(JAVA_INT, (long) n * ATTRIBUTE_BYTES + ATTRIBUTE_VALUE, 1);
      n++;
    }
    config.setAtIndex(JAVA_INT, 0, (int) x);
    config.setAtIndex(JAVA_INT, 1, (int) y);
    config.setAtIndex(JAVA_INT, 2, (int) z);
    config.setAtIndex(JAVA_INT, 3, k.blockSize());
    config.setAtIndex(JAVA_INT, 4, 1);
    config.setAtIndex(JAVA_INT, 5, 1);
    config.setAtIndex(JAVA_INT, 6, shared);
    config.set(JAVA_LONG, CONFIG_STREAM, cuda.compute().number());
    config.set(JAVA_LONG, CONFIG_ATTRIBUTES, attributes.address());
    config.set(JAVA_INT, CONFIG_COUNT, n);
    return DriverCalls.launchEx(config.address(), k.number(), pointersAddress);
  }

  private void finish() {
    if (mapCount + wordCount > 0) {
      for (int i = 0; i < count; i++) {
        pointTo(i, slotsAddress + (long) i * SLOT);
      }
    }
    Arrays.fill(addressed, 0, count, null);
    kernel = null;
    mapCount = 0;
    wordCount = 0;
    count = 0;
  }

  /** Byte offset of the next argument's slot. */
  private long slot(int bytes) {
    CudaKernel k = kernel;
    if (k == null) {
      throw new IllegalStateException("an argument without a grid: begin with CudaKernel.grid");
    }
    if (count == MAX_ARGUMENTS) {
      throw new IllegalArgumentException(
          "kernel " + k.name() + ": more than " + MAX_ARGUMENTS + " arguments");
    }
    k.checkArgument(count, bytes);
    return (long) count++ * SLOT;
  }

  private void pointTo(int argument, long address) {
    pointers.setAtIndex(JAVA_LONG, argument, address);
  }

  private String name() {
    return kernel == null ? "none" : kernel.name();
  }

  @Override
  public String toString() {
    CudaKernel k = kernel;
    return k == null
        ? "no kernel"
        : "kernel %s, grid %d x %d x %d, block %d, %d bytes of shared memory"
            .formatted(k.name(), x, y, z, k.blockSize(), shared);
  }
}
