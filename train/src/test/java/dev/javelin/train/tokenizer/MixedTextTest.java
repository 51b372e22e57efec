package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MixedTextTest {
  private static final Tokenizer BYTES = new ByteTokenizer("<s>", "</s>");

  private static BitSet range(int from, int to) {
    BitSet set = new BitSet();
    set.set(from, to);
    return set;
  }

  @Test
  void aSpecialTokenInTheDataIsText() {
    String text = "<s>a</s>b</s>";
    assertThat(BYTES.encode(text, range(3, 9)).ids())
        .containsExactly(256, 'a', '<', '/', 's', '>', 'b', 257);
    assertThat(BYTES.encode(text, range(3, 5)).ids())
        .as("half of it is data")
        .containsExactly(256, 'a', '<', '/', 's', '>', 'b', 257);
    assertThat(BYTES.encode(text, new BitSet()).ids()).isEqualTo(BYTES.encodePrompt(text));
  }

  @Test
  void placesAreFoundInTheIds() {
    Encoded encoded = BYTES.encode("<s>ä</s></s>b", new BitSet(), 0, 1, 3, 4, 8, 12, 13);
    assertThat(encoded.ids()).containsExactly(256, 0xC3, 0xA4, 257, 257, 'b');
    assertThat(encoded.before()).containsExactly(0, 0, 1, 3, 4, 5, 6);
    assertThat(encoded.upTo()).containsExactly(0, 1, 1, 3, 4, 5, 6);
  }

  @Test
  void morePlacesInOneStretchThanAreLookedForAreCutAt() {
    String text = "ab".repeat(100);
    int[] places = new int[100];
    for (int i = 0; i < 100; i++) {
      places[i] = 2 * i + 1;
    }
    Encoded encoded = BYTES.encode(text, new BitSet(), places);
    assertThat(encoded.ids()).isEqualTo(BYTES.encode(text));
    assertThat(encoded.before()).isEqualTo(places);
    assertThat(encoded.upTo()).isEqualTo(places);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "bytelevel-gpt2-cut",
        "bytelevel-llama3-style",
        "bytelevel-qwen2-style",
        "sentencepiece-512"
      })
  void dataAloneEncodeAsTextAndNoDataAsAPrompt(String name) throws Exception {
    Tokenizer tokenizer = Tokenizer.load(SharedFiles.golden(name));
    JsonNode cases =
        SharedFiles.json(SharedFiles.golden(name).resolve("expectations.json")).get("cases");
    assertThat(cases).isNotEmpty();
    for (JsonNode one : cases) {
      String text = one.get("text").textValue();
      Encoded data = tokenizer.encode(text, range(0, text.length()), text.length() / 2);
      assertThat(data.ids()).as(text).isEqualTo(SharedFiles.ids(one.get("ids")));
      assertThat(data.upTo()[0] - data.before()[0]).as(text).isBetween(0, 1);
      JsonNode special = one.get("ids_special");
      if (special != null) {
        assertThat(tokenizer.encode(text, new BitSet()).ids())
            .as(text)
            .endsWith(SharedFiles.ids(special));
      }
    }
  }

  @Test
  void aTokenAcrossAPlaceIsBeforeNeither() throws Exception {
    Tokenizer tokenizer = Tokenizer.load(SharedFiles.golden("bytelevel-gpt2-cut"));
    int[] the = tokenizer.encode(" the");
    assertThat(the).hasSize(1);
    Encoded encoded = tokenizer.encode("a the", new BitSet(), 1, 3, 5);
    assertThat(encoded.before()).containsExactly(1, 1, 2);
    assertThat(encoded.upTo()).containsExactly(1, 2, 2);
  }
}
