package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChatCommandTest {
  @TempDir static Path dir;
  private static Path model = Path.of("");

  @BeforeAll
  static void train() throws IOException {
    assertThat(Tiny.train(dir, dir.resolve("run"), "--max-steps=2").exit()).isZero();
    model = dir.resolve("run/checkpoint-2");
    Path config = model.resolve("config.json"); // longer conversations than were trained
    String json = Files.readString(config);
    assertThat(json).contains("\"max_position_embeddings\": 32");
    Files.writeString(
        config,
        json.replace("\"max_position_embeddings\": 32", "\"max_position_embeddings\": 160"));
  }

  private static CommandLineTest.Result chat(String said, String... more) {
    List<String> flags = new ArrayList<>(List.of("chat", "--model=" + model, "--threads=1"));
    flags.addAll(List.of(more));
    InputStream in = System.in;
    try {
      System.setIn(new ByteArrayInputStream(said.getBytes(UTF_8)));
      return CommandLineTest.run(flags.toArray(new String[0]));
    } finally {
      System.setIn(in);
    }
  }

  @Test
  void answersEachLineAndCanBeginAnew() {
    String[] flags = {
      "--template=chatml", "--system=kind", "--max-new-tokens=4", "--temperature=0"
    };
    var twice = chat("hello\n\n/reset\nhello\n/exit\nnever read\n", flags);
    assertThat(twice.exit()).as(twice.err()).isZero();
    var once = chat("hello", flags);
    assertThat(once.out()).isNotEmpty();
    assertThat(twice.out()).isEqualTo(once.out() + once.out());
    assertThat(twice.err()).contains("a new conversation", "cut after 4 tokens");
  }

  @Test
  void saysWhatIsLeftOutAndWhatIsNoMessage() {
    String line = "x".repeat(40) + "\n";
    var said =
        chat(
            line + line + line + "/what\n//y\n" + "z".repeat(400) + "\n",
            "--template=chatml",
            "--max-new-tokens=4");
    assertThat(said.exit()).as(said.err()).isZero();
    assertThat(said.err())
        .contains("the oldest 2 messages are left out from here on: the model has 160 positions")
        .contains("/what is no command")
        .contains("tokens, and the model has 160 positions: shorten it");
  }

  @Test
  void rowsOfMessagesAreAnsweredAsAChatAnswersThem() throws IOException {
    String[] flags = {"--template=chatml", "--max-new-tokens=6", "--temperature=0"};
    String answer = chat("hello\n", flags).out();
    Path file = dir.resolve("messages.jsonl");
    Files.writeString(file, "{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}\n");
    var rows =
        CommandLineTest.run(
            "generate",
            "--model=" + model,
            "--threads=1",
            "--prompts=" + file,
            flags[0],
            flags[1],
            flags[2]);
    assertThat(rows.exit()).as(rows.err()).isZero();
    String json = dev.javelin.tensor.io.Json.writeCompact(answer.substring(0, answer.length() - 1));
    assertThat(rows.out()).contains("\"reply\":" + json + ",");
  }

  @Test
  void aModelWithoutATemplateNeedsOne() {
    var said = chat("hello\n");
    assertThat(said.exit()).isEqualTo(Main.USAGE);
    assertThat(said.err())
        .contains("the model has no chat template: choose one with --template (")
        .hasLineCount(1);
  }
}
