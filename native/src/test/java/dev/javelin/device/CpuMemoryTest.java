package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What a processor counts, where it stops, and one that counts only. */
class CpuMemoryTest {

  @Test
  void everyByteIsCountedFromItsAllocationToItsRelease() {
    try (Cpu cpu = Cpu.open(2)) {
      try (HostMemory a = cpu.allocate(1000);
          HostMemory b = cpu.allocate(256)) {
        assertThat(cpu.liveBytes()).isEqualTo(a.byteSize() + b.byteSize()).isEqualTo(1024 + 256);
      }
      assertThat(cpu.liveBytes()).isZero();
      assertThat(cpu.peakBytes()).isEqualTo(1280);
      cpu.parallel(2, 1, (from, to) -> cpu.scratch(1000)); // each thread gets as much
      assertThat(cpu.liveBytes()).isEqualTo(2 * 1024);
      cpu.parallel(2, 1, (from, to) -> cpu.scratch(3000));
      assertThat(cpu.liveBytes()).isEqualTo(2 * 3072);
    }
  }

  @Test
  void aSliceIsThePartThatIsAskedForHoweverManyThereAre() {
    try (Cpu cpu = Cpu.open(1)) {
      HostMemory m = cpu.allocate(1 << 16);
      for (int round = 0; round < 2; round++) {
        for (long offset = 0; offset < 1 << 12; offset++) { // more than a block keeps
          long bytes = 1 + offset % 37;
          assertThat(m.slice(offset, bytes).address()).isEqualTo(m.segment().address() + offset);
          assertThat(m.slice(offset, bytes).byteSize()).isEqualTo(bytes);
        }
      }
      assertThat(m.slice(64, 8)).isSameAs(m.slice(64, 8));
      assertThatThrownBy(() -> m.slice(m.byteSize() - 8, 9))
          .isInstanceOf(IndexOutOfBoundsException.class);
      m.close();
      assertThatThrownBy(() -> m.slice(64, 8)).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void reservedMemoryCountsAsFarAsItsOwnerSays() {
    try (Cpu cpu = Cpu.open(1);
        HostMemory m = cpu.reserve(1 << 20)) {
      assertThat(m.byteSize()).isEqualTo(1 << 20);
      assertThat(cpu.liveBytes()).isZero();
      cpu.commit(500);
      assertThat(cpu.liveBytes()).isEqualTo(500);
      cpu.commit(-500);
      assertThat(cpu.peakBytes()).isEqualTo(500);
    }
  }

  @Test
  void nothingIsTakenBeyondTheLimitAndWhatIsThereStays() {
    try (Cpu cpu = Cpu.open(1);
        HostMemory a = cpu.allocate(4096)) {
      cpu.limit(10_000);
      a.segment().set(ValueLayout.JAVA_INT, 0, 7);
      assertThatThrownBy(() -> cpu.allocate(8192))
          .isInstanceOf(OutOfMemoryError.class)
          .hasMessage("8,192 bytes more than the 4,096 in use pass the limit of 10,000 bytes");
      assertThatThrownBy(() -> cpu.parallel(1, 1, (f, t) -> cpu.scratch(8192)))
          .isInstanceOf(OutOfMemoryError.class);
      assertThat(cpu.liveBytes()).isEqualTo(4096);
      assertThat(a.segment().get(ValueLayout.JAVA_INT, 0)).isEqualTo(7);
      cpu.allocate(5904 - 5904 % 256).close();
    }
  }

  @Test
  void aRehearsalTakesAnyAmountAndComputesNothing() {
    try (Cpu cpu = Cpu.rehearsal(64)) {
      assertThat(cpu.threads()).isEqualTo(64);
      try (HostMemory m = cpu.allocate(1L << 42)) { // 4 TB
        assertThat(m.segment().get(ValueLayout.JAVA_LONG, 1L << 41)).isZero();
        m.segment().set(ValueLayout.JAVA_LONG, 1L << 41, 5);
        assertThat(m.segment().get(ValueLayout.JAVA_LONG, 1L << 41)).isEqualTo(5);
        assertThat(cpu.peakBytes()).isEqualTo(1L << 42);
      }
      AtomicInteger done = new AtomicInteger();
      cpu.parallel(
          1_000_000,
          10,
          (from, to) -> {
            cpu.scratch(1 << 20);
            done.incrementAndGet();
          });
      assertThat(done).hasValue(0);
      assertThat(cpu.liveBytes()).isEqualTo(64L << 20); // as each thread would have it
    }
  }
}
