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

class PrepareCommandTest {
  @TempDir private Path directory;

  private record Outcome(int code, String out, String err) {}

  private static Outcome javelin(Object... args) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    ByteArrayOutputStream complained = new ByteArrayOutputStream();
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(complained, true, StandardCharsets.UTF_8));
    try {
      int code =
          Main.run(java.util.Arrays.stream(args).map(Object::toString).toArray(String[]::new));
      return new Outcome(
          code,
          printed.toString(StandardCharsets.UTF_8),
          complained.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  @Test
  void textBecomesTokenFiles() throws IOException {
    Path text = Files.writeString(directory.resolve("a.txt"), "abcabcabca");
    Path out = directory.resolve("out");
    Outcome done =
        javelin(
            "prepare",
            "--data",
            text,
            "--tokenizer",
            "char",
            "--output-dir",
            out,
            "--val-fraction",
            "0.2");
    assertThat(done.code()).isZero();
    assertThat(done.out()).contains("8 tokens for training, 2 for validation, vocabulary 3");
    assertThat(Files.readAllBytes(out.resolve("train.bin")))
        .containsExactly(0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 0);
    assertThat(out.resolve("tokenizer.json")).exists();
  }

  @Test
  void specialTokensInTextAreCharactersUnlessAsked() throws IOException {
    Path text = Files.writeString(directory.resolve("a.txt"), "ab<|endoftext|>ab");
    Path tokenizer = directory.resolve("bpe");
    javelin("tokenizer", "train", "--data", text, "--vocab-size", 257, "--output-dir", tokenizer);
    Path out = directory.resolve("out");
    Object[] plain = {"prepare", "--data", text, "--tokenizer", tokenizer, "--output-dir", out};
    assertThat(javelin(plain).out()).contains("17 tokens for training");
    Object[] parsed = java.util.Arrays.copyOf(plain, plain.length + 1);
    parsed[plain.length] = "--parse-special-tokens";
    assertThat(javelin(parsed).out()).contains("5 tokens for training");
    assertThat(Files.readAllBytes(out.resolve("train.bin"))[4]).isZero();
    Outcome trained =
        javelin(
            "train",
            "--data",
            out,
            "--parse-special-tokens",
            "--output-dir",
            directory.resolve("run"));
    assertThat(trained.code()).isEqualTo(2);
    assertThat(trained.err())
        .contains("--parse-special-tokens applies to text")
        .contains("give it to javelin prepare");
  }

  @Test
  void aTokenizerIsTrainedAndUsed() throws IOException {
    Path text = Files.writeString(directory.resolve("a.txt"), "the cat and the hat and the rat");
    Path out = directory.resolve("bpe");
    Outcome trained =
        javelin("tokenizer", "train", "--data", text, "--vocab-size", 262, "--output-dir", out);
    assertThat(trained.code()).isZero();
    assertThat(trained.out()).contains("vocabulary 262");
    Outcome encoded = javelin("tokenizer", "encode", "--tokenizer", out, "the cat<|endoftext|>");
    String[] ids = encoded.out().strip().split(" ");
    assertThat(ids).endsWith("0").hasSizeLessThan(8);
    Object[] decode = new Object[4 + ids.length];
    System.arraycopy(new Object[] {"tokenizer", "decode", "--tokenizer", out}, 0, decode, 0, 4);
    System.arraycopy(ids, 0, decode, 4, ids.length);
    assertThat(javelin(decode).out().strip()).isEqualTo("the cat<|endoftext|>");
  }

  @Test
  void wrongUseIsOneLineAndExitCodeTwo() throws IOException {
    Path text = Files.writeString(directory.resolve("a.txt"), "a");
    for (Outcome bad :
        new Outcome[] {
          javelin(
              "prepare",
              "--data",
              directory.resolve("gone.txt"),
              "--tokenizer",
              "byte",
              "--output-dir",
              directory),
          javelin("prepare", "--data", text, "--tokenizer", "byte"),
          javelin(
              "prepare",
              "--data",
              text,
              "--tokenizer",
              "byte",
              "--output-dir",
              directory.resolve("o"),
              "--val-fraction",
              "2"),
          javelin("tokenizer"),
          javelin("tokenizer", "encode", "--tokenizer", "char", "x"),
          javelin("tokenizer", "decode", "--tokenizer", "byte", "256"),
          javelin(
              "tokenizer",
              "train",
              "--data",
              text,
              "--vocab-size",
              "10",
              "--output-dir",
              directory.resolve("o")),
        }) {
      assertThat(bad.code()).as(bad.err()).isEqualTo(2);
      assertThat(bad.err().strip()).startsWith("javelin: ").doesNotContain("\n");
    }
  }
}
