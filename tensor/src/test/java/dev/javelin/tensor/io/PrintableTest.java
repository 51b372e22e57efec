package dev.javelin.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class PrintableTest {
  @Test
  void leavesReadableTextAlone() {
    assertThat(Printable.line("naïve 語 😀 \"x\" \\n")).isEqualTo("naïve 語 😀 \"x\" \\n");
  }

  @Test
  void escapesWhatSteersATerminalOrHides() {
    assertThat(Printable.line("a\n\r\tb\u001b[31m\u0000\u007f\u009b"))
        .isEqualTo("a\\n\\r\\tb\\u001b[31m\\u0000\\u007f\\u009b");
    assertThat(Printable.line("\u202e\u2066\u200b\ufeff\u2028\u2029\u0085"))
        .isEqualTo("\\u202e\\u2066\\u200b\\ufeff\\u2028\\u2029\\u0085");
    assertThat(Printable.line("\ud800x\udc00")).isEqualTo("\\ud800x\\udc00");
    assertThat(Printable.line(Character.toString(0xE0001))).isEqualTo("\\udb40\\udc01");
  }

  @Test
  void cutsLongTextAndNoPairInTwo() {
    assertThat(Printable.brief("abc", 3)).isEqualTo("abc");
    assertThat(Printable.brief("abcd", 3)).isEqualTo("abc…");
    assertThat(Printable.brief("ab😀d", 3)).isEqualTo("ab…");
    assertThat(Printable.brief("\n".repeat(1 << 20), 4)).isEqualTo("\\n\\n…");
  }

  @Test
  void exceptionsAboutFilesUseIt() {
    assertThat(
            new FileFormatException(Path.of("a\nb"), "key \u001b]0;owned\u0007", "mend it")
                .getMessage())
        .isEqualTo("a\\nb: key \\u001b]0;owned\\u0007; mend it");
  }
}
