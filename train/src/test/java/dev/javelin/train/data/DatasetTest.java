package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DatasetTest {
  @TempDir private Path directory;

  private Path file(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  private static String text(TokenSource source, Tokenizer tokenizer) {
    int[] ids = new int[(int) source.size()];
    source.read(0, ids, ids.length);
    return tokenizer.decode(ids);
  }

  private static String trainText(Dataset data) {
    return text(data.train(), Objects.requireNonNull(data.tokenizer()));
  }

  private Dataset open(Path... data) {
    return Dataset.open(List.of(data), List.of(), 0, "byte", TextFiles.TEXT);
  }

  @Test
  void oneTextIsTakenAsItIs() throws IOException {
    try (Dataset data = open(file("a.txt", "héllo\r\nworld"))) {
      assertThat(trainText(data)).isEqualTo("héllo\r\nworld");
      assertThat(data.validation()).isNull();
    }
  }

  @Test
  void rowsEndWithANewlineOrTheEndOfText() throws IOException {
    Path lines =
        file("a.jsonl", "{\"text\": \"one\\ntwo\", \"id\": 1}\n\n  \n{\"text\": \"three\\n\"}");
    Path table = file("b.csv", "id,text\n1,\"four, \"\"five\"\"\nsix\"\n2,seven\n");
    String expected = "one\ntwo\nthree\nfour, \"five\"\nsix\nseven\n";
    try (Dataset data = open(lines, table)) {
      assertThat(trainText(data)).isEqualTo(expected);
    }
    Tokenizer marking = new ByteTokenizer("<end>");
    TextFiles texts = TextFiles.of(List.of(lines), "text");
    assertThat(text(texts.encode(marking, Separator.of(marking)), marking))
        .isEqualTo("one\ntwo<end>three\n<end>");
    assertThat(text(texts.encode(marking, Separator.NEWLINE), marking))
        .isEqualTo("one\ntwo\nthree\n");
  }

  @Test
  void specialTokensInTextAreCharactersUnlessAsked() throws IOException {
    Path saved = directory.resolve("marking");
    Prepare.save(new ByteTokenizer("<end>", "<s>"), saved);
    List<Path> lines = List.of(file("a.jsonl", "{\"text\": \"<s>a<end>b\"}\n{\"text\": \"c\"}\n"));
    List<Path> held = List.of(file("v.jsonl", "{\"text\": \"<s>\"}\n"));
    for (boolean parse : new boolean[] {false, true}) {
      try (Dataset data = Dataset.open(lines, held, 0, saved.toString(), "text", null, parse)) {
        int[] ids = new int[(int) data.train().size()];
        data.train().read(0, ids, ids.length);
        if (parse) {
          assertThat(ids).containsExactly(257, 'a', 256, 'b', 256, 'c', 256);
        } else {
          assertThat(ids)
              .containsExactly('<', 's', '>', 'a', '<', 'e', 'n', 'd', '>', 'b', 256, 'c', 256);
        }
        assertThat(Objects.requireNonNull(data.validation()).size()).isEqualTo(parse ? 2 : 4);
      }
    }
  }

  /** The tokenizer that a checkpoint brings knows an end token, the first one did not. */
  @Test
  void aResumedRunEndsDocumentsAsItBegan() throws IOException {
    List<Path> lines = List.of(file("a.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n"));
    List<Path> held = List.of(file("v.jsonl", "{\"text\": \"three\"}\n"));
    Path saved = directory.resolve("checkpoint");
    Prepare.save(new ByteTokenizer("<end>"), saved);
    try (Dataset fresh = Dataset.open(lines, held, 0, "byte", "text");
        Dataset resumed =
            Dataset.open(lines, held, 0, saved.toString(), "text", fresh.separator())) {
      assertThat(Objects.requireNonNull(resumed.tokenizer()).eos()).hasValue(256);
      assertThat(trainText(resumed)).isEqualTo(trainText(fresh)).isEqualTo("one\ntwo\n");
      assertThat(text(Objects.requireNonNull(resumed.validation()), new ByteTokenizer()))
          .isEqualTo("three\n");
      assertThat(resumed.identity().differences(fresh.identity()))
          .singleElement()
          .asString()
          .startsWith("the tokenizer differs (257 tokens");
    }
  }

  @Test
  void directoriesAreReadInOrderOfTheirPaths() throws IOException {
    Files.createDirectories(directory.resolve("sub"));
    file("b.txt", "b");
    file("a.txt", "a");
    file("readme.md", "not text");
    file("sub/c.jsonl", "{\"text\": \"c\"}");
    try (Dataset data = open(directory)) {
      assertThat(trainText(data)).isEqualTo("a\nb\nc\n");
    }
  }

  @Test
  void theLastPartIsForValidation() throws IOException {
    Path path = file("a.txt", "abcdefghij");
    try (Dataset data = Dataset.open(List.of(path), List.of(), 0.3, "char", "text")) {
      Tokenizer tokenizer = Objects.requireNonNull(data.tokenizer());
      assertThat(tokenizer.vocabSize()).isEqualTo(10);
      assertThat(trainText(data)).isEqualTo("abcdefg");
      assertThat(text(Objects.requireNonNull(data.validation()), tokenizer)).isEqualTo("hij");
    }
  }

  @Test
  void validationTakesWholeExamples() {
    ExampleBuffer buffer = new ExampleBuffer();
    for (int length = 1; length <= 10; length++) {
      buffer.begin();
      for (int i = 0; i < length; i++) {
        buffer.accept(length, i > 0);
      }
    }
    TokenSource all = buffer.finish("chats", e -> "chat " + e);
    try (Dataset data = Dataset.split(all, 0.25, null, Separator.NEWLINE, List.of())) {
      TokenSource held = Objects.requireNonNull(data.validation());
      assertThat(data.train().examples()).isEqualTo(7);
      assertThat(data.train().size()).isEqualTo(28);
      assertThat(held.examples()).isEqualTo(3);
      int[] ids = new int[9];
      held.read(0, ids, 9);
      assertThat(ids).containsExactly(8, 8, 8, 8, 8, 8, 8, 8, 9);
    }
    Dataset whole = new Dataset(all, null, null);
    assertThat(Objects.requireNonNull(whole.keep(0.1, 1000).validation()).examples()).isEqualTo(1);
    assertThat(whole.keep(0.95, 1000).validation()).isNull();
  }

  @Test
  void validationTextUsesTheSameTokenizer() throws IOException {
    Path path = file("a.txt", "abc");
    Path val = file("v.txt", "cab");
    try (Dataset data = Dataset.open(List.of(path), List.of(val), 0, "char", "text")) {
      int[] ids = new int[3];
      Objects.requireNonNull(data.validation()).read(0, ids, 3);
      assertThat(ids).containsExactly(2, 0, 1);
    }
    Path foreign = file("w.txt", "abé");
    assertThatThrownBy(
            () -> Dataset.open(List.of(path), List.of(foreign), 0, "char", "text").close())
        .isInstanceOf(InputException.class)
        .hasMessageContaining("w.txt: character 'é' (U+00E9) is not in the vocabulary");
  }

  @Test
  void preparedFilesHoldWhatTheTextHolds() throws IOException {
    Path path = file("a.txt", "the quick brown fox");
    Path out = directory.resolve("out");
    TextFiles texts = TextFiles.of(List.of(path), "text");
    Prepare done = Prepare.run(texts, texts.tokenizer("char"), 0.5, out);
    assertThat(done).isEqualTo(new Prepare(9, 10));
    for (Path prepared : List.of(out, out.resolve("train.bin"))) {
      try (Dataset data = Dataset.open(List.of(prepared), List.of(), 0, null, "text")) {
        assertThat(trainText(data)).isEqualTo("the quick");
        assertThat(
                text(
                    Objects.requireNonNull(data.validation()),
                    Objects.requireNonNull(data.tokenizer())))
            .isEqualTo(" brown fox");
      }
    }
    Prepare.run(texts, texts.tokenizer("byte"), 0, out);
    assertThat(out.resolve("val.bin")).doesNotExist();
    try (Dataset data = Dataset.open(List.of(out), List.of(), 0, null, "text")) {
      assertThat(data.validation()).isNull();
      assertThat(trainText(data)).isEqualTo("the quick brown fox");
    }
    try (Stream<Path> files = Files.list(out)) {
      assertThat(files.map(p -> p.getFileName().toString()))
          .containsExactlyInAnyOrder(
              "train.bin", "train.bin.json", "tokenizer.json", "tokenizer_config.json");
    }
  }

  /** Of a model, of nanoGPT, or of the user: only what prepare wrote is replaced. */
  @ParameterizedTest
  @ValueSource(strings = {"tokenizer.json", "train.bin", "val.bin", "tokenizer_config.json"})
  void prepareReplacesNothingThatItDidNotWrite(String name) throws IOException {
    TextFiles texts = TextFiles.of(List.of(file("a.txt", "abc")), "text");
    Path out = Files.createDirectories(directory.resolve("out"));
    Files.writeString(out.resolve(name), "precious");
    assertThatThrownBy(() -> Prepare.run(texts, new ByteTokenizer(), 0, out))
        .isInstanceOf(InputException.class)
        .hasMessage(
            out.resolve(name) + " was not written by javelin prepare: name another --output-dir");
    assertThat(out).isDirectoryNotContaining(path -> !path.endsWith(name));
    assertThat(out.resolve(name)).hasContent("precious");
  }

  /** Whatever moment the process dies at, a train.bin belongs to what stands beside it. */
  @Test
  void aPreparationCutShortIsTakenUpByTheNext() throws IOException {
    TextFiles texts = TextFiles.of(List.of(file("a.txt", "abcdefghij")), "text");
    Path out = directory.resolve("out");
    Prepare.run(texts, new ByteTokenizer(), 0.5, out);
    Files.delete(out.resolve("train.bin")); // as between describe() and finish()
    Files.writeString(out.resolve("train.bin.tmp"), "left by the one that died");
    assertThatThrownBy(() -> open(out).close()).hasMessageContaining("holds no .txt");
    assertThat(Prepare.run(texts, new ByteTokenizer(), 0.2, out)).isEqualTo(new Prepare(8, 2));
    try (Dataset data = Dataset.open(List.of(out), List.of(), 0, null, "text")) {
      assertThat(trainText(data)).isEqualTo("abcdefgh");
    }
    assertThat(out.resolve("train.bin.tmp")).doesNotExist();
  }

  @Test
  void aPreparationWithNothingToTrainOnIsRefused() throws IOException {
    TextFiles texts = TextFiles.of(List.of(file("a.txt", "a")), "text");
    Path out = directory.resolve("out");
    assertThatThrownBy(() -> Prepare.run(texts, new ByteTokenizer(), 0.1, out))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--val-fraction 0.1 leaves none of 1 tokens to train on");
    assertThat(out).isEmptyDirectory();
  }

  @Test
  void aFailedPreparationLeavesTheEarlierOne() throws IOException {
    TextFiles texts = TextFiles.of(List.of(file("a.txt", "abc")), "text");
    Path out = directory.resolve("out");
    Prepare.run(texts, new ByteTokenizer(), 0, out);
    TextFiles bad = TextFiles.of(List.of(file("b.jsonl", "{\"text\": \"x\"}\n{")), "text");
    assertThatThrownBy(() -> Prepare.run(bad, bad.tokenizer("byte"), 0, out))
        .hasMessageContaining("b.jsonl: line 2");
    try (Dataset data = Dataset.open(List.of(out), List.of(), 0, null, "text")) {
      assertThat(trainText(data)).isEqualTo("abc");
    }
  }

  /** What was prepared with newlines is not held out with end tokens. */
  @Test
  void validationTextIsSeparatedAsPreparedTokensAre() throws IOException {
    TextFiles texts = TextFiles.of(List.of(file("a.jsonl", "{\"text\": \"x\"}")), "text");
    Path out = directory.resolve("out");
    Prepare.run(texts, new ByteTokenizer(), 0, out);
    Path saved = directory.resolve("checkpoint");
    Prepare.save(new ByteTokenizer("<end>"), saved);
    try (Dataset data =
        Dataset.open(
            List.of(out),
            List.of(file("v.jsonl", "{\"text\": \"y\"}")),
            0,
            saved.toString(),
            "text")) {
      assertThat(data.separator()).isEqualTo(Separator.NEWLINE);
      assertThat(text(Objects.requireNonNull(data.validation()), new ByteTokenizer()))
          .isEqualTo("y\n");
    }
  }

  @Test
  void whatCannotBeOpenedLeavesNothingMapped() throws IOException {
    Path path = directory.resolve("x.bin");
    Files.write(path, new byte[] {7, 0, 8, 0});
    Path missing = directory.resolve("gone.bin");
    Path text = file("v.txt", "v");
    List<Runnable> openings =
        List.of(
            () -> Dataset.open(List.of(path), List.of(), 0, "char", "text").close(),
            () -> Dataset.open(List.of(path), List.of(), 0, "nowhere", "text").close(),
            () -> Dataset.open(List.of(path), List.of(), 2, null, "text").close(),
            () -> Dataset.open(List.of(path), List.of(missing), 0, null, "text").close(),
            () -> Dataset.open(List.of(path), List.of(text), 0, null, "text").close());
    for (Runnable opening : openings) {
      assertThatThrownBy(opening::run).isInstanceOf(RuntimeException.class);
      assertThat(TokenFile.OPEN).hasValue(0);
    }
    Path maps = Path.of("/proc/self/maps");
    if (Files.exists(maps)) {
      assertThat(Files.readString(maps)).doesNotContain(path.toString());
    }
  }

  @Test
  void aPlainTokenFileHasNoTokenizer() throws IOException {
    Path path = directory.resolve("x.bin");
    Files.write(path, new byte[] {7, 0, 8, 0});
    try (Dataset data = Dataset.open(List.of(path), List.of(), 0.5, null, "text")) {
      assertThat(data.tokenizer()).isNull();
      assertThat(data.train().size()).isEqualTo(1);
    }
    assertThatThrownBy(() -> open(path, file("a.txt", "a")).close())
        .hasMessageContaining("is a token file and cannot be combined");
    assertThatThrownBy(() -> Dataset.open(List.of(path), List.of(), 0, "char", "text").close())
        .hasMessageContaining("--tokenizer char is made from text");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "a.txt|''|holds no text",
        "a.jsonl|''|holds no text",
        "a.csv|text|holds no text",
        "a.pdf|x|is none of .txt, .jsonl, .ndjson, .json, .csv, .tsv",
      })
  void badTextFilesAreRefusedInOneLine(String name, String content, String message)
      throws IOException {
    Path path = file(name, content);
    assertThatThrownBy(() -> open(path).close())
        .isInstanceOfAny(FileFormatException.class, InputException.class)
        .hasMessageContaining(message)
        .hasMessageStartingWith(path.toString())
        .message()
        .doesNotContain("\n");
  }

  @Test
  void whatIsLeftOutOfDirectoriesIsSaid() throws IOException {
    Files.createDirectories(directory.resolve("held"));
    file("a.txt", "a");
    file(".a.txt", "b");
    file("held/v.txt", "c");
    file("held/x.pdf", "c");
    List<Path> held = List.of(directory.resolve("held"));
    try (Dataset data = Dataset.open(List.of(directory), held, 0, "byte", "text")) {
      assertThat(data.notes())
          .containsExactly(
              directory
                  + ": left out 1 hidden and 1 of other kinds than .txt, .jsonl, .ndjson, .json, .csv, .tsv",
              held.getFirst()
                  + ": left out 0 hidden and 1 of other kinds than .txt, .jsonl, .ndjson, .json, .csv, .tsv");
    }
  }

  @Test
  void missingThingsAreNamed() throws IOException {
    assertThatThrownBy(() -> open(directory.resolve("gone.txt")).close())
        .hasMessageContaining("gone.txt does not exist");
    assertThatThrownBy(() -> open(directory.resolve("gone.bin")).close())
        .hasMessageContaining("gone.bin: does not exist");
    assertThatThrownBy(() -> open(directory).close()).hasMessageContaining("holds no .txt");
    Path path = file("a.txt", "a");
    assertThatThrownBy(() -> Dataset.open(List.of(path), List.of(), 0, null, "text").close())
        .hasMessageContaining("a.txt is text: name a tokenizer with --tokenizer");
    assertThatThrownBy(() -> Dataset.open(List.of(path), List.of(), 0, "nowhere", "text").close())
        .hasMessageContaining("nowhere: does not exist");
  }

  @Test
  void theDefaultTextIsAMillionCharactersOfEnglish() {
    try (Dataset data = Dataset.open(List.of(), List.of(), 0.1, "byte", "text")) {
      assertThat(data.train().size()).isGreaterThan(1_000_000);
      String text = trainText(data);
      assertThat(text).startsWith("be able to do what the individual countries cannot do");
      assertThat(text.split(" the ", -1).length).isGreaterThan(10_000);
    }
  }

  @Test
  void aMissingDefaultTextSaysHowToGetIt() {
    assertThatThrownBy(() -> DefaultText.load(ClassLoader.getPlatformClassLoader()))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("add javelin-default-text to the class path");
  }
}
