package dev.javelin.tensor.step;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class WorkspaceTest {
  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void closeDevice() {
    cpu.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
  void liveRangesNeverOverlapAndAllComesBack(int seed) {
    Random random = new Random(seed);
    try (Workspace ws = Workspace.on(cpu, 1 << 20)) {
      for (int step = 0; step < 3; step++) {
        List<Tensor> live = new ArrayList<>();
        for (int i = 0; i < 500; i++) {
          if (!live.isEmpty() && random.nextInt(5) < 2) {
            ws.release(live.remove(random.nextInt(live.size())));
          } else {
            live.add(ws.alloc(DType.F32, Shape.of(1 + random.nextInt(20_000))));
          }
          assertThat(overlapping(live)).as("seed %d, request %d", seed, i).isFalse();
        }
        ws.reset();
        assertThat(ws.liveBytes()).isZero();
        // One range as large as a slab fits only where all of its neighbours were joined again.
        Tensor whole = ws.alloc(DType.U8, Shape.of(1 << 20));
        assertThat(whole.offset()).isZero();
        ws.reset();
      }
    }
  }

  @Test
  void equalRequestsGetEqualAddressesAndEqualFingerprints() {
    try (Workspace ws = Workspace.on(cpu, 1 << 20)) {
      List<List<Long>> addresses = new ArrayList<>();
      List<Long> prints = new ArrayList<>();
      for (int step = 0; step < 3; step++) {
        List<Long> a = new ArrayList<>();
        Random random = new Random(7);
        Tensor last = ws.alloc(DType.F32, Shape.of(10));
        for (int i = 0; i < 200; i++) {
          Tensor t = ws.alloc(DType.BF16, Shape.of(1 + random.nextInt(30_000)));
          a.add(t.segment().address());
          if (random.nextBoolean()) {
            ws.release(last);
          }
          last = t;
        }
        addresses.add(a);
        prints.add(ws.fingerprint());
        ws.reset();
      }
      assertThat(addresses.get(2)).isEqualTo(addresses.get(1));
      assertThat(prints.get(2)).isEqualTo(prints.get(1));
      ws.alloc(DType.F32, Shape.of(11));
      assertThat(ws.fingerprint()).isNotEqualTo(prints.get(1));
    }
  }

  @Test
  void aTensorUsedAfterItsReleaseNamesItsOwner() {
    try (Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tensor t = ws.alloc(DType.F32, Shape.of(4), "blocks.3 attention");
      Tensor view = t.reshape(2, 2);
      ws.release(t);
      assertThatThrownBy(view::segment)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("blocks.3 attention");
      Tensor old = ws.alloc(DType.F32, Shape.of(4));
      ws.reset();
      assertThatThrownBy(old::segment).hasMessageContaining("released");
      ws.alloc(DType.F32, Shape.of(4));
      assertThatThrownBy(() -> ws.release(old))
          .hasMessageContaining("not of this workspace and step");
    }
  }

  @Test
  void aScopeKeepsOnlyItsResult() {
    try (Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tensor result;
      Tensor temporary;
      try (Workspace.Scope scope = ws.scope()) {
        temporary = ws.alloc(DType.F32, Shape.of(100));
        result = scope.keep(ws.alloc(DType.F32, Shape.of(4)).reshape(2, 2));
      }
      result.segment();
      assertThatThrownBy(temporary::segment).hasMessageContaining("released");
      assertThat(ws.liveBytes()).isEqualTo(256);
    }
  }

  @Test
  void scratchEndsWithItsBlock() {
    try (Workspace ws = Workspace.on(cpu, 1 << 16)) {
      try (Workspace.Scratch s = ws.scratch(DType.F32, Shape.of(10))) {
        s.tensor().segment();
        assertThat(ws.liveBytes()).isEqualTo(256);
      }
      assertThat(ws.liveBytes()).isZero();
      assertThat(ws.peakBytes()).isEqualTo(256);
    }
  }

  @Test
  void releasedMemoryIsPoisonedOnDemand() {
    try (Workspace ws = Workspace.poisoned(cpu, 1 << 16)) {
      Tensor a = ws.alloc(DType.F32, Shape.of(8));
      assertThat(a.segment().get(ValueLayout.JAVA_FLOAT, 0)).isNaN();
      a.segment().fill((byte) 0);
      var stale = a.segment();
      ws.release(a);
      assertThat(stale.get(ValueLayout.JAVA_FLOAT, 4)).isNaN();
    }
  }

  @Test
  void tensorsThatLieApartHaveTheirOwnMemoryWhichEndsWithThem() {
    try (Workspace ws = Workspace.apart(cpu)) {
      Tensor a = ws.alloc(DType.F32, Shape.of(7));
      Tensor b = ws.alloc(DType.BF16, Shape.of(3));
      assertThat(a.segment().byteSize()).isEqualTo(28);
      assertThat(b.segment().byteSize()).isEqualTo(6);
      assertThat(a.segment().get(ValueLayout.JAVA_FLOAT, 24)).isNaN();
      assertThat(ws.liveBytes()).isEqualTo(34);
      Memory memory = a.memory();
      ws.release(a);
      assertThatThrownBy(() -> ((HostMemory) memory).segment()).hasMessageContaining("closed");
      assertThat(ws.alloc(DType.F32, Shape.of(7)).memory()).isNotSameAs(memory);
    }
  }

  @Test
  void theDeviceCountsWhatWasEverHandedOutAndNotTheSlab() {
    try (Cpu own = Cpu.open(1)) {
      try (Workspace ws = Workspace.on(own)) {
        Tensor a = ws.alloc(DType.F32, Shape.of(64)); // 256 bytes
        Tensor b = ws.alloc(DType.F32, Shape.of(128), "b");
        ws.release(a);
        Tensor c = ws.alloc(DType.F32, Shape.of(256), "c"); // behind b: the gap is too small
        assertThat(ws.peakBytes()).isEqualTo(512 + 1024);
        assertThat(ws.extentBytes()).isEqualTo(256 + 512 + 1024);
        assertThat(own.liveBytes()).isEqualTo(ws.extentBytes());
        ws.release(b);
        ws.release(c);
        ws.alloc(DType.F32, Shape.of(1), "late");
        assertThat(ws.atPeak()).isEqualTo(Map.of("b", 512L, "c", 1024L));
        ws.reset();
        assertThat(ws.atPeak()).isEmpty();
        assertThat(own.liveBytes()).isEqualTo(ws.extentBytes()).isEqualTo(1792);
      }
      assertThat(own.liveBytes()).isZero();
    }
  }

  @Test
  void aRequestBeyondTheDevicesLimitIsRefusedAndLeavesTheRangeFree() {
    try (Cpu own = Cpu.open(1);
        Workspace ws = Workspace.on(own)) {
      own.limit(1000);
      ws.alloc(DType.F32, Shape.of(128));
      assertThatThrownBy(() -> ws.alloc(DType.F32, Shape.of(128)))
          .isInstanceOf(OutOfMemoryError.class)
          .hasMessageContaining("512 bytes more than the 512 in use");
      own.limit(1024);
      ws.alloc(DType.F32, Shape.of(128));
      assertThat(ws.extentBytes()).isEqualTo(1024);
    }
  }

  @Test
  void takesNoNewMemoryInTheSteadyState() {
    try (Workspace ws = Workspace.on(cpu, 1 << 12)) {
      long after = 0;
      for (int step = 0; step < 5; step++) {
        for (int i = 1; i < 40; i++) {
          ws.alloc(DType.F32, Shape.of(i * 100));
        }
        if (step == 0) {
          after = cpu.allocations();
        }
        ws.reset();
      }
      assertThat(cpu.allocations()).isEqualTo(after);
    }
  }

  private static boolean overlapping(List<Tensor> live) {
    List<Tensor> byAddress = new ArrayList<>(live);
    byAddress.sort((a, b) -> Long.compare(a.segment().address(), b.segment().address()));
    for (int i = 1; i < byAddress.size(); i++) {
      var before = byAddress.get(i - 1).segment();
      if (before.address() + before.byteSize() > byAddress.get(i).segment().address()) {
        return true;
      }
    }
    return false;
  }
}
