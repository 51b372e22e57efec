package dev.javelin.tensor.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
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
  void refusesToWriteWhatJsonCannotHold() {
    assertThatThrownBy(() -> Json.write(List.of(Double.NaN)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("finite");
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
