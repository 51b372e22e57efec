package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CpuTest {

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 255, 256, 257, 4096, 5_000_000, 33_554_432})
  void memoryIsZeroedAlignedAndAtLeastAsLargeAsAsked(long bytes) {
    try (Cpu cpu = Cpu.open(1);
        HostMemory m = cpu.allocate(bytes)) {
      assertThat(m.byteSize()).isGreaterThanOrEqualTo(bytes);
      assertThat(m.segment().address() % 256).isZero();
      for (long i = 0; i < m.byteSize(); i += Math.max(1, m.byteSize() / 1000)) {
        assertThat(m.segment().get(ValueLayout.JAVA_BYTE, i)).isZero();
      }
      assertThat(m.device()).isSameAs(cpu);
    }
  }

  @Test
  void largeBlocksTakeNoMemoryUntilTheyAreUsed() {
    try (Cpu cpu = Cpu.open(1);
        HostMemory m = cpu.allocate(1L << 36)) {
      m.segment().set(ValueLayout.JAVA_BYTE, (1L << 36) - 1, (byte) 1);
      assertThat(m.byteSize()).isEqualTo(1L << 36);
    } catch (OutOfMemoryError strictOvercommit) {
      assertThat(strictOvercommit).hasMessageContaining("refused");
    }
  }

  @Test
  void closedMemoryRefusesToBeRead() {
    try (Cpu cpu = Cpu.open(1)) {
      HostMemory m = cpu.allocate(100);
      m.close();
      m.close();
      assertThatThrownBy(m::segment)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }

  @Test
  void copiesBetweenBlocksAtOffsets() {
    try (Cpu cpu = Cpu.open(1);
        HostMemory a = cpu.allocate(1000);
        HostMemory b = cpu.allocate(1000)) {
      for (int i = 0; i < 1000; i++) {
        a.segment().set(ValueLayout.JAVA_BYTE, i, (byte) i);
      }
      cpu.copy(b, 10, a, 3, 500);
      assertThat(b.segment().get(ValueLayout.JAVA_BYTE, 9)).isZero();
      assertThat(b.segment().asSlice(10, 500).mismatch(a.segment().asSlice(3, 500))).isEqualTo(-1);
      assertThat(b.segment().get(ValueLayout.JAVA_BYTE, 510)).isZero();
    }
  }

  @Test
  void eachThreadOfTheTeamHasItsOwnScratchWhichGrowsOnDemand() {
    try (Cpu cpu = Cpu.open(3)) {
      Set<Long> addresses = ConcurrentHashMap.newKeySet();
      cpu.parallel(
          3000,
          1,
          (from, to) -> {
            MemorySegment s = cpu.scratch(1 << 12);
            addresses.add(s.address());
            s.fill((byte) from);
            assertThat(s.get(ValueLayout.JAVA_BYTE, 4095)).isEqualTo((byte) from);
          });
      assertThat(addresses).hasSizeBetween(1, 3);
      long before = cpu.allocations();
      cpu.parallel(100, 1, (from, to) -> cpu.scratch(1 << 10));
      assertThat(cpu.allocations()).isEqualTo(before);
      assertThat(cpu.scratch(1 << 20).byteSize()).isGreaterThanOrEqualTo(1 << 20);
    }
  }

  @Test
  void threadsOutsideALoopHaveScratchOfTheirOwn() throws Exception {
    try (Cpu cpu = Cpu.open(2)) {
      MemorySegment own = cpu.scratch(100);
      MemorySegment shared = cpu.shared(100);
      own.fill((byte) 1);
      shared.fill((byte) 2);
      Thread other =
          new Thread(
              () -> {
                cpu.scratch(1 << 20).fill((byte) 3);
                cpu.shared(1 << 20).fill((byte) 4);
                cpu.parallel(4, 1, (from, to) -> cpu.scratch(1 << 20).fill((byte) 5));
              });
      other.start();
      other.join();
      assertThat(own.get(ValueLayout.JAVA_BYTE, 99)).isEqualTo((byte) 1);
      assertThat(shared.get(ValueLayout.JAVA_BYTE, 99)).isEqualTo((byte) 2);
    }
  }

  @Test
  void aSegmentOfClosedMemoryReadsAsZerosAndTakesNoMemory() {
    try (Cpu cpu = Cpu.open(1)) {
      for (long bytes : new long[] {1 << 20, 1 << 25}) {
        HostMemory m = cpu.allocate(bytes);
        MemorySegment s = m.segment();
        s.fill((byte) 7);
        m.close();
        assertThat(s.get(ValueLayout.JAVA_BYTE, bytes / 2)).isZero();
        s.set(ValueLayout.JAVA_BYTE, bytes / 2, (byte) 1); // a kernel may be about to
      }
    }
  }

  @Test
  void closingWaitsForTheTurn() throws Exception {
    Cpu cpu = Cpu.open(2);
    HostMemory m = cpu.allocate(1000);
    Thread closer;
    try (Turn _ = cpu.turn()) {
      closer =
          new Thread(
              () -> {
                m.close();
                cpu.close();
              });
      closer.start();
      while (closer.getState() != Thread.State.WAITING) {
        Thread.onSpinWait();
      }
      m.segment().set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
    }
    closer.join();
    assertThatThrownBy(m::segment).hasMessage("host memory of 1024 bytes is closed");
    assertThatThrownBy(() -> cpu.allocate(1)).hasMessage("cpu(2 threads) is closed");
    assertThatThrownBy(() -> cpu.parallel(2, 1, (from, to) -> {})).hasMessageContaining("closed");
    cpu.close();
    m.close();
  }

  @Test
  void rejectsNonsense() {
    assertThatThrownBy(() -> Cpu.open(0)).hasMessageContaining("threads must be at least 1");
    try (Cpu cpu = Cpu.open(1)) {
      assertThatThrownBy(() -> cpu.allocate(-1)).hasMessageContaining("negative");
    }
  }
}
