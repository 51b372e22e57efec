package dev.javelin.train.data;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BatchTest {

  private static int[] ids(int first) {
    int[] out = new int[21];
    for (int i = 0; i < out.length; i++) {
      out[i] = first + i;
    }
    return out;
  }

  private static void loadsInPlace(Device device) {
    try (Batch batch = Batch.on(device, BatchLayout.text(7), 3)) {
      for (int n = 0; n < 5; n++) {
        int first = 100 * n;
        batch.load(
            fields -> {
              fields.get("tokens").fromHost(MemorySegment.ofArray(ids(first)));
              fields.get("targets").fromHost(MemorySegment.ofArray(ids(first + 1)));
            });
        assertThat(batch.get("tokens").toHost().toArray(JAVA_INT)).isEqualTo(ids(first));
        assertThat(batch.get("targets").toHost().toArray(JAVA_INT)).isEqualTo(ids(first + 1));
        assertThat(batch.host().get("targets").segment().toArray(JAVA_INT))
            .isEqualTo(ids(first + 1));
        assertThat(batch.get("tokens").device()).isSameAs(device);
      }
    }
  }

  @Test
  void loadsInPlaceOnTheCpu() {
    try (Cpu cpu = Cpu.open(1)) {
      loadsInPlace(cpu);
    }
  }

  @Test
  @RequiresCuda
  void loadsInPlaceOnAGpu() {
    try (Device cuda = TestCuda.open(new BundledKernels())) {
      loadsInPlace(cuda);
    }
  }

  /**
   * Work that is put off until somebody waits, copies of batches that come as early as they may, or
   * as late: a block that is reused too early would show, and an event that nobody waits for.
   */
  @ParameterizedTest
  @CsvSource({"lazy, 1", "overlap, ahead", "overlap, behind"})
  @RequiresEmulator
  void eachStepSeesItsOwnBatchHoweverFarTheHostIsAhead(String key, String value) {
    int steps = 6;
    long bytes = 21 * JAVA_INT.byteSize();
    TestCuda.set(key, value);
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        DeviceMemory seen = cuda.allocate(steps * bytes);
        Batch batch = Batch.on(cuda, BatchLayout.text(7), 3)) {
      for (int n = 0; n < steps; n++) {
        int first = 100 * n;
        batch.load(
            fields -> {
              fields.get("tokens").fromHost(MemorySegment.ofArray(ids(first)));
              fields.get("targets").fromHost(MemorySegment.ofArray(ids(first + 1)));
            });
        cuda.copy(
            seen, n * bytes, batch.get("tokens").memory(), batch.get("tokens").offset(), bytes);
      }
      for (int n = 0; n < steps; n++) {
        int[] got = new int[21];
        cuda.read(MemorySegment.ofArray(got), seen, n * bytes);
        assertThat(got).as("step %d", n).isEqualTo(ids(100 * n));
      }
    } finally {
      TestCuda.set(key, "0");
    }
  }

  /** Filling memory stands for a step's kernels: it is put off until somebody waits for it. */
  @Test
  @RequiresEmulator
  void aBatchTravelsBesideTheKernelsOfTheStepBefore() {
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Batch batch = Batch.on(cuda, BatchLayout.text(7), 3);
        DeviceMemory busy = cuda.allocate(64)) {
      TestCuda.set("overlap", "ahead");
      cuda.fill(busy, 0, 64, 1);
      for (int n = 0; n < 3; n++) { // the third waits until the first has arrived
        batch.load(fields -> fields.get("tokens").fromHost(MemorySegment.ofArray(ids(0))));
      }
      MemorySegment peeped = MemorySegment.ofAddress(busy.address()).reinterpret(64);
      assertThat(peeped.get(JAVA_BYTE, 0)).as("the kernels have not run").isZero();
      cuda.synchronize();
      assertThat(peeped.get(JAVA_BYTE, 0)).isEqualTo((byte) 1);
      assertThat(batch.get("tokens").toHost().toArray(JAVA_INT)).isEqualTo(ids(0));
    } finally {
      TestCuda.set("overlap", "0");
    }
  }
}
