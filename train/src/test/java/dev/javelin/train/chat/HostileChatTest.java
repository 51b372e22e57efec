package dev.javelin.train.chat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.chat.jinja.Budget;
import dev.javelin.train.chat.jinja.Template;
import dev.javelin.train.chat.jinja.TemplateException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Templates and rows of strangers: what is declared comes out, in bounded time and memory. */
@Timeout(600) // one that hangs, not one that is slow
class HostileChatTest {
  private static final int SOME = 2_000;
  private static final int MANY = 100_000;
  private static final long SEED = 20261129;

  private static final List<String> PIECES =
      List.of(
          "{%",
          "%}",
          "{{",
          "}}",
          "{#",
          "#}",
          "-",
          "~",
          "|",
          ".",
          "[",
          "]",
          "(",
          ")",
          "{",
          "}",
          "'",
          "\"",
          "\\",
          "\n",
          " ",
          "is",
          "not",
          "in",
          "if",
          "else",
          "for",
          "endfor",
          "endif",
          "set",
          "endset",
          "macro",
          "loop",
          "namespace",
          "range(9999)",
          "* 99999999",
          "** 99",
          "recursive",
          "tojson",
          "messages",
          "content",
          "none",
          "true",
          "[::-1]",
          "raise_exception('x')",
          "1e999",
          "99999999999999999999",
          "\uD83D\uDE00",
          "generation",
          "endgeneration",
          "break",
          "%s",
          "call",
          "filter",
          "with",
          "strftime_now('%q')",
          "join",
          "map",
          "selectattr",
          "\u0000");

  private static final String TEMPLATE =
      "{%- macro turn(role, text='x') -%}<{{ role }}>{{ text }}{%- endmacro -%}\n"
          + "{%- set ns = namespace(n=0, s='') -%}{% set rest = messages[1:] if messages else [] %}\n"
          + "{%- for m in messages if m.role != 'system' -%}{% if loop.first and not loop.last %}f{% elif m.content is string %}"
          + "{{ turn(m['role'] | upper, m.content | trim | replace('a', 'b')) }}{% else %}{{ m | tojson(indent=2) }}{% endif %}"
          + "{% set ns.n = ns.n + loop.index0 * 2 %}{% generation %}{{ m.content.split('\\n')[0][::-1] ~ ns.n }}{% endgeneration %}"
          + "{%- endfor %}{{ rest | map(attribute='role') | join(', ') }}{{ range(3) | list | sum }}"
          + "{% if add_generation_prompt %}{{ '%s|%d' % ('a', 3) }}{{ strftime_now('%d %b %Y') }}{% endif %}\n";

  @TempDir private Path directory;

  private static String mutated(String valid, RandomGenerator random) {
    StringBuilder text = new StringBuilder(valid);
    for (int i = 1 + random.nextInt(4); i > 0; i--) {
      int at = random.nextInt(text.length() + 1);
      int end = Math.min(text.length(), at + random.nextInt(12));
      switch (random.nextInt(4)) {
        case 0 -> text.delete(at, end);
        case 1 -> text.insert(at, text.substring(at, end).repeat(1 + random.nextInt(3)));
        case 2 ->
            text.replace(
                at, Math.min(text.length(), at + 1), PIECES.get(random.nextInt(PIECES.size())));
        default -> text.insert(at, PIECES.get(random.nextInt(PIECES.size())));
      }
    }
    return text.toString();
  }

