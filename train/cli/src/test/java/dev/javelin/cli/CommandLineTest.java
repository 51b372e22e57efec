package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.kernels.cpu.Bf16Products;
import dev.javelin.kernels.cpu.MatmulCpu;
import dev.javelin.nn.Precision;
import dev.javelin.train.settings.BatchSpec;
import dev.javelin.train.settings.Names;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.ScheduleSpec;
import dev.javelin.train.settings.Setting;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

class CommandLineTest {
  @TempDir Path dir;

  /** What a command line printed and returned. */
  record Result(int exit, String out, String err) {}

  static synchronized Result run(String... args) {
    PrintStream out = System.out;
    PrintStream err = System.err;
    var outBytes = new ByteArrayOutputStream();
    var errBytes = new ByteArrayOutputStream();
    try {
      System.setOut(new PrintStream(outBytes, true, StandardCharsets.UTF_8));
      System.setErr(new PrintStream(errBytes, true, StandardCharsets.UTF_8));
      int exit = Main.run(args);
      return new Result(
          exit,
          outBytes.toString(StandardCharsets.UTF_8),
          errBytes.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--lerning-rate, --learning-rate",
    "--lr_schedular, --lr-scheduler",
    "--maxsteps=3, --max-steps",
    "--warmup, --warmup-steps",
  })
  void unknownFlagNamesTheNearestRightOne(String wrong, String right) {
    Result r = run("train", wrong);
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines()).singleElement().asString().contains("did you mean " + right + "?");
  }

