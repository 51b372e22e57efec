package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.MachineCode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

class ProcessorTest {
  // Leaf 7 of a processor with AVX512F, AMX-BF16 and AMX-TILE; its subleaf 1 with AVX512-BF16.
  private static final int[] SEVEN = {1, 1 << 16, 0, 1 << 22 | 1 << 24};
  private static final int[] NEXT = {1 << 5, 0, 0, 0};
  private static final long ALL_STATES = 0x602E7;

  @Test
  void saysWhatTheKernelSaysOfThisProcessor() throws IOException {
    String obstacle = MachineCode.obstacle();
    assumeTrue(obstacle == null, () -> "the processor cannot be asked: " + obstacle);
    Set<String> flags;
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      flags =
          new HashSet<>(
              List.of(
                  lines
                      .filter(l -> l.startsWith("flags"))
                      .findFirst()
                      .orElse(":")
                      .split("[:\\s]+")));
    }
    assertThat(Processor.THIS)
        .isEqualTo(
            new Processor(
                flags.contains("avx512_bf16"),
                flags.contains("amx_bf16"),
                flags.contains("avx512_vnni")));
  }

  @Test
  void anInstructionCountsOnlyIfTheSystemSavesItsRegisters() {
    assertThat(Processor.of(SEVEN, NEXT, ALL_STATES)).isEqualTo(new Processor(true, true, false));
    assertThat(Processor.of(SEVEN, NEXT, 0xE7)).isEqualTo(new Processor(true, false, false));
    assertThat(Processor.of(SEVEN, NEXT, 0x60007)).isEqualTo(new Processor(false, true, false));
    assertThat(Processor.of(SEVEN, NEXT, 0x07)).isEqualTo(Processor.PLAIN);
    assertThat(Processor.of(SEVEN, NEXT, 0x67)).isEqualTo(Processor.PLAIN);
  }

  @Test
  void everyBitIsNeeded() {
    int[] none = new int[4];
    assertThat(Processor.of(SEVEN, none, ALL_STATES)).isEqualTo(new Processor(false, true, false));
    assertThat(Processor.of(none, NEXT, ALL_STATES)).isEqualTo(Processor.PLAIN);
    int[] tilesAlone = {1, 0, 0, 1 << 24};
    assertThat(Processor.of(tilesAlone, NEXT, ALL_STATES)).isEqualTo(Processor.PLAIN);
  }

  @Test
  void dotProductsOfBytesNeedTheirThreeBitsAndTheRegisters() {
    int f = 1 << 16;
    int bw = 1 << 30;
    int vnni = 1 << 11;
    int[] none = new int[4];
    int[][] lacking = {{1, f, vnni, 0}, {1, bw, vnni, 0}, {1, f | bw, 0, 0}};
    int[] all = {1, f | bw, vnni, 0};
    assertThat(Processor.of(all, none, ALL_STATES)).isEqualTo(new Processor(false, false, true));
    assertThat(Processor.of(all, none, 0x07)).isEqualTo(Processor.PLAIN);
    for (int[] seven : lacking) {
      assertThat(Processor.of(seven, none, ALL_STATES)).isEqualTo(Processor.PLAIN);
    }
  }
}
