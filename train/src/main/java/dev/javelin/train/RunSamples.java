package dev.javelin.train;

import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.RunIdentity;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.AnswerPairs;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.PairRows;
import dev.javelin.train.data.ReadRows;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.SamplesFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.StepPlaces;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the steps of a run have read, by its directory alone: places from {@code samples.jsonl},
 * rows from the data that {@code config.yaml} names.
 *
 * @param done steps that are known to be done
 * @param places of the steps
 * @param rows that the run reads
 * @param tokenizer of the data; {@code null} where they are ids and name none
 * @param notes what the user should know, a line each
 */
public record RunSamples(
    long done,
    StepPlaces places,
    BatchSource rows,
    @Nullable Tokenizer tokenizer,
    List<String> notes,
    @Nullable Dataset data)
    implements AutoCloseable {

  /**
   * Reads a run's files and data; a run that goes on is not disturbed.
   *
   * @throws InputException where the directory is no run's, or its data are not there any more
   */
  public static RunSamples open(Path run) {
    Path config = run.resolve(RunDirectory.CONFIG_FILE);
    Path samples = run.resolve(RunDirectory.SAMPLES_FILE);
    if (!Files.isRegularFile(config) || !Files.isRegularFile(samples)) {
      throw new InputException(
          "%s holds no %s and %s: name the directory of a run that this version has trained"
              .formatted(run, RunDirectory.CONFIG_FILE, RunDirectory.SAMPLES_FILE));
    }
    RunSettings settings = RunSettings.DEFAULT.with(config);
    Path last = new Checkpoints(run, 0).pointedTo(Checkpoints.LAST).orElse(null);
    RunIdentity identity =
        last == null || !Files.isDirectory(last) ? null : TrainingState.read(last).identity();
    List<String> notes = new ArrayList<>();
    try {
      long done = settings.run().loggingSteps() - 1L;
      for (StepMetrics line : MetricsFile.read(run.resolve(RunDirectory.METRICS_FILE))) {
        done = Math.max(done, line.step() + settings.run().loggingSteps() - 1);
      }
      StepPlaces places = SamplesFile.read(samples);
      if (settings.objective().objective().equals(ClassifierRun.OBJECTIVE)) {
        ClassifierRun.Samples texts = ClassifierRun.samples(settings, last);
        BatchSource rows = TextTraining.source(texts.rows(), settings);
        return new RunSamples(done, places, rows, texts.tokenizer(), notes, null);
      }
      return ofText(settings, last, identity, done, places, notes);
    } catch (IOException e) {
      throw new InputException(run + " cannot be read: " + e, e);
    }
  }

  private static RunSamples ofText(
      RunSettings settings,
      @Nullable Path last,
      @Nullable RunIdentity identity,
      long done,
      StepPlaces places,
      List<String> notes) {
    ModelName name = ModelName.of(settings.model().model());
    String tokenizer =
        last != null && LanguageModel.hasTokenizer(last)
            ? last.toString()
            : Run.tokenizer(settings, name, null);
    RunData read =
        RunData.open(
            settings, tokenizer, identity == null ? null : identity.data().separator(), line -> {});
    Dataset data = read.data();
    try {
      if (identity != null && !identity.data().equals(data.identity())) {
        notes.add("the data have changed since the run: these may not be the rows it has read");
      }
      int seqLen = settings.batch().seqLen();
      BatchSource rows =
          TextTraining.source(
              data.train() instanceof AnswerPairs pairs
                  ? new PairRows(pairs, seqLen, Integer.MAX_VALUE)
                  : TextTraining.rows(
                      data.train(), seqLen, Integer.MAX_VALUE, settings.data().packing()),
              settings);
      return new RunSamples(done, places, rows, data.tokenizer(), notes, data);
    } catch (RuntimeException e) {
      data.close();
      throw e;
    }
  }

  /**
   * What a step has read, the reading that counts last; see {@link StepPlaces#of}.
   *
   * @throws InputException where the run has not come so far
   */
  public List<StepPlaces.Reading> readings(long step) {
    List<StepPlaces.Reading> readings = step > done ? List.of() : places.of(step);
    if (readings.isEmpty()) {
      throw new InputException(
          "--step %d: the run has done steps 1 to %d: choose one of them".formatted(step, done));
    }
    return readings;
  }

  /** The sequences that were read, with where they come from. */
  public List<ReadRows.Sequence> sequences(StepPlaces.Reading reading) {
    try (ReadRows read = new ReadRows(rows, reading.place(), reading.rows())) {
      return read.sequences();
    }
  }

  @Override
  public void close() {
    if (data != null) {
      data.close();
    }
  }
}
