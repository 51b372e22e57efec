package dev.javelin.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * A GPU, or the emulated one. Work is queued on one compute stream and done in order; the host
 * waits only in {@link #synchronize} and in copies from and to its own memory. A second stream
 * carries batches.
 *
 * <p>Every thread may use the device: the driver's context is made current where it is not. Each
 * call is done in a {@link #turn} of its own unless the thread has taken one, so threads that
 * launch without one each prepare their launches in memory of their own, but share {@link
 * #scratch}.
 *
 * <p>With {@code -Djavelin.debug} the host waits after every launch, so that a failure is reported
 * by the kernel that caused it.
 */
public final class Cuda implements Device {
  private static final boolean DEBUG = Boolean.getBoolean("javelin.debug");
  private static final int OLDEST_CAPABILITY = 80;
  private static final long MIN_BYTES = 16;
  private static final long MIN_SCRATCH_BYTES = 1 << 20;
  private static final ThreadLocal<@Nullable Cuda> CURRENT = new ThreadLocal<>();

  private final CudaProperties properties;
  private final CUdevice handle;
  private final CUcontext context = new CUcontext();
  private final CudaStream compute;
  private final CudaStream transfer;
  private final KernelCache kernels;
  private final Turn turn = new Turn();
  private final Arena arena = Arena.ofShared();
  private final Launch launch; // for the thread whose turn it is
  private final ThreadLocal<Launch> visitors =
      ThreadLocal.withInitial(() -> new Launch(this, Arena.ofAuto()));
  private final Set<DeviceMemory> live = new LinkedHashSet<>();
  private final AtomicLong allocations = new AtomicLong();
  private final List<DeviceMemory> scratch = new ArrayList<>(); // the last one is in use
  private long launches;
  private @Nullable CudaKernel last;
  private boolean capturing;
  private volatile boolean closed;

  /** What is free on a device, and what there is at all; in bytes. */
  public record MemoryInfo(long free, long total) {}

  private Cuda(CudaDriver driver, int ordinal, KernelImages images) {
    int[] count = new int[1];
    CudaDriver.check(JCudaDriver.cuDeviceGetCount(count), "counting GPUs");
    if (ordinal < 0 || ordinal >= count[0]) {
      throw new IllegalArgumentException(
          "there is no cuda:%d; this machine has %d GPU%s, counted from 0"
              .formatted(ordinal, count[0], count[0] == 1 ? "" : "s"));
    }
    this.handle = device(ordinal);
    this.properties = CudaProperties.of(handle, ordinal, driver);
    requireCapability(properties);
    CudaDriver.check(
        JCudaDriver.cuDevicePrimaryCtxRetain(context, handle), "taking the context of " + this);
    bind();
    this.compute = new CudaStream(this);
    this.transfer = new CudaStream(this);
    this.kernels = new KernelCache(this, images);
    this.launch = new Launch(this, arena);
  }

  /**
   * GPU {@code ordinal} of this machine.
   *
   * @throws CudaException where there is no driver, or it does not start, with the remedy
   * @throws IllegalArgumentException where there are fewer GPUs
   * @throws IllegalStateException where this process has the emulated device loaded
   */
  public static Cuda open(int ordinal, KernelImages images) {
    return new Cuda(CudaDriver.real(), ordinal, images);
  }

  /**
   * The emulated GPU: the same driver interface and the same kernels, on the processor. For tests
   * and for the debugger.
   *
   * @throws CudaException where this build has none
   * @throws IllegalStateException where this process has the machine's driver loaded
   */
  public static Cuda emulated(KernelImages images) {
    return new Cuda(CudaDriver.emulated(), 0, images);
  }

  /** Whether a driver of NVIDIA's is installed here; it may still refuse to start. */
  public static boolean hasDriver() {
    return CudaDriver.isInstalled();
  }

  /** Whether this build brings the emulated device. */
  public static boolean hasEmulator() {
    return CudaDriver.hasEmulator();
  }

  /**
   * The GPUs of this machine; none where the driver sees none.
   *
   * @throws CudaException where there is no driver, or it does not start, with the remedy
   */
  public static List<CudaProperties> list() {
    CudaDriver driver = CudaDriver.real();
    int[] count = new int[1];
    CudaDriver.check(JCudaDriver.cuDeviceGetCount(count), "counting GPUs");
    List<CudaProperties> all = new ArrayList<>();
    for (int i = 0; i < count[0]; i++) {
      all.add(CudaProperties.of(device(i), i, driver));
    }
    return all;
  }

  private static CUdevice device(int ordinal) {
    CUdevice d = new CUdevice();
    CudaDriver.check(JCudaDriver.cuDeviceGet(d, ordinal), "finding cuda:" + ordinal);
    return d;
  }

  static void requireCapability(CudaProperties gpu) {
    if (gpu.capability() < OLDEST_CAPABILITY) {
      throw new CudaException(
          0,
          "%s has compute capability %d.%d; the kernels need 8.0 (Ampere) or later: use --device cpu"
              .formatted(gpu.name(), gpu.capability() / 10, gpu.capability() % 10));
    }
  }

  public CudaProperties properties() {
    return properties;
  }

  @Override
  public Turn turn() {
    return turn.take();
  }

  // Kernels
  // ----------------------------------------------------------------------------------------

  /** The kernel of this whole name. */
  public CudaKernel kernel(String name) {
    return kernels.kernel(name, null, null);
  }

  /** The instance of a kernel for a type: {@code rms_norm_forward_bf16}. */
  public CudaKernel kernel(String name, DType t) {
    return kernels.kernel(name, t, null);
  }

  /** The instance of a kernel for two types: {@code matmul_nt_bf16_f32}. */
  public CudaKernel kernel(String name, DType first, DType second) {
    return kernels.kernel(name, first, second);
  }

  Launch begin(CudaKernel kernel, long x, long y, long z) {
    requireOpen();
    return (turn.isMine() ? launch : visitors.get()).begin(kernel, x, y, z);
  }

  void launched(CudaKernel kernel) {
    launches++;
    kernel.launches++;
    last = kernel;
    if (DEBUG && !capturing) {
      checkAfterwards(JCudaDriver.cuStreamSynchronize(compute.handle()), "running " + kernel);
    }
  }

  /** Kernels launched or recorded since the device was opened. */
  public long launches() {
    return launches;
  }

  /** Those of {@link #launches} whose kernels' names begin so. */
  public long launches(String prefix) {
    return kernels.launches(prefix);
  }

  // Memory
  // -----------------------------------------------------------------------------------------

  /**
   * {@inheritDoc} The host waits for the zeros: whichever stream writes to the memory first, they
   * are not to come after it.
   *
   * @throws CudaException where the memory does not suffice, saying what was asked and what is free
   */
  @Override
  public DeviceMemory allocate(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must not be negative, got " + bytes);
    }
    try (Turn _ = turn()) {
      requireNoCapture("reserving " + bytes + " bytes of device memory");
      bind();
      long size = Math.max(MIN_BYTES, bytes);
      Handles.Address base = new Handles.Address();
      int result = JCudaDriver.cuMemAlloc(base, size);
      if (result == CudaException.OUT_OF_MEMORY) {
        MemoryInfo info = memoryInfo();
        throw CudaException.outOfMemory(toString(), size, info.free(), info.total());
      }
      checkAfterwards(result, "reserving " + size + " bytes of device memory");
      DeviceMemory memory =
          new DeviceMemory(this, base, size, DEBUG ? new Throwable("allocated here") : null);
      synchronized (live) {
        live.add(memory);
      }
      allocations.incrementAndGet();
      fill(memory, 0, size, 0);
      compute.synchronize();
      return memory;
    }
  }

  /**
   * Scratch memory of one operator's kernels, for partial sums: at least {@code bytes} bytes with
   * any content, 256-byte aligned, valid until the next call. The compute stream runs kernels in
   * order, so one block serves all operators.
   *
   * <p>It grows to the largest request, in the steps that run before one is recorded. A block that
   * was outgrown stays until the device is closed, since recorded graphs hold its address; each is
   * twice as large as the one before, so together they are smaller than the last.
   */
  public DeviceMemory scratch(long bytes) {
    try (Turn _ = turn()) {
      DeviceMemory last = scratch.isEmpty() ? null : scratch.getLast();
      if (last == null || last.byteSize() < bytes) {
        long least = last == null ? MIN_SCRATCH_BYTES : 2 * last.byteSize();
        last = allocate(Math.max(least, bytes));
        scratch.add(last);
      }
      return last;
    }
  }

  /** A failed device refuses this too; what failed has been reported where it was noticed. */
  void release(DeviceMemory memory, Handles.Address base) {
    try (Turn _ = turn()) {
      requireNoCapture("freeing " + memory.byteSize() + " bytes of device memory");
      synchronized (live) {
        live.remove(memory);
      }
      if (!closed) {
        bind();
        int ignored = JCudaDriver.cuMemFree(base);
      }
    }
  }

  /**
   * Zeroed host memory that the GPU copies from and to while the host goes on; see {@link
   * CudaStream#copy}.
   */
  public HostMemory pinned(long bytes) {
    try (Turn _ = turn()) {
      requireNoCapture("pinning " + bytes + " bytes of host memory");
      bind();
      long size = Math.max(MIN_BYTES, bytes);
      Handles.Host base = new Handles.Host();
      checkAfterwards(JCudaDriver.cuMemHostAlloc(base, size, 0), "pinning " + size + " bytes");
      MemorySegment segment = MemorySegment.ofAddress(base.number()).reinterpret(size);
      segment.fill((byte) 0);
      return new HostMemory(this, segment, true, () -> unpin(base));
    }
  }

  private void unpin(Handles.Host base) {
    try (Turn _ = turn()) {
      requireNoCapture("freeing pinned host memory");
      if (!closed) {
        bind();
        int ignored = JCudaDriver.cuMemFreeHost(base);
      }
    }
  }

  /** Writes {@code value} to every byte of a range, on the compute stream. */
  public void fill(DeviceMemory memory, long offset, long bytes, int value) {
    Objects.checkFromIndexSize(offset, bytes, memory.byteSize());
    try (Turn _ = turn()) {
      CudaFill.rows(this, memory.base().plus(offset), 1, bytes, bytes, value);
    }
  }

  /**
   * Writes {@code value} to every byte of rows that lie {@code pitch} bytes apart, on the compute
   * stream.
   */
  public void fillRows(Addressable first, long rows, long bytes, long pitch, int value) {
    try (Turn _ = turn()) {
      CudaFill.rows(this, new Handles.Address(first.address()), rows, bytes, pitch, value);
    }
  }

  /**
   * Writes a 32-bit {@code value} {@code count} times from byte {@code offset} on, on the compute
   * stream. The value is part of the command, so a graph repeats it.
   */
  public void fillWords(Addressable memory, long offset, long count, int value) {
    try (Turn _ = turn()) {
      CudaFill.words(this, new Handles.Address(memory.address() + offset), count, value);
    }
  }

  @Override
  public void copy(Memory dst, long dstOffset, Memory src, long srcOffset, long bytes) {
    try (Turn _ = turn()) {
      boolean host = dst instanceof HostMemory || src instanceof HostMemory;
      if (host) {
        requireNoCapture("copying from or to host memory");
      }
      CudaCopy.enqueue(this, compute, dst, dstOffset, src, srcOffset, bytes);
      if (host) {
        compute.synchronize();
      }
    }
  }

  @Override
  public void read(MemorySegment dst, Memory src, long offset) {
    try (Turn _ = turn()) {
      requireNoCapture("reading device memory");
      CudaCopy.read(this, dst, src, offset);
    }
  }

  @Override
  public void write(Memory dst, long offset, MemorySegment src) {
    try (Turn _ = turn()) {
      requireNoCapture("writing device memory from the host");
      CudaCopy.write(this, dst, offset, src);
    }
  }

  public MemoryInfo memoryInfo() {
    try (Turn _ = turn()) {
      bind();
      long[] free = new long[1];
      long[] total = new long[1];
      CudaDriver.check(JCudaDriver.cuMemGetInfo(free, total), "querying free memory");
      return new MemoryInfo(free[0], total[0]);
    }
  }

  /**
   * How often device memory was reserved since the device was opened; constant in the steady state
   * of a training.
   */
  public long allocations() {
    return allocations.get();
  }

  // Order
  // ------------------------------------------------------------------------------------------

  /** The stream that kernels run on. */
  public CudaStream compute() {
    return compute;
  }

  /** The stream for batches, beside the compute stream. */
  public CudaStream transfer() {
    return transfer;
  }

  public CudaEvent event() {
    try (Turn _ = turn()) {
      bind();
      return new CudaEvent(this);
    }
  }

  @Override
  public void synchronize() {
    try (Turn _ = turn()) {
      requireNoCapture("waiting for the device");
      bind();
      checkAfterwards(JCudaDriver.cuCtxSynchronize(), "waiting for " + this);
    }
  }

  /** Whether a graph is being recorded. */
  public boolean isCapturing() {
    return capturing;
  }

  void beginCapture() {
    requireNoCapture("recording a graph");
    capturing = true;
  }

  void endCapture() {
    capturing = false;
  }

  void requireNoCapture(String what) {
    if (capturing) {
      throw new IllegalStateException(
          what
              + " is not possible while a step is recorded into a graph: do it before (a run without"
              + " recording loads all kernels) or after");
    }
  }

  /**
   * Makes the device's context that of the calling thread. To the driver a thread is one of the
   * operating system; a virtual thread may be on another of them since its last call.
   */
  void bind() {
    requireOpen();
    if (CURRENT.get() != this || Thread.currentThread().isVirtual()) {
      CudaDriver.check(JCudaDriver.cuCtxSetCurrent(context), "using " + this);
      CURRENT.set(this);
    }
  }

  boolean isOpen() {
    return !closed;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(this + " is closed");
    }
  }

  /** Throws unless successful, naming the kernel that may be the cause: failures arrive late. */
  void checkAfterwards(int result, String doing) {
    if (result != 0) {
      CudaDriver.check(
          result,
          last == null || DEBUG
              ? doing
              : doing + " (last kernel: " + last + "; -Djavelin.debug=true names the failing one)");
    }
  }

  /** Waits for the thread whose turn it is, and for the work that is queued. */
  @Override
  public void close() {
    try (Turn _ = turn()) {
      if (closed) {
        return;
      }
      bind();
      int ignored = JCudaDriver.cuCtxSynchronize();
      scratch.forEach(DeviceMemory::close);
      reportLeaks();
      List.copyOf(live).forEach(DeviceMemory::close); // others may keep the driver's context
      kernels.unload();
      compute.close();
      transfer.close();
      ignored = JCudaDriver.cuDevicePrimaryCtxRelease(handle);
      closed = true;
      CURRENT.remove();
      arena.close();
    }
  }

  private void reportLeaks() {
    if (DEBUG) {
      System.Logger log = System.getLogger(Cuda.class.getName());
      for (DeviceMemory m : live) {
        log.log(System.Logger.Level.WARNING, "not closed: " + m.byteSize() + " bytes", m.site());
      }
    }
  }

  @Override
  public String toString() {
    return properties.emulated()
        ? "emulator"
        : "cuda:" + properties.ordinal() + " (" + properties.name() + ")";
  }
}
