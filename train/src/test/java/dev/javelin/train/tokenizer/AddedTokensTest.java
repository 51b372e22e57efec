package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AddedTokensTest {
  /** Text, ids with special tokens as text, ids with special tokens: tokenizers 0.23. */
  private static final String[][] REFERENCE = {
    {"  <l>  <r>  x", "256 32 32 257 120", "256 32 32 257 120"},
    {"x <r> \u3000\n y", "120 32 257 265 121", "120 32 257 265 121"},
    {"<b> <b>\t<b>", "258 258 258", "258 258 258"},
    {
      "foo foox xfoo \u0301foo foo\u200d foo\u200c (foo) foo",
      "259 32 102 111 111 120 32 120 102 111 111 32 204 129 102 111 111 32 102 111 111 226 128 141 32 102 111 111 226 128 140 32 40 259 41 32 259",
      "259 32 102 111 111 120 32 120 102 111 111 32 204 129 102 111 111 32 102 111 111 226 128 141 32 102 111 111 226 128 140 32 40 259 41 32 259"
    },
    {"<s><l> <s> <l>", "60 115 62 60 108 62 32 60 115 62 256", "261 32 260 256"},
    {
      "abcdefg abcdef ab abc abcd bcdefg",
      "263 100 101 102 103 32 263 100 101 102 32 262 32 263 32 263 100 32 264",
      "263 100 101 102 103 32 263 100 101 102 32 262 32 263 32 263 100 32 264"
    },
    {"a\n   \n  b", "97 265 265 98", "97 265 265 98"},
    {"d d d", "100 100 100", "100 100 100"},
    {"  \n \n <l>", "32 32 265 265 256", "32 32 265 265 256"},
    {"<r>\n   d x", "257 265 100 120", "257 265 100 120"},
    {"", "", ""},
    {"<l>", "256", "256"},
    {"foo", "259", "259"},
    {
      "\u00e9foo foo\u00b2 foo_",
      "195 169 102 111 111 32 259 194 178 32 102 111 111 95",
      "195 169 102 111 111 32 259 194 178 32 102 111 111 95"
    },
  };

  private static String joined(int[] ids) {
    return Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(" "));
  }

  @Test
  void tokensAreFoundWhereTheReferenceFindsThem() {
    List<Map<String, Object>> added =
        List.of(
            TestTokenizers.added(256, "<l>", "lstrip"),
            TestTokenizers.added(257, "<r>", "rstrip"),
            TestTokenizers.added(258, "<b>", "lstrip", "rstrip"),
            TestTokenizers.added(259, "foo", "single_word"),
            TestTokenizers.added(260, "<s>", "special"),
            TestTokenizers.added(261, "<s><l>", "special"),
            TestTokenizers.added(262, "ab"),
            TestTokenizers.added(263, "abc"),
            TestTokenizers.added(264, "bcdefg"),
            TestTokenizers.added(265, "\n ", "rstrip"),
            TestTokenizers.added(100, "d", "single_word", "rstrip"));
    Tokenizer tokenizer = TestTokenizers.parse(TestTokenizers.byteLevel(added));
    for (String[] row : REFERENCE) {
      assertThat(joined(tokenizer.encode(row[0]))).as(row[0]).isEqualTo(row[1]);
      assertThat(joined(tokenizer.encodePrompt(row[0]))).as(row[0]).isEqualTo(row[2]);
    }
  }

  /** A text that counts how often its characters are read. */
  private static final class Counting implements CharSequence {
    private final String text;
    private long reads;

    Counting(String text) {
      this.text = text;
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public char charAt(int at) {
      reads++;
      return text.charAt(at);
    }

    @Override
    public CharSequence subSequence(int from, int to) {
      reads += to - from;
      return text.substring(from, to);
    }

    @Override
    public String toString() {
      reads += text.length();
      return text;
    }
  }

  private static long reads(AddedTokens tokens, String text) {
    Counting counting = new Counting(text);
    tokens.split(
        counting,
        AddedTokens.Special.EVERYWHERE,
        new AddedTokens.Pieces() {
          @Override
          public void text(String piece, int start) {}

          @Override
          public void token(int id, int start, int end) {}
        });
    return counting.reads;
  }

  /** Contents, and what the text is made of, again and again. */
  @ParameterizedTest
  @CsvSource({
    "<m>,' '",
    "<m>,' <m>'",
    "foo,'some text foo and '",
    "foo,foox",
    "' ',' '",
    "a,a",
    "aaaaaaaaab,a",
    "aaaaaaaaab,aaaaaaaaaaaaaab",
  })
  void everyCharacterIsReadAFewTimes(String content, String unit) {
    AddedTokens tokens =
        new AddedTokens(List.of(new AddedTokens.Token(0, content, false, false, true, true, true)));
    AddedTokens inWords =
        new AddedTokens(
            List.of(new AddedTokens.Token(0, content, false, false, false, true, true)));
    for (int length : new int[] {1_000, 100_000}) {
      String text = unit.repeat(length / unit.length());
      assertThat(reads(tokens, text + "x")).isLessThan(6L * length + 100);
      assertThat(reads(inWords, text + "x")).isLessThan(6L * length + 100);
      assertThat(reads(inWords, text + "x" + content)).isLessThan(6L * length + 100);
    }
  }

  @Test
  void manyTokensCostNoMoreThanOne() {
    List<AddedTokens.Token> many = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) {
      many.add(AddedTokens.Token.special(i, "<|reserved_" + i + "|>"));
    }
    String text = "a <|reserved_ b <|reserved_19999|> <|".repeat(1_000);
    assertThat(reads(new AddedTokens(many), text)).isLessThan(3L * text.length());
  }

  @Test
  void idsThatClashAreRefused() {
    assertRefused(
        "added_tokens gives \"<a>\" the id 255 of \"ÿ\"",
        List.of(TestTokenizers.added(255, "<a>")));
    assertRefused(
        "added_tokens gives \"A\" the id 256, but it has 65",
        List.of(TestTokenizers.added(256, "A")));
    assertRefused(
        "added_tokens[1].content \"<a>\" occurs twice",
        List.of(TestTokenizers.added(256, "<a>"), TestTokenizers.added(257, "<a>")));
    assertRefused("added_tokens[0].content is empty", List.of(TestTokenizers.added(256, "")));
    assertRefused(
        "have more than 1000000 characters",
        List.of(TestTokenizers.added(256, "a".repeat(1_000_001))));
  }

  private static void assertRefused(String message, List<Map<String, Object>> added) {
    String json = TestTokenizers.byteLevel(added);
    assertThatThrownBy(() -> TestTokenizers.parse(json))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }
}
