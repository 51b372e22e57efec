package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PreviewCommandTest {
  @TempDir private Path directory;

  private static String out(String... args) {
    PrintStream before = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true, StandardCharsets.UTF_8));
    try {
      assertThat(Main.run(args)).isZero();
    } finally {
      System.setOut(before);
    }
    return bytes.toString(StandardCharsets.UTF_8);
  }

  @Test
  void whatCountsStandsInBrackets() throws IOException {
    Path file =
        Files.writeString(
            directory.resolve("c.jsonl"),
            "{\"prompt\":\"1+1=\",\"completion\":\"2\\u001b[31m\"}\n");
    String shown = out("preview", "--data", file.toString(), "--tokenizer", "byte", "--no-color");
    assertThat(shown).contains("c.jsonl line 1: 10 tokens, 6 count").contains("1+1=[2");
    assertThat(shown).doesNotContain("\u001b");
  }

  @Test
  void ofTextEverythingCounts() throws IOException {
    Path file = Files.writeString(directory.resolve("c.txt"), "hello");
    assertThat(out("preview", "--data", file.toString(), "--tokenizer", "byte", "--no-color"))
        .contains("5 tokens, 5 count")
        .contains("[hello]");
  }
}
