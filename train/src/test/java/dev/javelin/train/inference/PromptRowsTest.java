package dev.javelin.train.inference;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.train.chat.Conversation;
import dev.javelin.train.inference.Reply.Finish;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PromptRowsTest {
  private static final Path FILE = Path.of("prompts.jsonl");
  private static final Request GIVEN =
      Request.of("").maxNewTokens(9).sampler(new Sampler(0.5, 3, 0.9, 0.1, 70)).stop("END");

  private static List<PromptRow> read(String text) {
    return PromptRows.read(FILE, text.getBytes(UTF_8), GIVEN);
  }

  @Test
  void plainLinesArePromptsAndEachHasASeed() {
    List<PromptRow> rows = read("\uFEFFone\r\n\n  two {\"x\": 1}\nthree");
    assertThat(rows)
        .extracting(r -> r.request().prompt())
        .containsExactly("one", "  two {\"x\": 1}", "three");
    assertThat(rows).extracting(r -> r.request().sampler().seed()).containsExactly(70L, 71L, 72L);
    assertThat(rows.get(1).place()).isEqualTo("prompts.jsonl: line 3");
    assertThat(rows.get(1).request().prompt("").sampler(GIVEN.sampler())).isEqualTo(GIVEN);
  }

  @Test
  void aRowHasOptionsOfItsOwnAndKeepsWhatElseItHolds() {
    List<PromptRow> rows =
        read(
            """
            {"id": 7, "prompt": "a\\nb", "max_new_tokens": 5, "temperature": 0, "top_k": 4, "top_p": 0.25,
             """
                    .strip()
                + """
                 "min_p": 0.5, "repetition_penalty": 1.5, "stop": ["x", "y"], "seed": -3}

                {"messages": [{"role": "user", "content": "hi", "name": "Ann"}], "stop": "z", "seed": null}
                """);
    Request first = rows.getFirst().request();
    assertThat(first)
        .isEqualTo(
            new Request("a\nb", 5, new Sampler(0, 4, 0.25, 0.5, -3), 1.5, List.of("x", "y")));
    assertThat(rows.getFirst().conversation()).isNull();
    PromptRow second = rows.get(1);
    assertThat(second.request()).isEqualTo(GIVEN.sampler(GIVEN.sampler().withSeed(71)).stop("z"));
    Conversation conversation = Objects.requireNonNull(second.conversation());
    assertThat(conversation.messages().getFirst().more()).containsEntry("name", "Ann");
    assertThat(PromptRows.otherKeys(rows)).containsExactly("id");
    Reply reply = new Reply("text", List.of(1, 2), Finish.STOP_STRING, 4);
    assertThat(Json.writeCompact(rows.getFirst().with(reply)))
        .startsWith("{\"id\":7,\"prompt\":\"a\\nb\",")
        .endsWith(
            "\"seed\":-3,\"reply\":\"text\",\"finish\":\"stop_string\",\"new_tokens\":2,\"forgotten_tokens\":4}");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\0',
      value = {
        "{\"text\": \"a\"} | line 1: has no prompt; give each row prompt",
        "{\"prompt\": \"a\", \"messages\": []} | line 1: has both prompt and messages",
        "{\"prompt\": 5} | line 1: prompt must be text, got 5",
        "{\"messages\": []} | line 1: messages must hold at least one message",
        "{\"messages\": [{\"content\": \"a\"}]} | role is missing",
        "{\"prompt\": \"a\", \"top_k\": -1} | line 1: top_k must be 0 (all) or more, got -1",
        "{\"prompt\": \"a\", \"top_k\": 1.5} | line 1: top_k must be an integer, got 1.5",
        "{\"prompt\": \"a\", \"min_p\": 2} | line 1: min_p must lie in [0, 1], got 2.0",
        "{\"prompt\": \"a\", \"max_new_tokens\": -2} | line 1: max_new_tokens must lie between",
        "{\"prompt\": \"a\", \"repetition_penalty\": 0} | line 1: repetition_penalty must be more than 0",
        "{\"prompt\": \"a\", \"stop\": [1]} | line 1: stop must be a text or a list of texts, got [1]",
        "{\"prompt\": \"a\", \"stop\": \"\"} | line 1: stop must not be empty",
        "{\"prompt\": \"a\", \"seed\": \"x\"} | line 1: seed must be an integer",
        "{\"prompt\": \"a\", \"reply\": \"x\"} | line 1: the key reply is what a reply is written to; rename it",
        "{\"prompt\": \"a\" | line 1",
        "' ' | holds no prompt",
      })
  void aBrokenRowNamesFileLineAndKey(String text, String message) {
    assertThatThrownBy(() -> read(text.equals("' '") ? " \n\n" : text))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith("prompts.jsonl: ")
        .hasMessageContaining(message);
  }

  @Test
  void laterLinesAreNamedByTheirNumber() {
    assertThatThrownBy(() -> read("{\"prompt\": \"a\"}\n\n[1]\n"))
        .hasMessageStartingWith("prompts.jsonl: line 3, byte 0: ");
    assertThatThrownBy(() -> PromptRows.read(FILE, new byte[] {'a', (byte) 0xFF}, GIVEN))
        .hasMessageContaining("is not UTF-8 text");
  }

  @Test
  void mutatedRowsAreReadOrRefused() {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMutatedRowsAreReadOrRefused() {
    mutate(100_000);
  }

  private static void mutate(int times) {
    String good =
        """
        {"prompt": "a", "top_k": 4, "seed": 3, "stop": ["x"], "temperature": 0.5, "max_new_tokens": 7}
        {"messages": [{"role": "user", "content": "\\u00e9"}], "min_p": 0.1, "more": {"a": [1, null]}}
        """;
    SplittableRandom random = new SplittableRandom(5);
    int refused = 0;
    for (int i = 0; i < times; i++) {
      byte[] bytes = good.getBytes(UTF_8);
      for (int m = random.nextInt(1, 4); m > 0; m--) {
        bytes[random.nextInt(bytes.length)] =
            random.nextBoolean()
                ? (byte) random.nextInt(256)
                : (byte) "{}[]\":,0123456789.-e \\\n".charAt(random.nextInt(23));
      }
      try {
        assertThat(PromptRows.read(FILE, bytes, GIVEN)).isNotEmpty();
      } catch (FileFormatException e) {
        refused++;
      }
    }
    assertThat(refused).isBetween(times / 4, times - 1);
  }
}
