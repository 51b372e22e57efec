package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Bert;
import dev.javelin.nn.BertConfig;
import dev.javelin.nn.BertFiles;
import dev.javelin.nn.Classifiers;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Init;
import dev.javelin.nn.Labels;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.LabelledRows;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Classifiers of encoders and decoders, trained from files of labelled texts. */
class ClassifierRunTest {
  private static final int VOCAB = new ByteTokenizer().vocabSize();

  @TempDir Path dir;

  private Path base() {
    return dir.resolve("base");
  }

  @BeforeEach
  void tokenizer() throws IOException {
    Files.createDirectories(base());
    Companions.write(base(), new ByteTokenizer().files());
  }

  private void bert(BertConfig.Dropout dropout) {
    BertConfig config =
        BertConfig.of(BertConfig.Head.MASKED_WORDS, VOCAB, 2, 2, 32, 64, 40).withDropout(dropout);
    try (Cpu cpu = Cpu.open(1);
        var buffer = Bert.allocate(cpu, config, Precision.FP32, Grouping.frozen())) {
      Init.normal(buffer, 1);
      BertFiles.save(buffer, base(), HuggingFace.SHARD_BYTES);
    }
  }

  private void decoder(TransformerConfig config) throws IOException {
    try (Cpu cpu = Cpu.open(1);
        var model =
            LanguageModel.create(
                cpu, config, Precision.FP32, Grouping.frozen(), 1, new ByteTokenizer())) {
      model.save(base());
    }
  }

  private void model(String kind) throws IOException {
    switch (kind) {
      case "bert" -> bert(BertConfig.Dropout.NONE);
      case "llama" -> decoder(Llama.config(VOCAB, 2, 2, 1, 32, 64, 40));
      default -> decoder(Gpt2.config(VOCAB, 2, 2, 32, 40).with(b -> b.tied(false)));
    }
  }

  /** Texts of one letter and some noise: the letter is the class. */
  private Path data(String name, int rows, String... labels) throws IOException {
    Random random = new Random(rows);
    StringBuilder csv = new StringBuilder("text,label\n");
    for (int i = 0; i < rows; i++) {
      int c = random.nextInt(labels.length);
      char letter = (char) ('a' + 4 * c);
      String text = (letter + "").repeat(2 + random.nextInt(4)) + " " + random.nextInt(100);
      csv.append(text).append(',').append(labels[c]).append('\n');
    }
    return Files.writeString(dir.resolve(name), csv);
  }

