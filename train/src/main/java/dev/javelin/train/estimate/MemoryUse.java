package dev.javelin.train.estimate;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;

/**
 * The memory that this process has taken so far at most, in bytes.
 *
 * @param device by the device's own count; 0 for a GPU, which keeps none
 * @param jvm by the virtual machine's own counters, and what the process has resident beyond
 * @param resident by the system's account of the process; 0 where there is none
 */
public record MemoryUse(long device, JvmMemory jvm, long resident) {

  public static MemoryUse of(Device device) {
    long bytes =
        switch (device) {
          case Cpu cpu -> cpu.peakBytes();
          case Cuda _ -> 0;
        };
    return new MemoryUse(bytes, JvmMemory.peak(), JvmMemory.peakResident());
  }

  /** Tensors, heap, code and classes: what is counted byte for byte. */
  public long counted() {
    return device + jvm.heap() + jvm.code() + jvm.metaspace();
  }

  @Override
  public String toString() {
    return "tensors %s, heap %s, code %s, metaspace %s; resident %s"
        .formatted(
            MemoryTable.size(device),
            MemoryTable.size(jvm.heap()),
            MemoryTable.size(jvm.code()),
            MemoryTable.size(jvm.metaspace()),
            resident == 0 ? "unknown" : MemoryTable.size(resident));
  }
}
