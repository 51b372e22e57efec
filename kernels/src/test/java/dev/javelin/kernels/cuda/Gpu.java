package dev.javelin.kernels.cuda;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.KernelImages;
import dev.javelin.device.TestCuda;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.BundledKernels;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Assumptions;

/** The device that kernel tests run on ({@link TestCuda}), with plain arrays in and out. */
final class Gpu implements AutoCloseable {
  private final Cuda cuda;

  private Gpu(Cuda cuda) {
    this.cuda = cuda;
  }

  /** Skips the test where there is no device at all, or the build has no kernels for it. */
  static Gpu open() {
    Assumptions.assumeTrue(TestCuda.missing().isEmpty(), TestCuda::missing);
    Assumptions.assumeTrue(
        new BundledKernels().find("fill", 90, TestCuda.isEmulated()) != null,
        "this build has no kernels for this device (no nvcc)");
    return new Gpu(TestCuda.open(new BundledKernels()));
  }

  /** Whether tests run on the emulated device, and there is one. */
  static boolean hasEmulator() {
    return TestCuda.isEmulated() && TestCuda.missing().isEmpty();
  }

  /** The emulated device with checked kernels and guarded memory. */
  static Gpu checked() {
    Assumptions.assumeTrue(hasEmulator(), "for the emulated device");
    Gpu gpu = new Gpu(Cuda.emulated(BundledKernels.checked()));
    Emulator.set("guard", "1");
    return gpu;
  }

  static Gpu open(TestMachine machine) {
    open().close(); // skips the test where it cannot be opened
    return new Gpu(
        machine.open(machine.checked() ? BundledKernels.checked() : new BundledKernels()));
  }

  /**
   * The emulated device with one image for kernels whose names begin so, checked ones for others,
   * and guarded memory.
   */
  static Gpu withImage(String beginning, byte[] image) {
    KernelImages others = BundledKernels.checked();
    Gpu gpu =
        new Gpu(
            Cuda.emulated(
                (family, capability, emulated) ->
                    family.startsWith(beginning)
                        ? image
                        : others.find(family, capability, emulated)));
    Emulator.set("guard", "1");
    return gpu;
  }

  /** With the kernels in docs/kernels/ladder, and skips where the build has none for the device. */
  static Gpu ladder(TestMachine machine) {
    Assumptions.assumeTrue(TestCuda.missing().isEmpty(), TestCuda::missing);
    KernelImages images = Ladder.images(machine.checked());
    Assumptions.assumeTrue(
        images.find("matmul_1", 90, TestCuda.isEmulated()) != null,
        "this build has not compiled docs/kernels/ladder for this device");
    return new Gpu(machine.open(images));
  }

  Cuda cuda() {
    return cuda;
  }

  boolean isEmulated() {
    return cuda.properties().emulated();
  }

  int capability() {
    return cuda.properties().capability();
  }

  CudaKernel kernel(String name) {
    return cuda.kernel(name);
  }

  /** Device memory of exactly so many bytes (at least 256), which the test never frees itself. */
  DeviceMemory bytes(long n) {
    return cuda.allocate(n);
  }

  DeviceMemory of(float... values) {
    return copy(MemorySegment.ofArray(values));
  }

  DeviceMemory of(int... values) {
    return copy(MemorySegment.ofArray(values));
  }

  DeviceMemory of(short... values) {
    return copy(MemorySegment.ofArray(values));
  }

  DeviceMemory of(byte... values) {
    return copy(MemorySegment.ofArray(values));
  }

  private DeviceMemory copy(MemorySegment values) {
    DeviceMemory memory = cuda.allocate(values.byteSize());
    cuda.write(memory, 0, values);
    return memory;
  }

  float[] floats(DeviceMemory memory, int n) {
    float[] values = new float[n];
    cuda.read(MemorySegment.ofArray(values), memory, 0);
    return values;
  }

  int[] ints(DeviceMemory memory, int n) {
    int[] values = new int[n];
    cuda.read(MemorySegment.ofArray(values), memory, 0);
    return values;
  }

  short[] shorts(DeviceMemory memory, int n) {
    short[] values = new short[n];
    cuda.read(MemorySegment.ofArray(values), memory, 0);
    return values;
  }

  byte[] byteArray(DeviceMemory memory, int n) {
    byte[] values = new byte[n];
    cuda.read(MemorySegment.ofArray(values), memory, 0);
    return values;
  }

  void synchronize() {
    cuda.synchronize();
  }

  @Override
  public void close() {
    TestMachine.restore();
    cuda.close();
  }
}