  private RunSettings settings(Path data, int steps) {
    return RunSettings.DEFAULT
        .with(Map.of("objective", "classify"))
        .withModel(m -> m.withModel(base().toString()))
        .withData(d -> d.withData(List.of(data)))
        .withBatch(b -> b.withSeqLen(32).withBatchSize(8))
        .withSchedule(s -> s.withLearningRate(3e-3).withMinLearningRate(1e-3))
        .withDevice(d -> d.withDevice("cpu").withThreads(1))
        .withRun(r -> r.withMaxSteps(steps).withEvalEvery(0).withOutputDir(dir.resolve("run")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"bert", "llama", "gpt2"})
  void learnsAndWritesADirectoryThatClassifies(String kind) throws IOException {
    model(kind);
    Path data = data("t.csv", 200, "bad", "good", "ugly");
    double before;
    double after;
    try (ClassifierRun run = ClassifierRun.open(settings(data, 60))) {
      assertThat(run.train().count()).isEqualTo(180);
      LabelledRows held = Objects.requireNonNull(run.held());
      before = run.model().evaluate(held, 7).accuracy();
      run.trainer().run();
      after = run.model().evaluate(held, 7).accuracy();
    }
    assertThat(after).isGreaterThan(0.9).isGreaterThan(before);
    try (Cpu cpu = Cpu.open(1);
        TextClassifier saved = TextClassifier.load(cpu, dir.resolve("run/last"))) {
      assertThat(saved.model().labels().names()).containsExactly("bad", "good", "ugly");
      assertThat(saved.classify(List.of("aaa 7", "eeee 12", "iii 99")))
          .containsExactly("bad", "good", "ugly");
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"bert", "llama"})
  void aResumedRunEndsAsAnUninterruptedOne(String kind) throws IOException {
    model(kind);
    Path data = data("t.csv", 60, "0", "1");
    try (ClassifierRun whole =
        ClassifierRun.open(settings(data, 6).withRun(r -> r.withOutputDir(dir.resolve("a"))))) {
      assertThat(whole.model().model().labels()).isEqualTo(Labels.numbered(2));
      whole.trainer().run();
    }
    RunSettings first = settings(data, 6).withRun(r -> r.withSaveEvery(3));
    try (ClassifierRun run = ClassifierRun.open(first)) {
      run.trainer().run();
    }
    Path third = dir.resolve("run/checkpoint-3");
    try (ClassifierRun run =
        ClassifierRun.open(
            first.withRun(r -> r.withResume(third.toString()).withOutputDir(dir.resolve("run"))))) {
      assertThat(run.trainer().step()).isEqualTo(3);
      run.trainer().run();
    }
    String weights = "checkpoint-6/model.safetensors";
    assertThat(
            Files.mismatch(dir.resolve("a").resolve(weights), dir.resolve("run").resolve(weights)))
        .isEqualTo(-1);
  }

  @Test
  void classesOfTheModelAreKeptWhereTheyCoverTheData() throws IOException {
    model("bert");
    try (ClassifierRun run =
        ClassifierRun.open(settings(data("t.csv", 40, "bad", "good", "ugly"), 1))) {
      run.trainer().run();
    }
    Path first = dir.resolve("run/last");
    assertThat(Classifiers.labels(first)).isEqualTo(new Labels(List.of("bad", "good", "ugly")));
    RunSettings again =
        settings(data("two.csv", 40, "ugly", "bad"), 1)
            .withModel(m -> m.withModel(first.toString()))
            .withRun(r -> r.withOutputDir(dir.resolve("b")));
    try (ClassifierRun run = ClassifierRun.open(again)) {
      assertThat(run.model().model().labels().names()).containsExactly("bad", "good", "ugly");
    }
    Path unknown = data("x.csv", 40, "new", "bad");
    RunSettings other =
        again
            .withData(d -> d.withData(List.of(unknown)))
            .withRun(r -> r.withOutputDir(dir.resolve("c")));
    try (ClassifierRun run = ClassifierRun.open(other)) {
      assertThat(run.model().model().labels().names()).containsExactly("bad", "new");
    }
  }

  @Test
  void labelledTextsComeInJsonLinesAndOtherColumns() throws IOException {
    model("bert");
    Path lines =
        Files.writeString(
            dir.resolve("t.jsonl"),
            "{\"words\": \"aaa\", \"kind\": 0}\n{\"words\": \"eee\", \"kind\": 1}\n".repeat(5));
    RunSettings settings =
        settings(lines, 1)
            .with(Map.of("column", "words", "label_column", "kind", "val_fraction", 0));
    try (ClassifierRun run = ClassifierRun.open(settings)) {
      assertThat(run.train().count()).isEqualTo(10);
      assertThat(run.held()).isNull();
      assertThat(run.train().seqLen()).isEqualTo(3);
    }
    assertThatThrownBy(() -> ClassifierRun.open(settings.with(Map.of("label_column", "label"))))
        .hasMessageContaining("t.jsonl: line 1 has no label under \"label\"")
        .hasMessageContaining("--label-column");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "text,label\\na,x\\nb,x | holds one class only, x",
        "text,label\\na,x\\n,y | row 3 has an empty text",
        "text,label\\na,x\\nb, | row 3 has no label",
        "text,label | holds no texts",
        "words,label\\na,x | has no text under \"text\"",
      })
  void whatIsNoLabelledTextIsNamedByItsPlace(String csv, String message) throws IOException {
    model("bert");
    Path data = Files.writeString(dir.resolve("t.csv"), csv.replace("\\n", "\n"));
    assertThatThrownBy(() -> ClassifierRun.open(settings(data, 1)))
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void whatDoesNotFitIsRefused() throws IOException {
    bert(new BertConfig.Dropout(0.1, 0.1, 0.1));
    Path data = data("t.csv", 20, "a", "b");
    assertThatThrownBy(
            () -> ClassifierRun.open(settings(data, 1).withModel(m -> m.withModel("llama-small"))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("goes on from a trained model");
    Path text = Files.writeString(dir.resolve("t.txt"), "words");
    RunSettings fits = settings(data, 2);
    assertThatThrownBy(() -> ClassifierRun.open(fits.withData(d -> d.withData(List.of(text)))))
        .hasMessageContaining("t.txt is text without labels");
    Path other = data("v.csv", 20, "a", "c");
    assertThatThrownBy(
            () ->
                ClassifierRun.open(
                    fits.withData(d -> d.withData(List.of(data)).withValData(List.of(other)))))
        .hasMessageContaining("has the label c, which the model does not know");
    assertThatThrownBy(
            () ->
                ClassifierRun.open(
                    fits.withData(d -> d.withData(List.of(dir.resolve("gone.csv"))))))
        .hasMessageContaining("gone.csv does not exist");
    try (Cpu cpu = Cpu.open(1)) {
      assertThatThrownBy(() -> TextClassifier.load(cpu, base()))
          .hasMessageContaining("holds no classifier");
    }
    try (ClassifierRun run = ClassifierRun.open(fits)) {
      run.trainer().run(); // with dropout
    }
  }
}
