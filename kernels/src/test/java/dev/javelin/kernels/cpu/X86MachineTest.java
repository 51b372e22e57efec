package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What no processor at hand can confirm: AVX-512, AMX and the rules of a call, each against values
 * worked out from the manual. Code is written as the bytes of binutils' assembler.
 */
class X86MachineTest {
  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  private static X86Machine machine(String hex, MemorySegment... memory) {
    return new X86Machine(X86DecoderTest.bytes(hex)).memory(memory);
  }

  private MemorySegment floats(float... x) {
    return arena.allocate(4L * Math.max(16, x.length), 64).copyFrom(MemorySegment.ofArray(x));
  }

  private static int pair(float low, float high) {
    return Float.floatToRawIntBits(low) >>> 16 | Float.floatToRawIntBits(high) & 0xffff0000;
  }

  // vdpbf16ps: c, a and b in rows of 64 bytes; the result replaces c

  @ParameterizedTest
  @CsvSource({
    // the odd pair is added first: 2^24 − 2^24 + 1, where the other order loses the 1
    "16777216, 1, 1, -16777216, 1, 1",
    "16777216, -16777216, 1, 1, 1, 0",
    "0.5, 2, 3, 4, 5, 26.5",
    // an operand that is subnormal counts as 0, even if the product were normal
    "1, 1e38, 1e-40, 0, 0, 1",
    "1e-40, 1, 0, 1, 0, 0",
    // a result that is subnormal is 0, also between the two sums
    "0, 0, 1, 1e-20, 1e-20, 0",
    "-1.17549435e-38, 1e-20, -1e-19, 1e-20, 1e-18, -0.0"
  })
  void addsTheOddProductFirstAndFlushes(
      float c, float aLow, float bLow, float aHigh, float bHigh, float want) {
    MemorySegment s = arena.allocate(192, 64);
    s.setAtIndex(JAVA_FLOAT, 3, c);
    s.setAtIndex(JAVA_INT, 16 + 3, pair(aLow, aHigh));
    s.setAtIndex(JAVA_INT, 32 + 3, pair(bLow, bHigh));
    // vmovups zmm0..2, [rdi], [rdi+64], [rdi+128]; vdpbf16ps zmm0, zmm1, zmm2; back to [rdi]
    machine(
            "62 f1 7c 48 10 07 62 f1 7c 48 10 4f 01 62 f1 7c 48 10 57 02"
                + "62 f2 76 48 52 c2 62 f1 7c 48 11 07 c5 f8 77 c3",
            s)
        .run(s.address());
    assertThat(s.getAtIndex(JAVA_FLOAT, 3)).isEqualTo(want);
    assertThat(s.getAtIndex(JAVA_FLOAT, 4)).isZero();
  }

  @Test
  void roundsTinyResultsTo24BitsBeforeItCallsThemSubnormal() {
    float min = Float.MIN_NORMAL;
    // 2^-126 − 2^-151: a tie, which goes to the even 2^-126; 2^-126 − 1.5·2^-151 stays below
    assertThat(FlushedFloat.fma(-0x1p-75f, 0x1p-76f, min)).isEqualTo(min);
    assertThat(FlushedFloat.fma(-0x1.8p-75f, 0x1p-76f, min)).isZero();
    assertThat(Math.fma(-0x1.8p-75f, 0x1p-76f, min)).isEqualTo(min); // Java's subnormal grid
    assertThat(FlushedFloat.fma(0x1.8p-75f, 0x1p-76f, -min)).isEqualTo(-0f);
    assertThat(FlushedFloat.add(min, min)).isEqualTo(2 * min);
    assertThat(FlushedFloat.add(1.5f * min, -min)).isZero();
  }

  @Test
  void broadcastsAPairToAllLanes() {
    MemorySegment s = arena.allocate(192, 64);
    for (int lane = 0; lane < 16; lane++) {
      s.setAtIndex(JAVA_FLOAT, lane, 100 * lane);
      s.setAtIndex(JAVA_INT, 16 + lane, pair(lane, 1));
    }
    s.setAtIndex(JAVA_INT, 33, pair(2, 3));
    // the same with zmm20, zmm21 and dword ptr [rdi+132]{1to16}
    machine("62 e1 7c 48 10 27 62 e1 7c 48 10 6f 01 62 e2 56 50 52 67 21 62 e1 7c 48 11 27 c3", s)
        .run(s.address());
    for (int lane = 0; lane < 16; lane++) {
      assertThat(s.getAtIndex(JAVA_FLOAT, lane)).isEqualTo(100 * lane + 2 * lane + 3);
    }
  }

