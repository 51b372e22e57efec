package dev.javelin.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.JsonRules.Duplicates;
import dev.javelin.tensor.io.JsonRules.Numbers;
import dev.javelin.tensor.io.JsonRules.Surrogates;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTest {
  private static final Path FILE = Path.of("config.json");

  private static JsonObject parse(String text) {
    return Json.parse(FILE, ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void readsEveryKindOfValueInOrder() {
    JsonObject o =
        parse(
            """
            {"z": 1, "a": -0.5e1, "s": "q\\"\\\\\\/\\n\\u00e9\\ud83d\\ude00 é", "t": true, "f": false, "n": null,
             "list": [1, [], {}, "x"], "o": {"k": 9223372036854775807, "big": 9223372036854775808}}
            """);
    assertThat(o.members().keySet()).containsExactly("z", "a", "s", "t", "f", "n", "list", "o");
    assertThat(o.integer("z", 0, 9)).isEqualTo(1);
    assertThat(o.number("a")).isEqualTo(-5.0);
    assertThat(o.text("s")).isEqualTo("q\"\\/\né😀 é");
    assertThat(o.flag("t", false)).isTrue();
    assertThat(o.flag("f", true)).isFalse();
    assertThat(o.has("n")).isFalse();
    assertThat(o.array("list")).isEqualTo(List.of(1L, List.of(), Map.of(), "x"));
    assertThat(o.object("o").members())
        .isEqualTo(Map.of("k", Long.MAX_VALUE, "big", 9223372036854775808.0));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        " ",
        "[]",
        "1",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":1}x",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1e999}",
        "{\"a\":tru}",
        "{\"a\":nul",
        "{\"a\":\"x}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\ud800x\"}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1}{}"
      })
  void refusesWhatIsNotJson(String text) {
    assertThatThrownBy(() -> parse(text))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("config.json: ");
  }

  @Test
  void refusesMalformedUtf8() {
    byte[] bytes = "{\"a\":\"é\"}".getBytes(StandardCharsets.ISO_8859_1);
    assertThatThrownBy(() -> Json.parse(FILE, ByteBuffer.wrap(bytes)))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("UTF-8");
  }

  @Test
  void refusesDeepNestingInsteadOfExhaustingTheStack() {
    assertThat(parse("{\"a\":" + "[".repeat(62) + "]".repeat(62) + "}").has("a")).isTrue();
    assertThatThrownBy(() -> parse("{\"a\":" + "[".repeat(1_000_000)))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("nested deeper than 64");
    String deep = "[".repeat(JsonRules.DEEPEST) + "]".repeat(JsonRules.DEEPEST);
    assertThat(value(deep, JsonRules.LINE)).isInstanceOf(List.class);
    assertThatThrownBy(() -> value("[" + deep + "]", JsonRules.LINE))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("nested deeper than 512, too much for a line");
  }

  private static @Nullable Object value(String text, JsonRules rules) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return Json.parseValue(FILE, "", bytes, 0, bytes.length, rules);
  }

  @Test
  void rulesBoundBytesValuesAndTexts() {
    JsonRules rules = JsonRules.CONFIG.withMaxBytes(20).withMaxValues(3).withMaxTextBytes(4);
    assertThat(value("[1, \"abcd\"]", rules)).isEqualTo(List.of(1L, "abcd"));
    assertThatThrownBy(() -> value("[1,2,3]", rules))
        .hasMessageContaining("byte 5: more than 3 values, too much for a configuration; ");
    assertThatThrownBy(() -> value("[\"abcde\"]", rules))
        .hasMessageContaining("a string longer than 4 bytes");
    assertThatThrownBy(() -> value("[\"\\n\\n\\n\"]", rules))
        .hasMessageContaining("a string longer than 4 bytes");
    assertThatThrownBy(() -> value("[12345]", rules))
        .hasMessageContaining("a number longer than 4 bytes");
    assertThatThrownBy(() -> value("[1," + " ".repeat(20) + "2]", rules))
        .hasMessageContaining("larger than 20 bytes");
    assertThatThrownBy(() -> JsonRules.CONFIG.withMaxDepth(513))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aFileThatIsTooLargeIsRefusedUnread(@TempDir Path dir) throws IOException {
    Path file = dir.resolve("config.json");
    try (var sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength((16 << 20) + 1);
    }
    assertThatThrownBy(() -> Json.read(file))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("is larger than 16777216 bytes, too much for a configuration");
  }

  /** 16 MiB of one-element arrays took 1.2 GB before values were counted. */
  @Test
  void aFileOfManyTinyValuesIsRefusedBeforeItFillsTheMemory() {
    assertThatThrownBy(() -> parse("{\"a\":[" + "[1],".repeat(1 << 20) + "1]}"))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("more than 500000 values");
  }

  @Test
  void rulesDecideAboutRepeatedKeysHalvesOfPairsAndNumbers() {
    JsonRules lax = JsonRules.LINE.with(Duplicates.LAST);
    assertThat(String.valueOf(value("{\"a\":1,\"b\":null,\"b\":2,\"a\":3}", lax)))
        .isEqualTo("{a=3, b=2}");
    assertThat(value("\"x\\ud800\\ud83d\\ude00\\udc00\"", lax.with(Surrogates.KEEP)))
        .isEqualTo("x\ud800😀\udc00");
    assertThat(value("\"x\\ud800\\ud83d\\ude00\\udc00\"", lax.with(Surrogates.REPLACE)))
        .isEqualTo("x\ufffd😀\ufffd");
    String numbers = "[1e-05,12345678901234567890123,-0,1E400,7]";
    Object exact = value(numbers, JsonRules.CONFIG.with(Numbers.EXACT));
    assertThat(Json.writeCompact(exact)).isEqualTo(numbers);
    assertThat((List<?>) exact)
        .extracting(n -> ((JsonNumber) n).isLong())
        .containsExactly(false, false, true, false, true);
    JsonObject o =
        Json.parse(
            FILE,
            ByteBuffer.wrap("{\"n\":7,\"f\":1e-05,\"far\":1e400}".getBytes(StandardCharsets.UTF_8)),
            JsonRules.CONFIG.with(Numbers.EXACT));
    assertThat(o.integer("n", 0, 9)).isEqualTo(7);
    assertThat(o.number("f")).isEqualTo(1e-5);
    assertThatThrownBy(() -> o.number("far")).isInstanceOf(FileFormatException.class);
    assertThatThrownBy(() -> o.integer("f", 0, 9)).hasMessageContaining("an integer, got 1e-05");
  }

  @Test
  void errorsSayWhere() {
    assertThatThrownBy(() -> parse("{\n \"a\": 1,\n \"b\": x}"))
        .hasMessageStartingWith("config.json: line 3, byte 17: a value is expected; ");
    byte[] lines = "{\"a\":1}\n{\"a\":2} {}\n".getBytes(StandardCharsets.UTF_8);
    assertThat(Json.parse(FILE, "line 1", lines, 0, 8, JsonRules.LINE).integer("a", 0, 9))
        .isEqualTo(1);
    assertThatThrownBy(() -> Json.parse(FILE, "line 2", lines, 8, 19, JsonRules.LINE))
        .hasMessageStartingWith(
            "config.json: line 2, byte 8: text follows the end of the JSON object; write one");
  }

  @Test
  void skipsAByteOrderMark() {
    assertThat(parse("\ufeff{\"a\":1}").has("a")).isTrue();
    assertThatThrownBy(() -> parse("{\ufeff\"a\":1}")).isInstanceOf(FileFormatException.class);
  }

  @Test
  void namesOfFilesLeadNowhereElse() {
    JsonObject o =
        parse(
            """
            {"good": "a-1.safetensors", "up": "../x", "down": "x/y", "back": "x\\\\y", "none": "",
             "hidden": ".x", "nul": "a\\u0000b", "path": "/tmp/x"}
            """);
    assertThat(o.sibling("good")).isEqualTo(Path.of("a-1.safetensors"));
    assertThat(o.path("path")).isEqualTo(Path.of("/tmp/x"));
    for (String key : List.of("up", "down", "back", "none", "hidden", "nul", "path")) {
      assertThatThrownBy(() -> o.sibling(key))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining(key + " must name a file in this directory");
    }
    assertThatThrownBy(() -> o.path("nul"))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("nul must be a path, got \"a\\u0000b\"");
  }

  @Test
  void writesWhatItReads() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("text", "tab\t quote\" back\\ é \u0001");
    map.put("numbers", Arrays.asList(1, 2L, 1e-5, 0.25f, null));
    map.put("nested", List.of(Map.of("x", true), Map.of()));
    map.put("empty", List.of());
    for (String written : List.of(Json.write(map), Json.writeCompact(map))) {
      JsonObject back = parse(written);
      assertThat(back.text("text")).isEqualTo(map.get("text"));
      assertThat(back.array("numbers")).isEqualTo(Arrays.asList(1L, 2L, 1e-5, 0.25, null));
      assertThat(back.array("nested")).isEqualTo(List.of(Map.of("x", true), Map.of()));
      assertThat(back.array("empty")).isEmpty();
    }
  }

  @Test
  void laysObjectsOutAsHuggingFaceDoes() {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("model_type", "gpt2");
    map.put("architectures", List.of("GPT2LMHeadModel"));
    map.put("task", Map.of());
    assertThat(Json.write(map))
        .isEqualTo(
            """
            {
              "model_type": "gpt2",
              "architectures": ["GPT2LMHeadModel"],
              "task": {}
            }""");
  }

  @Test
  void writesNullForWhatJsonHasNoNameForAndHalvesOfPairsAsEscapes() {
    assertThat(
            Json.writeCompact(
                List.of(Double.NaN, Double.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, "\ud800a")))
        .isEqualTo("[null,null,null,\"\\ud800a\"]");
    assertThat(parse(Json.write(Map.of("loss", Double.NaN))).number("loss", 7)).isEqualTo(7);
    assertThatThrownBy(() -> Json.write(List.of(new Object())))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("no form");
  }

  @Test
  void namesFileKeyAndFaultOfAnUnfitValue() {
    JsonObject o = parse("{\"rope\": {\"factor\": \"eight\"}, \"layers\": 0, \"wide\": 1.5}");
    assertThatThrownBy(() -> o.object("rope").number("factor"))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("config.json: rope.factor must be a number, got \"eight\"");
    assertThatThrownBy(() -> o.integer("layers", 1, 9))
        .hasMessageContaining("layers must be from 1 to 9, got 0");
    assertThatThrownBy(() -> o.integer("wide", 1, 9))
        .hasMessageContaining("must be an integer, got 1.5");
    assertThatThrownBy(() -> o.text("gone")).hasMessageContaining("gone is missing");
  }

  @Test
  void keepsErrorsOnOneShortLine() {
    assertThatThrownBy(
            () ->
                parse("{\"a\\nb" + "c".repeat(5000) + "\":1,\"a\\nb" + "c".repeat(5000) + "\":1}"))
        .satisfies(e -> assertThat(e.getMessage()).doesNotContain("\n").hasSizeLessThan(700));
  }
}
