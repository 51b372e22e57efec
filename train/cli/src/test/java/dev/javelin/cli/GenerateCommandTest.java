package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerateCommandTest {
  @TempDir static Path dir;
  private static Path model = Path.of("");

  @BeforeAll
  static void train() {
    assertThat(Tiny.train(dir, dir.resolve("run"), "--max-steps=2").exit()).isZero();
    model = dir.resolve("run/checkpoint-2");
  }

  private static CommandLineTest.Result generate(String... more) {
    List<String> flags = new ArrayList<>(List.of("generate", "--model=" + model, "--threads=1"));
    flags.addAll(List.of(more));
    return CommandLineTest.run(flags.toArray(new String[0]));
  }

  @Test
  void thePromptMayComeFromAFileOrFromStandardInput() throws IOException {
    Path file = dir.resolve("prompt.txt");
    String prompt = " caf\u00e9 @x\n--y_z ";
    Files.writeString(file, "\uFEFF" + prompt);
    String expected = generate("--prompt=" + prompt, "--max-new-tokens=5").out();
    assertThat(expected).startsWith(prompt);
    assertThat(generate("--prompt-file=" + file, "--max-new-tokens=5").out()).isEqualTo(expected);
    InputStream in = System.in;
    try {
      System.setIn(new ByteArrayInputStream(prompt.getBytes(StandardCharsets.UTF_8)));
      assertThat(generate("--prompt=-", "--max-new-tokens=5").out()).isEqualTo(expected);
    } finally {
      System.setIn(in);
    }
    Files.write(file, new byte[] {'a', (byte) 0xFF});
    refused(generate("--prompt-file=" + file), "prompt.txt: is not UTF-8 text");
    refused(generate("--prompt-file=" + file, "--prompt=a"), "give one");
  }

  @Test
  void endsBeforeAStopString() {
    String whole = generate("--prompt=line", "--max-new-tokens=60").out();
    String stop = whole.substring(10, 12);
    String cut = generate("--prompt=line", "--max-new-tokens=60", "--stop", stop).out();
    assertThat(cut.strip())
        .isEqualTo(whole.substring(0, 4 + whole.substring(4).indexOf(stop)).strip());
  }

  @Test
  void computesInTheTypeThatIsAskedFor() {
    for (String type : List.of("fp32", "bf16", "fp16")) {
      var written = generate("--prompt=line", "--max-new-tokens=5", "--dtype=" + type);
      assertThat(written.exit()).as(written.err()).isZero();
    }
    refused(generate("--dtype=int8"), "--dtype must be fp32, bf16 or fp16, got int8");
  }

  @Test
  void aRepetitionPenaltyChangesTheText() {
    String[] plain = {"--prompt=line", "--max-new-tokens=30", "--temperature=0"};
    assertThat(generate("--prompt=aaa", "--max-new-tokens=30", "--repetition-penalty=50").out())
        .isNotEqualTo(generate("--prompt=aaa", "--max-new-tokens=30").out());
    assertThat(
            generate(
                    "--prompt=line",
                    "--max-new-tokens=30",
                    "--temperature=0",
                    "--repetition-penalty=1")
                .out())
        .isEqualTo(generate(plain).out());
  }

  @Test
  void moreTokensThanATextCanHaveAreRefusedInWords() {
    refused(
        generate("--max-new-tokens=2147483647"),
        "--max-new-tokens must lie between 0 and 16777216, got 2147483647");
  }

  @Test
  void manyPromptsAreContinuedInTheirOrderAsEachIsAlone() throws IOException {
    List<String> prompts = List.of("line", "quick brown", "f", "line");
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < prompts.size(); i++) {
      String alone =
          generate("--prompt=" + prompts.get(i), "--seed=" + (4 + i), "--max-new-tokens=20").out();
      lines.append(i == 0 ? "" : "---\n").append(alone);
    }
    Path file = dir.resolve("prompts.txt");
    Files.writeString(file, String.join("\n", prompts) + "\n\n");
    for (String size : List.of("1", "3", "50")) {
      var written =
          generate("--prompts=" + file, "--seed=4", "--max-new-tokens=20", "--batch-size=" + size);
      assertThat(written.out()).as(written.err()).isEqualTo(lines.toString());
    }
    List<String> flags = new ArrayList<>(List.of("--seed=4", "--max-new-tokens=20"));
    prompts.forEach(p -> flags.add("--prompt=" + p));
    assertThat(generate(flags.toArray(new String[0])).out()).isEqualTo(lines.toString());
  }

  @Test
  void jsonLinesHaveOptionsOfTheirOwnAndGoToJsonLines() throws IOException {
    Path file = dir.resolve("rows.jsonl");
    Files.writeString(
        file,
        """
        {"id": "a", "prompt": "line", "max_new_tokens": 3}
        {"id": "b", "prompt": "quick", "max_new_tokens": 40, "seed": 9, "temperature": 1.5}
        """);
    String shown = generate("--prompts=" + file).out();
    Path output = dir.resolve("replies.jsonl");
    var written = generate("--prompts=" + file, "--output=" + output);
    assertThat(written.exit()).as(written.err()).isZero();
    assertThat(written.out()).isEmpty();
    assertThat(written.err()).contains("copied to the output: id");
    assertThat(Files.readString(output)).isEqualTo(shown);
    List<String> lines = Files.readAllLines(output);
    assertThat(lines.get(0))
        .startsWith("{\"id\":\"a\",\"prompt\":\"line\",\"max_new_tokens\":3,\"reply\":\"")
        .endsWith("\"finish\":\"length\",\"new_tokens\":3}");
    assertThat(lines.get(1)).contains("\"new_tokens\":40,\"forgotten_tokens\":");
    assertThat(written.err()).contains("rows.jsonl: line 2: the first ", "32 positions");
    refused(generate("--prompts=" + file, "--output=" + output), "exists: name a new file");
    Files.writeString(file, "{\"prompt\": \"line\", \"top_p\": 7}\n");
    refused(generate("--prompts=" + file), "rows.jsonl: line 1: top_p must lie in (0, 1]");
    refused(generate("--prompts=" + file, "--prompt=a"), "give one");
    refused(generate("--prompts=" + dir.resolve("none")), "none: no such file");
    refused(generate("--batch-size=0"), "--batch-size must lie between 1 and 1024, got 0");
  }

  private static void refused(CommandLineTest.Result result, String message) {
    assertThat(result.exit()).isEqualTo(Main.USAGE);
    assertThat(result.err()).contains(message).hasLineCount(1);
  }
}
