package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.lang.Character.UnicodeScript;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every component alone, and small tokenizers of every model, against {@code components.py}. */
class ComponentsTest {
  private static final JsonNode EXPECTED = read();

  private static JsonNode read() {
    try (InputStream in =
        new GZIPInputStream(
            Objects.requireNonNull(
                ComponentsTest.class.getResourceAsStream("/tokenizer/components.json.gz")))) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** The small tokenizers as {@code tokenizer.json}. */
  static List<String> tokenizerFiles() {
    List<String> files = new ArrayList<>();
    tokenizers().forEach(c -> files.add(c.get("tokenizer").toString()));
    return files;
  }

  private static List<JsonNode> list(String key) {
    List<JsonNode> all = new ArrayList<>();
    EXPECTED.get(key).forEach(all::add);
    return all;
  }

  static List<JsonNode> normalizers() {
    return list("normalizers");
  }

  static List<JsonNode> preTokenizers() {
    return list("pre_tokenizers");
  }

  static List<JsonNode> decoders() {
    return list("decoders");
  }

  static List<JsonNode> tokenizers() {
    return list("tokenizers");
  }

  private static JsonObject parent(JsonNode component) {
    String json = "{\"part\":" + component.get("json") + "}";
    return Json.parse(Path.of("part.json"), ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8)));
  }

  private static List<String> texts(JsonNode array) {
    List<String> texts = new ArrayList<>();
    array.forEach(item -> texts.add(item.textValue()));
    return texts;
  }

  private static String where(JsonNode component) {
    String json = component.get("json").toString();
    return json.length() < 200 ? json : json.substring(0, 200);
  }

  @ParameterizedTest
  @MethodSource("normalizers")
  void textsAreNormalisedAsTheReferenceDoes(JsonNode component) {
    UnaryOperator<String> normalizer = Normalization.read(parent(component), "part");
    for (JsonNode c : component.get("cases")) {
      assertThat(normalizer.apply(c.get(0).textValue()))
          .as(where(component) + ": " + c.get(0))
          .isEqualTo(c.get(1).textValue());
    }
  }

  @ParameterizedTest
  @MethodSource("preTokenizers")
  void textsAreCutAsTheReferenceDoes(JsonNode component) {
    PreTokenization.Splitter splitter = PreTokenization.read(parent(component), "part").symbols();
    for (JsonNode c : component.get("cases")) {
      List<String> words = new ArrayList<>();
      splitter.split(c.get(0).textValue(), true, (word, first) -> words.add(word));
      assertThat(words).as(where(component) + ": " + c.get(0)).isEqualTo(texts(c.get(1)));
    }
  }

  @ParameterizedTest
  @MethodSource("decoders")
  void tokensAreJoinedAsTheReferenceDoes(JsonNode component) {
    Decoding decoding = Decoding.read(parent(component), "part");
    for (JsonNode c : component.get("cases")) {
      assertThat(String.join("", decoding.steps().apply(texts(c.get(0)))))
          .as(where(component) + ": " + c.get(0))
          .isEqualTo(c.get(1).textValue());
    }
  }

  @ParameterizedTest
  @MethodSource("tokenizers")
  void idsTypesAndTextsEqualTheReference(JsonNode expected) {
    Tokenizer tokenizer = TestTokenizers.parse(expected.get("tokenizer").toString());
    for (JsonNode c : expected.get("cases")) {
      String text = c.get("text").textValue();
      String where = expected.get("name").textValue() + ": " + c.get("text");
      assertThat(tokenizer.encode(text)).as(where).isEqualTo(SharedFiles.ids(c.get("ids")));
      TypedIds prompt = tokenizer.encodeTyped(text, null);
      assertThat(prompt.ids()).as(where).isEqualTo(SharedFiles.ids(c.get("prompt")));
      assertThat(prompt.typeIds()).as(where).isEqualTo(SharedFiles.ids(c.get("types")));
      assertThat(tokenizer.encodePrompt(text)).isEqualTo(prompt.ids());
      TypedIds pair = tokenizer.encodeTyped(text, c.get("second").textValue());
      assertThat(pair.ids()).as(where).isEqualTo(SharedFiles.ids(c.get("pair")));
      assertThat(pair.typeIds()).as(where).isEqualTo(SharedFiles.ids(c.get("pair_types")));
      if (!c.get("decoded").isNull()) {
        assertThat(tokenizer.decode(prompt.ids()))
            .as(where)
            .isEqualTo(c.get("decoded").textValue());
        assertThat(tokenizer.decode(prompt.ids(), true))
            .as(where)
            .isEqualTo(c.get("shown").textValue());
      }
    }
  }

  /** One of 2020, as BERT's and T5's first ones. */
  @Test
  void modelsWithoutATypeAreKnownByTheirKeys() {
    String bert =
        "{\"model\":{\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"vocab\":{\"u\":0,\"a\":1,\"##b\":2}}}";
    assertThat(TestTokenizers.parse(bert).encode("ab")).containsExactly(1, 2);
    String t5 = "{\"model\":{\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1],[\"ab\",-1.5]]}}";
    assertThat(TestTokenizers.parse(t5).encode("aab")).containsExactly(1, 2);
    String words = "{\"model\":{\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"ab\":1}}}";
    assertThat(TestTokenizers.parse(words).encode("ab")).containsExactly(1);
    String pairs = "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}";
    assertThat(TestTokenizers.parse(pairs).encode("aab")).containsExactly(0, 2);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "`pre_tokenizer`:{`type`:`CharDelimiterSplit`,`delimiter`:`ab`}|delimiter must be one character",
        "`pre_tokenizer`:{`type`:`Metaspace`,`add_prefix_space`:false,`prepend_scheme`:`first`}|add_prefix_space is false, but prepend_scheme",
        "`pre_tokenizer`:{`type`:`Punctuation`,`behavior`:`Kept`}|behavior `Kept` is not supported",
        "`normalizer`:{`type`:`Precompiled`,`precompiled_charsmap`:`AAAAAA==`}|precompiled_charsmap is damaged",
        "`normalizer`:{`type`:`Lowercase`,`locale`:`tr`}|normalizer.locale is not a key",
        "`post_processor`:{`type`:`BertProcessing`,`sep`:[`a`,9],`cls`:[`a`,0]}|sep must be a token and its id below 1",
        "`post_processor`:{`type`:`TemplateProcessing`,`single`:[{`Sequence`:{`id`:`B`}}]}|single must have a place for the text",
        "`post_processor`:{`type`:`Sequence`,`processors`:[{`type`:`BertProcessing`,`sep`:[`a`,0],`cls`:[`a`,0]},{`type`:`RobertaProcessing`,`sep`:[`a`,0],`cls`:[`a`,0]}]}|`RobertaProcessing` follows another that adds tokens",
        "`decoder`:{`type`:`WordPiece`,`prefix`:1}|decoder.prefix must be",
      })
  void whatCannotBeDoneIsRefusedByName(String part, String message) {
    String json = "{" + part + ",`model`:{`type`:`WordLevel`,`vocab`:{`a`:0}}}";
    assertThatThrownBy(() -> TestTokenizers.parse(json.replace('`', '"')))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("tokenizer.json: ")
        .hasMessageContaining(message.replace('`', '"'));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "`type`:`Unigram`,`vocab`:[]|model.vocab must have from 1",
        "`type`:`Unigram`,`vocab`:[[`a`]]|model.vocab[0] must be a token and its score",
        "`type`:`Unigram`,`unk_id`:1,`vocab`:[[`a`,0]]|model.unk_id must be",
        "`type`:`WordPiece`,`unk_token`:`x`,`vocab`:{`a`:0}|model.unk_token `x` is not in the vocabulary",
        "`type`:`WordPiece`,`vocab`:{`a`:0},`merges`:[]|model.merges is not a key",
        "`type`:`WordLevel`,`vocab`:{}|model.vocab. has no tokens",
      })
  void modelsThatCannotBeReadAreRefused(String model, String message) {
    String json = "{`model`:{" + model + "}}";
    assertThatThrownBy(() -> TestTokenizers.parse(json.replace('`', '"')))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message.replace('`', '"'));
  }

  /** A token of ten thousand characters, read again from each place of a text, would hang. */
  @Test
  void tokensWithoutMeasureAreRefused() {
    String token = "a".repeat(10_000);
    for (String model :
        List.of(
            "{\"type\":\"Unigram\",\"vocab\":[[\"" + token + "\",0]]}",
            "{\"type\":\"WordPiece\",\"vocab\":{\"" + token + "\":0}}")) {
      assertThatThrownBy(() -> TestTokenizers.parse("{\"model\":" + model + "}"))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("of more than 1024 characters");
    }
  }

  @Test
  void aNormalisedSpecialTokenIsNotShown() {
    String json =
        "{`normalizer`:{`type`:`Lowercase`},`added_tokens`:[{`id`:1,`content`:`<S>`,`special`:true,`normalized`:true}],"
            + "`decoder`:{`type`:`Fuse`},`model`:{`type`:`WordLevel`,`unk_token`:`a`,`vocab`:{`a`:0}}}";
    Tokenizer tokenizer = TestTokenizers.parse(json.replace('`', '"'));
    assertThat(tokenizer.encodePrompt("a<s>a<S>")).containsExactly(0, 1, 0, 1);
    assertThat(tokenizer.decode(0, 1)).isEqualTo("a<S>");
    assertThat(tokenizer.decode(new int[] {0, 1}, true)).isEqualTo("a");
  }

  @Test
  void kindsOfCharactersAreThoseOfTheReference() {
    assertKind("control", c -> c == 0 || c == 0xFFFD || CharacterKinds.isControl(c));
    assertKind("accent", CharacterKinds::isNonSpacingMark);
    assertKind("mark", CharacterKinds::isMark);
    assertKind("chinese", CharacterKinds::isChinese);
    assertKind("punctuation", CharacterKinds::isPunctuation);
    assertKind("space", CharacterKinds::isSpace);
    for (var script :
        List.of(
            UnicodeScript.LATIN,
            UnicodeScript.HAN,
            UnicodeScript.COMMON,
            UnicodeScript.INHERITED,
            UnicodeScript.CYRILLIC,
            UnicodeScript.DEVANAGARI)) {
      assertKind(
          script.name(),
          c ->
              CharacterKinds.script(c) == script
                  || CharacterKinds.script(c) == UnicodeScript.UNKNOWN);
    }
  }

  private static void assertKind(String name, IntPredicate member) {
    BitSet expected = new BitSet();
    JsonNode ranges = EXPECTED.get("kinds").get(name);
    for (int i = 0; i < ranges.size(); i += 2) {
      expected.set(ranges.get(i).intValue(), ranges.get(i + 1).intValue() + 1);
    }
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (!(c <= 0xFFFF && Character.isSurrogate((char) c)) && member.test(c) != expected.get(c)) {
        throw new AssertionError(String.format("%s: U+%04X", name, c));
      }
    }
  }
}