  @Test
  void multipliesUnsignedBySignedBytes() {
    MemorySegment s = arena.allocate(192, 64);
    s.setAtIndex(JAVA_INT, 5, Integer.MAX_VALUE);
    s.setAtIndex(JAVA_INT, 16 + 5, 0xff02_01ff); // 255, 1, 2, 255
    s.setAtIndex(JAVA_INT, 32 + 5, 0x80_7f_ff_80); // -128, -1, 127, -128
    // vpdpbusd zmm0, zmm1, [rdi+128]
    machine(
            "62 f1 7c 48 10 07 62 f1 7c 48 10 4f 01 62 f2 75 48 50 47 02"
                + "62 f1 7c 48 11 07 c5 f8 77 c3",
            s)
        .run(s.address());
    assertThat(s.getAtIndex(JAVA_INT, 5))
        .isEqualTo(Integer.MAX_VALUE - 255 * 128 - 1 + 254 - 255 * 128);
  }

  @Test
  void masksMemoryBothWays() {
    MemorySegment six = floats(1, 2, 3, 4, 5, 6).asSlice(0, 24);
    MemorySegment out = floats(new float[16]);
    out.fill((byte) 1);
    // kmovw k1, edx; vmovups zmm31{k1}{z}, [rdi]; kmovw k2, ecx; vmovups [rsi]{k2}, zmm31
    X86Machine machine =
        machine("c5 f8 92 ca 62 61 7c c9 10 3f c5 f8 92 d1 62 61 7c 4a 11 3e c3", six, out);
    machine.run(six.address(), out.address(), 0b101011, 0b111111_0111);
    float untouched = Float.intBitsToFloat(0x01010101);
    assertThat(Arrays.copyOf(out.toArray(JAVA_FLOAT), 11))
        .containsExactly(1, 2, 0, untouched, 0, 6, 0, 0, 0, 0, untouched);
    // a lane more and the seventh float, which is not there, is read
    assertThatThrownBy(() -> machine.run(six.address(), out.address(), 0b1101011, 0))
        .isInstanceOf(X86Fault.class)
        .hasMessageContaining("at offset 0x4, vmovups zmm31{k1}{z},ZMMWORD PTR [rdi] (62 61 7c c9")
        .hasMessageContaining("read of 4 bytes at 0x%x".formatted(six.address() + 24));
  }

  @Test
  void mergesWhatTheMaskLeavesOut() {
    MemorySegment s = arena.allocate(128, 64);
    for (int lane = 0; lane < 32; lane++) {
      s.setAtIndex(JAVA_FLOAT, lane, lane);
    }
    // zmm5 = [rdi]; kmovw k3, edx; vaddps zmm5{k3}, zmm5, [rdi+64]; [rsi] = zmm5
    machine("62 f1 7c 48 10 2f c5 f8 92 da 62 f1 54 4b 58 6f 01 62 f1 7c 48 11 2e c5 f8 77 c3", s)
        .run(s.address(), s.address(), 0b10);
    assertThat(Arrays.copyOf(s.toArray(JAVA_FLOAT), 4)).containsExactly(0, 1 + 17, 2, 3);
  }

