package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.MachineCode;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * {@link X86Machine} against the processor that runs this test, one instruction after the other, as
 * far as it has them: x86-native.txt holds general ones, AVX2, AVX-512 and bf16. What this
 * processor lacks has only the tests of {@link X86MachineTest}.
 */
class X86NativeTest {
  private static final int IN = 512;
  private static final int OUT = 512;

  /** Loads rax, rcx, rdx from rdi; sets the carry, clears zero and overflow. */
  private static final String HEAD = "48 8b 07 48 8b 4f 08 48 8b 57 10 45 31 c0 49 83 f8 01";

  /** Stores the three at rsi; a bit for each condition but parity: mov r8d, 0; cmovcc r8d, r9d. */
  private static byte[] general(String instruction) {
    StringBuilder hex = new StringBuilder(HEAD).append(instruction);
    hex.append("48 89 06 48 89 4e 08 48 89 56 10 41 b9 01 00 00 00 41 ba 00 00 00 00");
    for (int condition = 0; condition < 16; condition++) {
      if (condition >> 1 != 5) {
        hex.append("41 b8 00 00 00 00 45 0f %02x c1 4f 8d 14 50".formatted(0x40 | condition));
      }
    }
    return X86DecoderTest.bytes(hex.append("4c 89 56 18 c3").toString());
  }

  /** Loads ymm0 to ymm3 from rdi and stores them at rsi. */
  private static byte[] vector(String instruction) {
    return X86DecoderTest.bytes(
        "c5 fc 10 07 c5 fc 10 4f 20 c5 fc 10 57 40 c5 fc 10 5f 60"
            + instruction
            + "c5 fc 11 06 c5 fc 11 4e 20 c5 fc 11 56 40 c5 fc 11 5e 60 c5 f8 77 c3");
  }

  /** The same with zmm0 to zmm3, and k1 from the first dword. */
  private static byte[] vector512(String instruction) {
    return X86DecoderTest.bytes(
        "62 f1 7c 48 10 07 62 f1 7c 48 10 4f 01 62 f1 7c 48 10 57 02 62 f1 7c 48 10 5f 03"
            + "8b 07 c5 f8 92 c8"
            + instruction
            + "62 f1 7c 48 11 06 62 f1 7c 48 11 4e 01 62 f1 7c 48 11 56 02 62 f1 7c 48 11 5e 03"
            + "c5 f8 77 c3");
  }

  /** Conditions o no b ae e ne be a s ns l ge le g: those without the overflow of a shift. */
  private static long defined(String flags) {
    return switch (flags) {
      case "all" -> 0b11111111111111;
      case "shift" -> 0b00111111110000;
      case "none" -> 0;
      default -> throw new IllegalArgumentException(flags);
    };
  }

  @Test
  void everyInstructionDoesWhatThisProcessorDoes() throws IOException {
    assumeTrue(MachineCode.obstacle() == null, MachineCode::obstacle);
    int compared = 0;
    Random random = new Random(14);
    try (Arena arena = Arena.ofConfined();
        InputStream file = X86NativeTest.class.getResourceAsStream("x86-native.txt")) {
      MemorySegment in = arena.allocate(IN, 64);
      MemorySegment out = arena.allocate(2 * OUT, 64);
      String text = new String(Objects.requireNonNull(file).readAllBytes(), StandardCharsets.UTF_8);
      for (String line : text.lines().filter(s -> !s.startsWith("#")).toList()) {
        List<String> columns = List.of(line.split("\t"));
        String kind = columns.get(2);
        boolean vector = kind.startsWith("vector");
        boolean here =
            switch (kind) {
              case "vector" -> Lanes.SPECIES.vectorBitSize() >= 256;
              case "vector512" -> Processor.THIS.avx512Bf16();
              default -> true;
            };
        byte[] code =
            switch (kind) {
              case "vector" -> vector(columns.get(0));
              case "vector512" -> vector512(columns.get(0));
              default -> general(columns.get(0));
            };
        X86Machine machine = new X86Machine(code).memory(in.asReadOnly(), out);
        if (!here) {
          machine.run(in.address(), out.address()); // no more than that it can be interpreted
          continue;
        }
        MachineCode processor = MachineCode.load(code).orElseThrow();
        for (int round = 0; round < 40; round++) {
          fill(in, random, vector);
          MemorySegment native_ = out.asSlice(0, OUT);
          MemorySegment ours = out.asSlice(OUT, OUT);
          fill(ours, random, vector);
          native_.copyFrom(ours);
          processor.call(in.address(), native_.address(), 0, 0, 0, 0);
          machine.run(in.address(), ours.address());
          if (!vector) {
            keep(native_, defined(kind));
            keep(ours, defined(kind));
          }
          assertThat(ours.toArray(ValueLayout.JAVA_INT))
              .as("%s, round %d", columns.get(1), round)
              .isEqualTo(native_.toArray(ValueLayout.JAVA_INT));
          compared++;
        }
      }
    }
    assertThat(compared).isGreaterThan(5000);
  }

  @Test
  void callsOfLinuxReachIt() {
    assumeTrue(MachineCode.obstacle() == null, MachineCode::obstacle);
    X86 x = new X86();
    x.mov(X86.Gp.RAX, 39); // getpid
    x.syscall();
    x.ret();
    assertThat(MachineCode.load(x.bytes()).orElseThrow().call(0, 0, 0, 0, 0, 0))
        .isEqualTo(ProcessHandle.current().pid());
  }

  @Test
  void tilesAreNotToBeHadOfAProcessorWithoutThem() {
    assumeTrue(!Processor.THIS.amxBf16(), "this processor has AMX");
    assertThat(MatmulTileAmx.load()).isEmpty();
  }

  private static void keep(MemorySegment out, long flags) {
    out.set(ValueLayout.JAVA_LONG, 24, out.get(ValueLayout.JAVA_LONG, 24) & flags);
  }

  /** Longs with many edges, or finite floats with subnormal ones among them. */
  private static void fill(MemorySegment s, Random random, boolean floats) {
    long[] edges = {0, 1, -1, 2, Long.MIN_VALUE, Long.MAX_VALUE, Integer.MIN_VALUE, 0x7fffffffL};
    for (long at = 0; at < s.byteSize(); at += 8) {
      if (floats) {
        // as bf16 both halves are finite too
        for (int half = 0; half < 8; half += 2) {
          int scale = random.nextInt(12) == 0 ? -125 : random.nextInt(40) - 20;
          short x = Half.floatToBf16(Math.scalb((float) random.nextGaussian(), scale));
          s.set(ValueLayout.JAVA_SHORT, at + half, x);
        }
      } else {
        long x = random.nextBoolean() ? edges[random.nextInt(8)] : random.nextLong();
        s.set(ValueLayout.JAVA_LONG, at, x + random.nextInt(3) - 1);
      }
    }
  }
}