  private static void templates(int count) {
    Map<String, Object> given = new LinkedHashMap<>();
    given.put(
        "messages",
        List.of(
            Map.of("role", "system", "content", "s"),
            Map.of("role", "user", "content", "a\nb"),
            Map.of("role", "assistant", "content", "c \uD83D\uDE00")));
    given.put("add_generation_prompt", true);
    int rendered = 0;
    for (int i = 0; i < count; i++) {
      String source = mutated(TEMPLATE, new SplittableRandom(SEED + i));
      try {
        Template.parse(source).render(given, () -> LocalDateTime.MIN.withYear(2024), new Budget());
        rendered++;
      } catch (TemplateException e) {
        assertThat(e.getMessage()).isNotBlank();
        assertThat(e.line()).as("line of %s", source).isPositive();
      } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
        throw new AssertionError("case " + i + ": " + source, e);
      }
    }
    assertThat(rendered).isBetween(count / 50, count - count / 50);
  }

  @Test
  void someMutatedTemplates() {
    templates(SOME);
  }

  @Test
  @Tag("long")
  void manyMutatedTemplates() {
    templates(MANY);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for a in range(100001) %}{% endfor %}",
        "{% set ns = namespace(x='xxxxxxxxxx') %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x=[1], y=[1]) %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{{ 'x' * 9999999999 }}",
        "{{ [0] * 9999999999 }}",
        "{{ 9 ** 9999 }}",
        "{% set a = 'a' * 999999 %}{% set b = 'a' * 499999 ~ 'b' %}{{ b in a }}{{ a.replace(b, '') }}",
        "{% for a in 'x' * 60000000 %}{% endfor %}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% set x %}{{ '\\n' * 60000000 }}{% endset %}{{ x | indent(1000) }}",
      })
  void aGreedyTemplateIsStopped(String source) {
    try {
      Template.parse(source).render(Map.of(), () -> LocalDateTime.MIN, new Budget());
      throw new AssertionError("it was rendered");
    } catch (TemplateException e) {
      assertThat(e.line()).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"(", "[", "{", "-", "not ", "{% if x %}", "{{ a.", "{% for x in y %}", "x if "})
  void aDeepTemplateIsRefused(String piece) {
    String begin = piece.startsWith("{%") ? "" : "{{ ";
    try {
      Template.parse(begin + piece.repeat(60_000));
      throw new AssertionError("it was read");
    } catch (TemplateException e) {
      assertThat(e.line()).isPositive();
    }
  }

  @Test
  void aLongChainIsRefusedNotOverflowed() {
    String source = "{{ 1" + " + 1".repeat(100_000) + " }}";
    try {
      Template.parse(source).render(Map.of(), () -> LocalDateTime.MIN, new Budget());
      throw new AssertionError("it was rendered");
    } catch (TemplateException e) {
      assertThat(e.getMessage()).contains("deep");
    }
  }

  private static final String ROWS =
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{\"role\":\"tool\",\"content\":\"2\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"tools\":[{\"name\":\"f\"}]}\n"
          + "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}],\"system\":\"s\"}\n"
          + "{\"instruction\":\"i\",\"input\":\"\",\"output\":\"o\",\"history\":[[\"a\",\"b\"]]}\n"
          + "{\"prompt\":\"p\",\"completion\":\"c\",\"chosen\":\"x\",\"rejected\":[{\"role\":\"assistant\",\"content\":\"z\"}]}\n";

  private static final List<String> VALUES =
      List.of(
          "null",
          "1",
          "[]",
          "{}",
          "\"\"",
          "[null]",
          "[[[[",
          "\"\\ud83d\"",
          "true",
          "1e999",
          "{\"role\":1}");

  private void rows(int count) throws IOException {
    ByteTokenizer tokenizer = new ByteTokenizer("</s>");
    int read = 0;
    for (int i = 0; i < count; i++) {
      RandomGenerator random = new SplittableRandom(SEED + i);
      StringBuilder text = new StringBuilder(ROWS.split("\n")[i % 4]).append('\n');
      for (int k = 1 + random.nextInt(3); k > 0; k--) {
        int at = random.nextInt(text.length());
        int end = Math.min(text.length(), at + random.nextInt(10));
        if (random.nextBoolean()) {
          text.replace(at, end, VALUES.get(random.nextInt(VALUES.size())));
        } else {
          text.setCharAt(at, (char) (32 + random.nextInt(96)));
        }
      }
      Path file = directory.resolve("rows.jsonl");
      Files.write(file, text.toString().getBytes(StandardCharsets.UTF_8));
      ChatFormat format = ChatFormat.values()[1 + i % 5];
      for (ChatFormat one : new ChatFormat[] {null, format}) {
        try {
          ChatOptions options =
              new ChatOptions(one, "chatml", LearnedTurns.ASSISTANT, i % 3 == 0, "text");
          ChatData data = ChatData.find(List.of(file), options);
          if (data != null && data.isPreference()) {
            data.readPairs(tokenizer);
          } else if (data != null) {
            data.read(tokenizer);
          }
          read++;
        } catch (FileFormatException | InputException e) {
          assertThat(e.getMessage()).contains("rows.jsonl").doesNotContain("\n");
        } catch (RuntimeException e) {
          throw new AssertionError("case " + i + ": " + text, e);
        }
      }
    }
    assertThat(read).isBetween(count / 50, 2 * count - count / 50);
  }

  @Test
  void someMutatedRows() throws IOException {
    rows(SOME);
  }

  @Test
  @Tag("long")
  void manyMutatedRows() throws IOException {
    rows(MANY);
  }
}
