package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

class LanesTest {
  @Test
  void sumAddsHalvesOntoEachOther() {
    Random random = new Random(7);
    for (int round = 0; round < 20_000; round++) {
      float[] a = new float[Lanes.COUNT];
      for (int i = 0; i < a.length; i++) {
        a[i] = (float) Math.scalb(random.nextGaussian(), random.nextInt(20));
      }
      float got = Lanes.sum(FloatVector.fromArray(Lanes.SPECIES, a, 0));
      for (int half = a.length / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
          a[i] += a[i + half];
        }
      }
      assertThat(Float.floatToRawIntBits(got)).isEqualTo(Float.floatToRawIntBits(a[0]));
    }
  }

  @Test
  void maxFindsTheLargestLaneWhereverItIs() {
    for (int at = 0; at < Lanes.COUNT; at++) {
      assertThat(Lanes.max(Lanes.broadcast(-2f).withLane(at, -1f))).isEqualTo(-1f);
    }
  }

  @Test
  void clearWritesZerosToTheByteAndNothingElse() {
    int room = 5 * Lanes.BYTES;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment m = arena.allocate(room, 64);
      for (int at = 0; at < Lanes.BYTES; at += 3) {
        for (int bytes = 0; bytes <= room - at; bytes++) {
          m.fill((byte) 7);
          Lanes.clear(m, at, bytes);
          for (int i = 0; i < room; i++) {
            assertThat(m.get(ValueLayout.JAVA_BYTE, i))
                .isEqualTo((byte) (i < at || i >= at + bytes ? 7 : 0));
          }
        }
      }
      assertThatThrownBy(() -> Lanes.clear(m, 8, room))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void padRoundsUpToWholeVectors() {
    assertThat(Lanes.pad(0)).isZero();
    assertThat(Lanes.pad(1)).isEqualTo(Lanes.COUNT);
    assertThat(Lanes.pad(Lanes.COUNT)).isEqualTo(Lanes.COUNT);
    assertThat(Lanes.pad(Lanes.COUNT + 1)).isEqualTo(2 * Lanes.COUNT);
  }
}
