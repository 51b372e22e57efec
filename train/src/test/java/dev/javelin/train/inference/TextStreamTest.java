package dev.javelin.train.inference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.tokenizer.ByteTokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A token is a byte, so that every character and every stop string crosses borders of tokens. */
class TextStreamTest {
  private final List<String> pieces = new ArrayList<>();

  private String write(String prompt, byte[] bytes, String... stop) {
    pieces.clear();
    ByteTokenizer tokenizer = new ByteTokenizer();
    TextStream stream =
        new TextStream(tokenizer, tokenizer.encode(prompt), List.of(stop), pieces::add);
    boolean stopped = false;
    for (int i = 0; i < bytes.length && !stopped; i++) {
      stopped = stream.add(bytes[i] & 0xFF);
    }
    if (!stopped) {
      stream.end();
    }
    assertThat(String.join("", pieces)).isEqualTo(stream.text());
    return stream.text();
  }

  private String write(String text, String... stop) {
    return write("", text.getBytes(StandardCharsets.UTF_8), stop);
  }

  @Test
  void piecesAreWholeCharacters() {
    assertThat(write("aé€😀b")).isEqualTo("aé€😀b");
    assertThat(pieces).containsExactly("a", "é", "€", "😀", "b");
  }

  @Test
  void aStopStringEndsTheTextBeforeItAndNoPartOfItIsHandedOut() {
    assertThat(write("one\n\ntwo", "\n\n")).isEqualTo("one");
    assertThat(pieces).containsExactly("o", "n", "e");
    assertThat(write("one\ntwo", "\n\n")).isEqualTo("one\ntwo");
    assertThat(pieces).containsExactly("o", "n", "e", "\nt", "w", "o");
    assertThat(write("aaab", "aab")).isEqualTo("a");
    assertThat(write("x😀y", "😀")).isEqualTo("x");
    assertThat(pieces).containsExactly("x");
  }

  @Test
  void theFirstOfSeveralStopStringsCounts() {
    assertThat(write("abcdef", "ef", "cd")).isEqualTo("ab");
    assertThat(write("abcdef", "cdef", "cd")).isEqualTo("ab");
    assertThat(write("abcdef", "bcd", "c")).isEqualTo("ab");
  }

  @Test
  void whatWasHeldBackComesAtTheEnd() {
    assertThat(write("ab", "bc")).isEqualTo("ab");
    assertThat(pieces).containsExactly("a", "b");
  }

  @Test
  void thePromptIsNeitherRepeatedNorSearched() {
    assertThat(write("en", "d of".getBytes(StandardCharsets.UTF_8), "end")).isEqualTo("d of");
  }

  @Test
  void bytesThatAreNoCharacterAreReplacedWhenNoneCanFollow() {
    assertThat(write("", new byte[] {'a', (byte) 0xE2, (byte) 0x82})).isEqualTo("a\uFFFD");
    assertThat(pieces).containsExactly("a", "\uFFFD");
    assertThat(write("", new byte[] {(byte) 0xC3, 'b'})).isEqualTo("\uFFFDb");
  }
}