  @Test
  void aMisspeltFlagIsNamedBeforeTheRequiredOneItWasMeantToBe() {
    Result r = run("eval", "--modle", "out/last");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines()).singleElement().asString().contains("did you mean --model?");
    assertThat(run("eval").err()).contains("eval needs --model=DIR");
    assertThat(run("train", "--seq-len", "x").err())
        .contains("--seq-len must be a whole number, got x");
  }

  @Test
  void unknownVerbNamesTheNearestRightOne() {
    Result r = run("trian");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines()).singleElement().asString().contains("did you mean train?");
  }

  @Test
  void unknownYamlKeyNamesFileAndNearestKey() throws IOException {
    Path file = Files.writeString(dir.resolve("run.yaml"), "max_step: 3\n");
    Result r = run("train", "--config", file.toString(), "--print-config");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines())
        .singleElement()
        .asString()
        .contains(file.toString())
        .contains("unknown key max_step: did you mean max_steps?");
  }

  @Test
  void aWrongValueInAFileNamesTheFile() throws IOException {
    Path file = Files.writeString(dir.resolve("run.yaml"), "seq_len: 8\nmax_steps: many\n");
    Result r = run("train", "--config=" + file, "--print-config");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines())
        .singleElement()
        .asString()
        .contains(file.toString(), "--max-steps", "many");
  }

  @Test
  void brokenYamlAndMissingFileAreOneLineEach() throws IOException {
    Path file = Files.writeString(dir.resolve("run.yaml"), "a: [1, 2\nb");
    for (String f : new String[] {file.toString(), dir.resolve("none.yaml").toString()}) {
      Result r = run("train", "--config=" + f);
      assertThat(r.exit()).isEqualTo(2);
      assertThat(r.err().lines()).singleElement().asString().contains(f);
    }
  }

  @Test
  void valuesOutOfRangeAreNamedByTheirFlag() {
    assertThat(run("train", "--batch-size", "0", "--print-config").err())
        .contains("--batch-size must be at least 1, got 0");
    Result r = run("train", "--max-steps", "many", "--print-config");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines()).singleElement().asString().contains("--max-steps", "many");
    assertThat(run("train", "--threads=200000", "--print-config").err())
        .contains("--threads must lie between 1 and 1024");
    assertThat(run("train", "--precision", "fp8").err()).contains("fp32, bf16, fp16");
  }

  @Test
  void spellingsOfHuggingFaceAndNanoGptAreAliases() throws IOException {
    Path file =
        Files.writeString(
            dir.resolve("hf.yaml"),
            """
            model_name_or_path: gpt2-shakespeare-cpu
            lr_scheduler_type: warmup_stable_decay
            per_device_train_batch_size: 3
            block_size: 64
            max_iters: 77
            min_lr: 1e-4
            eval_steps: 5
            save_steps: 6
            save_total_limit: 2
            resume_from_checkpoint: auto
            bf16: true
            grad_clip: 0.5
            """);
    RunSettings s = RunSettings.DEFAULT.with(file);
    assertThat(s.model().model()).isEqualTo("gpt2-shakespeare-cpu");
    assertThat(s.schedule().lrScheduler()).isEqualTo(ScheduleSpec.LrScheduler.WSD);
    assertThat(s.batch()).isEqualTo(new BatchSpec(3, 64, 1, null));
    assertThat(s.run().maxSteps()).isEqualTo(77);
    assertThat(s.schedule().minLearningRate()).isEqualTo(1e-4);
    assertThat(s.run().evalEvery()).isEqualTo(5);
    assertThat(s.run().saveEvery()).isEqualTo(6);
    assertThat(s.run().keep()).isEqualTo(2);
    assertThat(s.run().resume()).isEqualTo("auto");
    assertThat(s.device().precision()).isEqualTo(Precision.BF16);
    assertThat(s.optimizer().maxGradNorm()).isEqualTo(0.5f);
  }

  @Test
  void flagsOverrideTheFileAndUnderscoresWork() throws IOException {
    Path file = Files.writeString(dir.resolve("run.yaml"), "max_steps: 10\nseed: 5\n");
    Result r =
        run(
            "train",
            "--max_iters=20",
            "--config",
            file.toString(),
            "--print-config",
            "--data",
            "a");
    assertThat(r.exit()).as(r.err()).isEqualTo(0);
    assertThat(r.out()).contains("max_steps: 20", "seed: 5", "- a");
  }

  @Test
  void aListOnTheCommandLineReplacesTheFiles() throws IOException {
    Path file = Files.writeString(dir.resolve("run.yaml"), "data: [x.txt, y.txt]\n");
    Result r = run("train", "--config", file.toString(), "--data", "z.txt", "--print-config");
    assertThat(r.out()).contains("- z.txt").doesNotContain("x.txt", "y.txt");
  }

  @Test
  void printedConfigurationReadsBackAsItself() throws IOException {
    Result r =
        run(
            "train",
            "--print-config",
            "--learning-rate",
            "0.003",
            "--grad-norm-type",
            "inf",
            "--data",
            "x y",
            "z");
    Path file = Files.writeString(dir.resolve("again.yaml"), r.out());
    assertThat(RunSettings.DEFAULT.with(file).effective().toYaml()).isEqualTo(r.out());
    assertThat(r.out())
        .contains(
            "learning_rate: 0.003", "grad_norm_type: max", "optimizer: adamw", "val_fraction: 0.1");
  }

  @Test
  void helpListsNamesAndAliasesUnderHeadings() {
    Result r = run("train", "--help");
    assertThat(r.exit()).isEqualTo(0);
    assertThat(r.out())
        .contains("Model and data:", "Optimizer and schedule:", "--max-iters", "--max-steps");
  }

  @Test
  void doctorSaysWhatIsHere() {
    Result r = run("doctor");
    assertThat(r.exit()).isEqualTo(0);
    assertThat(r.out())
        .contains("Java", "Vector API", " bits", "Memory", "CUDA", "ready to train on the CPU")
        .contains("bf16        products by " + Bf16Products.description())
        .contains("few rows    products by " + MatmulCpu.fewRows())
        .contains("int8        products by " + MatmulCpu.int8());
  }

  @Test
  void doctorKnowsTheVersionsThatCorruptPinnedObjects() {
    assertThat(DoctorCommand.knownBug(Runtime.Version.parse("25.0.2+1"))).contains("JDK-8377811");
    assertThat(DoctorCommand.knownBug(Runtime.Version.parse("25.0.3"))).isNull();
    assertThat(DoctorCommand.knownBug(Runtime.Version.parse("26"))).isNull();
  }

  /** What an option of a list or of one value is followed by. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train --data a.txt --lerning-rate 1e-3 | --lerning-rate: did you mean --learning-rate?",
        "train --lerning-rate 1e-3 --data a.txt | --lerning-rate: did you mean --learning-rate?",
        "train --data a.txt --num_train_epoches 3 | unknown flag --num-train-epoches:",
        "train --val-data a.txt b.txt --lr_sheduler x | did you mean --lr-scheduler?",
        "prepare --data a.txt --tokeniser byte --output-dir o | --tokeniser: did you mean --tokenizer?",
        "eval --data a.txt --modle m | --modle: did you mean --model?",
        "tokenizer train --special-tokens a b --vocabsize 300 | did you mean --vocab-size?",
      })
  void anUnknownFlagBehindAListIsAnUnknownFlag(String line, String message) {
    Result r = run(line.split(" "));
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines())
        .singleElement()
        .asString()
        .startsWith("javelin: unknown flag --")
        .contains(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"--tokenizer", "--output-dir", "--learning-rate", "--config"})
  void aFlagIsNoValueOfTheOneBeforeIt(String flag) {
    Result r = run("train", flag, "--max-steps", "3");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains(flag + " needs a value: ");
    assertThat(run("train", "--seed", "-5", "--print-config").out()).contains("\nseed: -5\n");
    assertThat(run("train", "--learning-rate", "-1").err()).contains("got -1.0");
  }

  /** The ids of the byte tokenizer are the bytes that arrived. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--foo_bar",
        "---\ntitle: my_post\n---",
        "--verbose",
        "--tokenizer",
        "@nofile",
        " x ",
        "",
        "-h",
        "${sys:user.name}",
        "a=b",
        "\"q\"",
        "é"
      })
  void textIsTakenAsItIs(String text) {
    Result r = run("tokenizer", "encode", "--tokenizer", "byte", "--", text);
    assertThat(r.exit()).as(r.err()).isEqualTo(0);
    StringBuilder bytes = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      bytes.append(bytes.isEmpty() ? "" : " ").append(b & 255);
    }
    assertThat(r.out()).isEqualTo(bytes + System.lineSeparator());
  }

  @Test
  void aPromptIsTakenAsItIs() {
    Path run = dir.resolve("run");
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--max-steps=1"));
    String model = "--model=" + run.resolve("last");
    for (String prompt : List.of("--foo_bar", "---\nmy_post", "--seed", "@x", " x", "--verbose")) {
      Result r = run("generate", model, "--prompt", prompt, "--max-new-tokens", "0");
      assertThat(r.exit()).as(r.err()).isEqualTo(0);
      assertThat(r.out()).isEqualTo(prompt + System.lineSeparator());
      assertThat(run("generate", model, "--prompt=" + prompt, "--max-new-tokens=0")).isEqualTo(r);
    }
  }

  @Test
  void everyOptionSaysWhatItDoesAndItsDefault() {
    for (CommandLine verb : verbs(Main.commandLine())) {
      for (OptionSpec option : verb.getCommandSpec().options()) {
        String text = HelpGroups.description(option);
        boolean given =
            verb.getCommandName().equals("generate")
                || option.hidden()
                || option.arity().max() == 0
                || option.required();
        assertThat(text).as("%s %s", verb.getCommandName(), option.names()[0]).isNotNull();
        if (!given) {
          assertThat(text)
              .as("%s %s", verb.getCommandName(), option.names()[0])
              .matches("[A-Z].*\\. Default: \\S.*\\..*")
              .doesNotContain("null", "${");
        }
      }
    }
  }

  private static CommandLine verb(CommandLine command, String name) {
    return Objects.requireNonNull(command.getSubcommands().get(name), name);
  }

  private static List<CommandLine> verbs(CommandLine command) {
    List<CommandLine> all = new ArrayList<>(List.of(command));
    command.getSubcommands().values().forEach(verb -> all.addAll(verbs(verb)));
    return all;
  }

  /** The table of options is the records' list of settings, name for name. */
  @Test
  void everySettingHasAnOptionUnderItsNames() {
    CommandLine train = verb(Main.commandLine(), "train");
    for (Setting setting : Setting.all()) {
      OptionSpec option = train.getCommandSpec().findOption(setting.flag());
      assertThat(option).as(setting.flag()).isNotNull();
      assertThat(Arrays.stream(option.names()).skip(1).map(Names::snake))
          .containsExactlyElementsOf(setting.aliases());
    }
  }

  @Test
  void controlCharactersOfAFileAreShownAndNotSent() throws IOException {
    Path file = Files.writeString(dir.resolve("run.yaml"), "\"a\\eb\\r\\nc\": 1\n");
    Result r = run("train", "--config=" + file);
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines()).singleElement().asString().contains("a\\u001bb\\r\\nc");
  }

  @Test
  void whatAModelWritesDoesNotSteerTheTerminal() {
    assertThat(Terminal.harmless("a\n\tb\u001b[2Jc\r\u202e\n"))
        .isEqualTo("a\n\tb\\u001b[2Jc\\r\\u202e\n");
  }

  @Test
  void memoryIsSavedByFlagsThatAreThereAndHelp() {
    assertThat(needsLess("train", "--batch-size=4", "--seq-len=16"))
        .contains("--batch-size (now 4)", "--seq-len (now 16)", "--recompute", "--model");
    assertThat(needsLess("train", "--batch-size=1", "--seq-len=16", "--recompute"))
        .contains("--seq-len")
        .doesNotContain("--batch-size", "--recompute");
    assertThat(needsLess("eval", "--model=m", "--batch-size=1"))
        .contains("--seq-len")
        .doesNotContain("--batch-size");
    assertThat(needsLess("prepare", "--data=a", "--tokenizer=byte", "--output-dir=o"))
        .doesNotContain("--");
  }

  private static String needsLess(String... arguments) {
    CommandLine command = Main.commandLine();
    CommandLine verb = verb(command, arguments[0]);
    command.parseArgs(arguments);
    var err = new StringWriter();
    verb.setErr(new PrintWriter(err));
    assertThat(Report.write(verb, new OutOfMemoryError("the system refused 8 bytes"), false))
        .isEqualTo(1);
    return err.toString();
  }
}
