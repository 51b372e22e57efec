package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The decoder against binutils' disassembler, whose words x86-decoded.txt holds. */
class X86DecoderTest {
  static byte[] bytes(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  private static List<String[]> listing() throws IOException {
    try (InputStream in = X86DecoderTest.class.getResourceAsStream("x86-decoded.txt")) {
      String text = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
      return text.lines().filter(s -> !s.startsWith("#")).map(s -> s.split("\t")).toList();
    }
  }

  @Test
  void readsWhatBinutilsReads() throws IOException {
    List<String[]> listing = listing();
    StringBuilder hex = new StringBuilder();
    StringBuilder want = new StringBuilder();
    for (String[] line : listing) {
      hex.append(line[0]).append(' ');
      want.append(line[0]).append(' ').append(line[1]).append('\n');
    }
    byte[] code = bytes(hex.toString());
    StringBuilder got = new StringBuilder();
    for (X86Instruction i : X86Machine.decodeAll(code)) {
      String own = HexFormat.ofDelimiter(" ").formatHex(code, i.offset, i.end());
      got.append(own).append(' ').append(i).append('\n');
    }
    assertThat(got.toString()).isEqualTo(want.toString());
  }

  @Test
  void isTestedWithEveryInstructionItKnows() throws IOException {
    StringBuilder hex = new StringBuilder();
    for (String[] line : listing()) {
      hex.append(line[0]).append(' ');
    }
    assertThat(X86Machine.decodeAll(bytes(hex.toString())).stream().map(i -> i.op).distinct())
        .containsExactlyInAnyOrder(X86Op.values());
  }

  @ParameterizedTest
  @CsvSource({
    "90 0f 0b, offset 0x1, 0f 0b",
    "cc, offset 0x0, opcode 0xcc",
    "f3 48 ab, offset 0x0, repeated",
    "48 8d, offset 0x0, ends",
    "48 81 c0 01, offset 0x0, ends",
    "c4 e2 79 c4 00, offset 0x0, map 2 prefix 0x66 opcode 0xc4",
    "62 f1 7c 68 10 07, offset 0x0, length 3",
    "62 f1 78 48 10 07, offset 0x0, reserved",
    "62 f1 7c c8 10 07, offset 0x0, zeroing without a mask",
    "62 f1 7c c9 11 07, offset 0x0, a store cannot zero",
    "62 f1 74 48 10 07, offset 0x0, vvvv must be 1111",
    "62 f1 7c 58 10 07, offset 0x0, broadcast",
    "62 f2 7d 48 52 c2, offset 0x0, prefix 0x66 opcode 0x52",
    "c4 e2 7c 49 07, offset 0x0, needs L0",
    "c4 e2 f8 49 07, offset 0x0, W1",
    "c4 e2 78 49 0f, offset 0x0, needs memory and /0",
    "c4 e2 7c 49 c0, offset 0x0, needs L0",
    "c4 e2 7b 49 c1, offset 0x0, ModRM must be 11:rrr:000",
    "c4 e2 6a 5c 01, offset 0x0, needs registers",
    "c4 e2 7b 4b c0, offset 0x0, needs memory",
    "66 c5 f8 77, offset 0x0, prefix before VEX"
  })
  void showsTheBytesOfWhatItDoesNotKnow(String hex, String where, String what) {
    assertThatThrownBy(() -> X86Machine.decodeAll(bytes(hex)))
        .isInstanceOf(X86Fault.class)
        .hasMessageContaining("cannot decode at " + where + ", bytes ")
        .hasMessageContaining(what);
  }
}
