package dev.javelin.train.estimate;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.MemoryPoolMXBean;
import java.lang.management.MemoryType;
import java.lang.management.MemoryUsage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Function;

/**
 * What Java takes of the host's memory beside the tensors, in bytes. All parts but the last are the
 * virtual machine's own counters.
 *
 * @param heap committed
 * @param code of the compilers, committed
 * @param metaspace of classes, committed
 * @param vm the machine's own library, tables and threads: what the process has resident beyond the
 *     other parts
 */
public record JvmMemory(long heap, long code, long metaspace, long vm) {
  // Of the default run on Linux x86-64, JDK 25.0.3, serial collector. They hardly depend
  // on the run: it is the same program that is loaded and compiled.
  private static final long CODE_OF_A_RUN = 16_000_000;
  private static final long METASPACE_OF_A_RUN = 19_000_000;
  private static final long VM_OF_A_RUN = 88_000_000;

  public long total() {
    return heap + code + metaspace + vm;
  }

  /**
   * That of a run that begins now in this process: the heap as it has become while the data were
   * read, since steps leave next to no garbage; code and classes as they are after some steps of
   * any run.
   */
  public static JvmMemory ofRun() {
    JvmMemory now = peak();
    return new JvmMemory(
        now.heap,
        Math.max(now.code, CODE_OF_A_RUN),
        Math.max(now.metaspace, METASPACE_OF_A_RUN),
        VM_OF_A_RUN);
  }

  /** The most that this process has taken so far. */
  public static JvmMemory peak() {
    return of(MemoryPoolMXBean::getPeakUsage);
  }

  private static JvmMemory of(Function<MemoryPoolMXBean, MemoryUsage> usage) {
    long heap = 0;
    long code = 0;
    long metaspace = 0;
    for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
      MemoryUsage used = usage.apply(pool);
      long committed = used == null ? 0 : used.getCommitted();
      if (pool.getType() == MemoryType.HEAP) {
        heap += committed;
      } else if (pool.getName().startsWith("Code")) {
        code += committed;
      } else if (pool.getName().equals("Metaspace")) { // the class space is a part of it
        metaspace += committed;
      }
    }
    return new JvmMemory(heap, code, metaspace, VM_OF_A_RUN);
  }

  /** The most that this process has had resident, by the system's account; 0 where it says none. */
  public static long peakResident() {
    return status("VmHWM:");
  }

  /** What this process has resident now; 0 where the system does not say. */
  public static long resident() {
    return status("VmRSS:");
  }

  private static long status(String key) {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
        if (line.startsWith(key)) {
          return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
        }
      }
    } catch (IOException | NumberFormatException e) {
      // another system
    }
    return 0;
  }
}
