package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.family.Presets;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a run was said to take, against what the device has counted when it was over. */
class EstimateTest {
  private static final int ALWAYS = 5;
  private static final double WORST = 0.05;

  @TempDir static Path temp;

  static List<String> rows() throws IOException {
    try (InputStream in =
        Objects.requireNonNull(EstimateTest.class.getResourceAsStream("/estimate/matrix.txt"))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .toList();
    }
  }

  static Stream<String> first() throws IOException {
    return rows().stream().limit(ALWAYS);
  }

  static Stream<String> rest() throws IOException {
    return rows().stream().skip(ALWAYS);
  }

  @ParameterizedTest
  @MethodSource("first")
  void aRunTakesWhatWasEstimated(String row) throws IOException {
    compare(row);
  }

  @Tag("long")
  @ParameterizedTest
  @MethodSource("rest")
  void everyRunOfTheMatrixTakesWhatWasEstimated(String row) throws IOException {
    compare(row);
  }

  private static void compare(String row) throws IOException {
    RunSettings settings = settings(row);
    MemoryTable table;
    try (Estimate estimate = Estimate.of(settings)) {
      table = estimate.memory();
    }
    Path directory = Files.createTempDirectory(temp, "run");
    try (Run run = Run.open(settings.withRun(r -> r.withOutputDir(directory.resolve("out"))))) {
      run.trainer().run();
      long measured = ((Cpu) run.device()).peakBytes();
      double error = (double) table.device() / measured - 1;
      assertThat(run.estimate().device()).isEqualTo(table.device());
      assertThat(Math.abs(error)).as("%s: %s", row, table).isLessThan(WORST);
    }
  }

  private static RunSettings settings(String row) throws IOException {
    Map<String, String> values = new HashMap<>();
    for (String pair : row.split(" +")) {
      values.put(pair.substring(0, pair.indexOf('=')), pair.substring(pair.indexOf('=') + 1));
    }
    String model = Objects.requireNonNull(values.get("model"));
    if (model.startsWith("saved:")) {
      String preset = model.substring("saved:".length());
      Path directory = temp.resolve(preset);
      if (!Files.exists(directory)) {
        try (Cpu cpu = Cpu.open(2);
            LanguageModel made =
                LanguageModel.create(
                    cpu,
                    Presets.named(preset).withVocab(256),
                    Precision.FP32,
                    Grouping.frozen(),
                    1,
                    null)) {
          made.save(directory);
        }
      }
      values.put("model", directory.toString());
      values.put("tokenizer", "byte");
    }
    values.putIfAbsent("max_steps", "2");
    values.put("eval_batches", "1");
    values.put("sample_every", "0");
    values.put("quiet", "true");
    values.put("device", "cpu");
    values.put("threads", "2");
    return RunSettings.DEFAULT.with(values);
  }
}
