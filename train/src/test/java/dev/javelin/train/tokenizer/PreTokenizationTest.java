package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Pieces as Hugging Face's tokenizers cut them, where matches are empty or touch. */
class PreTokenizationTest {
  private static JsonObject json(String json) {
    return Json.parse(
        Path.of("tokenizer.json"), ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8)));
  }

  private static String pieces(String pattern, String behavior, boolean invert, String text) {
    String split =
        "{\"type\": \"Split\", \"pattern\": %s, \"behavior\": \"%s\", \"invert\": %s}"
            .formatted(pattern, behavior, invert);
    List<String> words = new ArrayList<>();
    PreTokenization.read(json(split))
        .splitter()
        .split(text, true, (word, first) -> words.add(word));
    return String.join(" ", words);
  }

  @ParameterizedTest
  @CsvSource(
      value = {
        "Removed,false,a Bc De F G,a b,a b,a b",
        "Removed,true,-- -,xx,``,- - - -",
        "Isolated,false,a Bc -- De F G -,a xx b,a b,- a - - b -",
        "Isolated,true,a Bc -- De F G -,a xx b,a b,- a - - b -",
        "MergedWithPrevious,false,a Bc-- De F G-,axx b,a b,- a- - b-",
        "MergedWithPrevious,true,a Bc --De F G -,a xxb,a b,-a - -b -",
        "MergedWithNext,false,a Bc --De F G -,a xxb,a b,-a - -b -",
        "MergedWithNext,true,a Bc-- De F G-,axx b,a b,- a- - b-",
        "Contiguous,false,a Bc -- De F G -,a xx b,a b,- a -- b -",
        "Contiguous,true,a Bc -- De F G -,a xx b,a b,- a -- b -",
      })
  void emptyMatchesPartWords(
      String behavior, boolean invert, String camel, String star, String empty, String hyphens) {
    assertThat(pieces("{\"Regex\": \"(?=[A-Z])|[-]+\"}", behavior, invert, "aBc--DeFG-"))
        .isEqualTo(camel);
    assertThat(pieces("{\"Regex\": \"x*\"}", behavior, invert, "axxb")).isEqualTo(star);
    assertThat(pieces("{\"String\": \"\"}", behavior, invert, "ab"))
        .isEqualTo(empty.replace("`", ""));
    assertThat(pieces("{\"String\": \"-\"}", behavior, invert, "-a--b-")).isEqualTo(hyphens);
  }

  /** Oniguruma's {@code \\w} has ² and ½, and no joiners. */
  @ParameterizedTest
  @CsvSource({
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645,\u0645\u06cc \u200c \u062e\u0648\u0627\u0647\u0645",
    "x\u00b2,x\u00b2",
    "x\u00bd,x\u00bd"
  })
  void wordsAreOnigurumas(String text, String words) {
    assertThat(pieces("{\"Regex\": \"\\\\w+|[^\\\\w\\\\s]+\"}", "Isolated", false, text))
        .isEqualTo(words);
  }

  @Test
  void replacementsOfNothingStandEverywhereButInAnEmptyText() {
    var nothing =
        Normalization.replace(json("{\"pattern\": {\"String\": \"\"}, \"content\": \"x\"}"));
    assertThat(nothing.apply("ab")).isEqualTo("xaxbx");
    assertThat(nothing.apply("")).isEmpty();
    var star =
        Normalization.replace(json("{\"pattern\": {\"Regex\": \"x*\"}, \"content\": \"-\"}"));
    assertThat(star.apply("axb")).isEqualTo("-a-b-");
    assertThat(star.apply("")).isEmpty();
  }
}
