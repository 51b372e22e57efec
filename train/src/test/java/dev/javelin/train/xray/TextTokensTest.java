package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.tokenizer.SharedFiles;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TextTokensTest {
  @Test
  void bytesOfACharacterMayBeTokensOfTheirOwn() {
    TextTokens t = TextTokens.of(XrayFixture.TOKENIZER, "aä😀");
    assertThat(t.from()).containsExactly(0, 1, 2, 3, 4, 5, 6);
    assertThat(t.to()).containsExactly(1, 2, 3, 4, 5, 6, 7);
    assertThat(t.text('a')).isEqualTo("a");
  }

  @Test
  void tokensWithoutATextHaveNoPlaceInIt() {
    TextTokens t = TextTokens.of(null, new int[] {5, 7});
    assertThat(t.text(5)).isEqualTo("<5>");
    assertThat(t.to()).containsOnly(0);
  }

  /**
   * What a tokenizer adds has no bytes; the others have all bytes, in order, and read as the text.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "bytelevel-gpt2-cut",
        "bytelevel-llama3-style",
        "bytelevel-qwen2-style",
        "gpt2",
        "sentencepiece-512",
        "stories260K"
      })
  void placesCoverTheText(String name) {
    Tokenizer tokenizer =
        Tokenizer.load(
            name.equals("stories260K") ? SharedFiles.model(name) : SharedFiles.golden(name));
    String text = "Once upon a time, a naïve cat  sat on 2 mats.\n";
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    TextTokens t = TextTokens.of(tokenizer, text);
    assertThat(t.ids()).containsExactly(tokenizer.encodePrompt(text));
    int at = 0;
    for (int i = 0; i < t.ids().length; i++) {
      boolean added = tokenizer.specialTokens().containsValue(t.ids()[i]);
      assertThat(t.from()[i]).isEqualTo(at);
      assertThat(t.to()[i] == at).isEqualTo(added);
      at = t.to()[i];
      String said = t.text(t.ids()[i]);
      if (!added && !said.contains("\uFFFD")) {
        byte[] part = Arrays.copyOfRange(bytes, t.from()[i], t.to()[i]);
        assertThat(said.strip()).isEqualTo(new String(part, StandardCharsets.UTF_8).strip());
      }
    }
    assertThat(at).isEqualTo(bytes.length);
  }
}
