package dev.javelin.device;

import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_CLOCK_RATE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE;
import static jcuda.driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;

import java.nio.charset.StandardCharsets;
import jcuda.driver.CUdevice;
import jcuda.driver.JCudaDriver;

/**
 * What a GPU is. Immutable.
 *
 * @param capability compute capability as a number: 90 for 9.0
 * @param sharedMemory bytes of shared memory that one block can have
 * @param clockKilohertz highest clock of the multiprocessors; 0 where the driver does not tell
 * @param memoryClockKilohertz highest clock of the memory; 0 where the driver does not tell
 * @param busBits width of the memory bus
 * @param driverVersion 13000 for a driver that speaks CUDA 13.0
 */
public record CudaProperties(
    int ordinal,
    String name,
    int capability,
    long totalMemory,
    int multiprocessors,
    int sharedMemory,
    int l2Cache,
    int clockKilohertz,
    int memoryClockKilohertz,
    int busBits,
    int driverVersion,
    boolean emulated) {

  private static final int NAME_BYTES = 256;

  static CudaProperties of(CUdevice device, int ordinal, CudaDriver driver) {
    byte[] name = new byte[NAME_BYTES];
    CudaDriver.check(
        JCudaDriver.cuDeviceGetName(name, NAME_BYTES, device), "querying a GPU's name");
    long[] total = new long[1];
    CudaDriver.check(JCudaDriver.cuDeviceTotalMem(total, device), "querying a GPU's memory");
    return new CudaProperties(
        ordinal,
        new String(name, StandardCharsets.UTF_8).replaceFirst("\0.*", ""),
        10 * attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
            + attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
        total[0],
        attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
        attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
        attribute(device, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE),
        attribute(device, CU_DEVICE_ATTRIBUTE_CLOCK_RATE),
        attribute(device, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE),
        attribute(device, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH),
        driver.version(),
        driver.isEmulated());
  }

  /** 0 where this driver does not know the attribute. */
  private static int attribute(CUdevice device, int which) {
    int[] value = new int[1];
    int result = JCudaDriver.cuDeviceGetAttribute(value, which, device);
    return result == 0 ? value[0] : 0;
  }

  /**
   * Peak of the memory in bytes per second, two transfers a clock; 0 where the driver does not tell
   * the clock.
   */
  public double peakBandwidth() {
    return 2e3 * memoryClockKilohertz * busBits / 8;
  }

  /** One line for a person: name, capability, multiprocessors, memory, driver. */
  public String describe() {
    return "%s, compute capability %d.%d, %d multiprocessors, %s, driver for CUDA %s"
        .formatted(
            name,
            capability / 10,
            capability % 10,
            multiprocessors,
            CudaException.size(totalMemory),
            CudaException.version(driverVersion));
  }
}