  @Test
  void clearsTheUpperLanesOfAShorterDestination() {
    MemorySegment s = floats(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    // zmm5 = [rdi]; vaddps ymm5, ymm5, ymm5; [rsi] = zmm5
    X86Machine machine = machine("62 f1 7c 48 10 2f c5 d4 58 ed 62 f1 7c 48 11 2e c5 f8 77 c3", s);
    machine.run(s.address(), s.address());
    assertThat(s.toArray(JAVA_FLOAT))
        .containsExactly(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0);
    assertThat(machine.upperHalvesAreClean()).isTrue();
    X86Machine dirty = machine("62 f1 7c 48 10 07 c3", s); // zmm0 = [rdi]
    dirty.run(s.address());
    assertThat(dirty.upperHalvesAreClean()).isFalse();
  }

  // Tiles: rdi = configuration, rsi = C, rdx = A, rcx = B, r8 = bytes between rows

  private MemorySegment configuration(int... rowsAndBytes) {
    MemorySegment c = arena.allocate(64, 64);
    c.set(ValueLayout.JAVA_BYTE, 0, (byte) 1);
    for (int t = 0; t < rowsAndBytes.length / 2; t++) {
      c.set(ValueLayout.JAVA_BYTE, 48 + t, (byte) rowsAndBytes[2 * t]);
      c.set(ValueLayout.JAVA_SHORT, 16 + 2 * t, (short) rowsAndBytes[2 * t + 1]);
    }
    return c;
  }

  /** Loads tmm0, tmm1, tmm2, multiplies as given, stores tmm0. */
  private static String product(String multiply) {
    return "c4 e2 78 49 07 c4 a2 7b 4b 04 06 c4 a2 7b 4b 0c 02 c4 a2 7b 4b 14 01"
        + multiply
        + "c4 a2 7a 4b 04 06 c4 e2 78 49 c0 c3";
  }

  private static final String TDPBF16PS_0_1_2 = "c4 e2 6a 5c c1";

  @Test
  void multipliesTilesOfAnySize() {
    int rows = 3;
    int columns = 5;
    int pairs = 2;
    MemorySegment config = configuration(rows, 4 * columns, rows, 4 * pairs, pairs, 4 * columns);
    MemorySegment a = arena.allocate(64L * rows, 64);
    MemorySegment b = arena.allocate(64L * pairs, 64);
    MemorySegment c = arena.allocate(64L * rows, 64);
    c.fill((byte) 0x40);
    float before = c.get(JAVA_FLOAT, 0);
    for (int m = 0; m < rows; m++) {
      for (int k = 0; k < pairs; k++) {
        a.setAtIndex(JAVA_INT, 16 * m + k, pair(m + 1, k - m));
      }
    }
    for (int k = 0; k < pairs; k++) {
      for (int n = 0; n < columns; n++) {
        b.setAtIndex(JAVA_INT, 16 * k + n, pair(n - 2, k + n));
      }
    }
    machine(product(TDPBF16PS_0_1_2), config, a, b, c)
        .run(config.address(), c.address(), a.address(), b.address(), 64);
    for (int m = 0; m < rows; m++) {
      for (int n = 0; n < 16; n++) {
        float sum = 0;
        for (int k = 0; k < pairs; k++) {
          sum += (m + 1) * (n - 2) + (k - m) * (k + n);
        }
        float want = n < columns ? before + sum : before;
        assertThat(c.getAtIndex(JAVA_FLOAT, 16 * m + n)).as("%d, %d", m, n).isEqualTo(want);
      }
    }
  }

  /** Of a row of A times a column of B with the pairs {low·1 + high·1}. */
  private float oneByOne(float c, float... lowsAndHighs) {
    int pairs = lowsAndHighs.length / 2;
    MemorySegment config = configuration(1, 4, 1, 4 * pairs, pairs, 4);
    MemorySegment a = arena.allocate(64, 64);
    MemorySegment b = arena.allocate(4L * pairs, 64);
    for (int k = 0; k < pairs; k++) {
      a.setAtIndex(JAVA_INT, k, pair(lowsAndHighs[2 * k], lowsAndHighs[2 * k + 1]));
      b.setAtIndex(JAVA_INT, k, pair(1, 1));
    }
    MemorySegment s = floats(c);
    machine(product(TDPBF16PS_0_1_2), config, a, b, s)
        .run(config.address(), s.address(), a.address(), b.address(), 4);
    return s.get(JAVA_FLOAT, 0);
  }

  @Test
  void sumsEvenAndOddApartThenBothThenC() {
    float big = 1 << 24; // big + 1 = big
    // even: big, 1 → big; odd: −big, 0: their sum is 0, though in the order of k it would be 1
    assertThat(oneByOne(0, big, -big, 1, 0)).isZero();
    // even: 1, 1 → 2; odd: 1, 1 → 2; C last: big + 4, though one by one it would stay big
    assertThat(oneByOne(big, 1, 1, 1, 1)).isEqualTo(big + 4);
    // even: big, −big, 1 → 1
    assertThat(oneByOne(0.5f, big, 0, -big, 0, 1, 0)).isEqualTo(1.5f);
    assertThat(oneByOne(1e-40f, 0, 0)).isZero();
    assertThat(oneByOne(0, 1e-40f, 1)).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource({
    "c4 e2 6a 5c d9, tile 3 is not configured",
    "c4 e2 42 5c c1, tile 7 is not configured",
    "c4 e2 72 5c c2, sizes do not fit",
    "c4 e2 72 5c c1, must differ",
    "c4 e2 6a 5c c9, must differ",
    "c4 e2 7a 5c c1, must differ",
    "c4 e2 7b 4b 0a, needs a SIB byte"
  })
  void refusesProductsThatTheProcessorRefuses(String multiply, String what) {
    MemorySegment config = configuration(3, 20, 3, 8, 2, 20);
    MemorySegment s = arena.allocate(256, 64);
    long at = s.address();
    assertThatThrownBy(
            () -> machine(product(multiply), config, s).run(config.address(), at, at, at, 64))
        .isInstanceOf(X86Fault.class)
        .hasMessageContaining("at offset 0x17")
        .hasMessageContaining("#UD")
        .hasMessageContaining(what);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 2, palette 2",
    "1, 3, start row",
    "2, 1, reserved",
    "15, 1, reserved",
    "32, 1, reserved",
    "56, 1, reserved",
    "16, 65, 65 bytes",
    "48, 17, 17 rows",
    "48, 0, 0 rows of 64 bytes",
    "16, 0, 16 rows of 0 bytes"
  })
  void refusesConfigurationsThatTheProcessorRefuses(int at, int value, String what) {
    MemorySegment config = configuration(16, 64);
    config.set(ValueLayout.JAVA_BYTE, at, (byte) value);
    assertThatThrownBy(() -> machine("c4 e2 78 49 07 c3", config).run(config.address()))
        .isInstanceOf(X86Fault.class)
        .hasMessageContaining("at offset 0x0, ldtilecfg [rdi]")
        .hasMessageContaining(what);
  }

  @Test
  void zeroesATileAndStoresItsConfiguration() {
    MemorySegment config = configuration(2, 8);
    MemorySegment c = arena.allocate(40, 64);
    MemorySegment copy = arena.allocate(64, 64);
    c.fill((byte) 1);
    // ldtilecfg [rdi]; tilezero tmm0; tilestored [rsi+r8], tmm0; sttilecfg [rdx]; tilerelease
    machine(
            "c4 e2 78 49 07 c4 e2 7b 49 c0 c4 a2 7a 4b 04 06 c4 e2 79 49 02 c4 e2 78 49 c0 c3",
            config,
            c,
            copy)
        .run(config.address(), c.address(), copy.address(), 0, 32);
    assertThat(c.toArray(JAVA_INT))
        .containsExactly(
            0, 0, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0x01010101, 0, 0);
    assertThat(copy.mismatch(config)).isEqualTo(-1);
  }

  // Calls

  @Test
  void passesArgumentsInRegistersAndOnTheStack() {
    // rax = [rsp+8] + [rsp+16] + r9
    assertThat(machine("48 8b 44 24 08 48 03 44 24 10 4c 01 c8 c3").run(0, 0, 0, 0, 0, 5, 60, 700))
        .isEqualTo(765);
    // a constant behind the code: lea rax, [rip+3]; mov eax, [rax]; ret
    assertThat(machine("48 8d 05 03 00 00 00 8b 00 c3 67 45 23 01").run()).isEqualTo(0x1234567);
  }

  @ParameterizedTest
  @CsvSource({
    "48 89 fb c3, does not give back rbx", // mov rbx, rdi
    "57 c3, 'at offset 0x1, ret (c3): returns to 0x'", // push rdi
    "58 59 50 c3, returns with rsp off by 8", // pop rax; pop rcx; push rax
    "48 8b 07 48 8b 47 08 c3, 'at offset 0x3, mov rax,QWORD PTR [rdi+0x8] (48 8b 47 08): read of'",
    "48 89 07 c3, 'at offset 0x0, mov QWORD PTR [rdi],rax (48 89 07): write of 8 bytes to read-'",
    "48 8d 05 f9 ff ff ff 89 00 c3, write of 4 bytes to read-only", // to its own code
    "eb fe, does not end within 1000 instructions",
    "90, 'runs past the end of the code, to offset 0x1'",
    "62 f1 7c 48 28 87 04 00 00 00 c3, is not a multiple of 64", // vmovaps zmm0, [rdi+4]
    "0f 0b, cannot decode at offset 0x0",
    "48 83 e8 01 7a fa, the parity flag is not modelled",
    "0f a2, no identity is given"
  })
  void saysWhatIsWrongWithACall(String hex, String what) {
    MemorySegment eight = arena.allocate(72, 64).asSlice(0, 8).asReadOnly();
    assertThatThrownBy(() -> machine(hex, eight).limit(1000).run(eight.address()))
        .isInstanceOf(X86Fault.class)
        .hasMessageContaining(what);
  }

  @Test
  void failsIfTilesAreLeftBehind() {
    MemorySegment config = configuration(16, 64);
    assertThatThrownBy(() -> machine("c4 e2 78 49 07 c3", config).run(config.address()))
        .isInstanceOf(X86Fault.class)
        .hasMessageContaining("returns with configured tiles");
  }
}
