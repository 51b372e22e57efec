package dev.javelin.train;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.PackedExamples;
import dev.javelin.train.data.PaddedExamples;
import dev.javelin.train.data.Rows;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.guard.Faults;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.RunSpec;
import dev.javelin.train.settings.ScheduleSpec.LrScheduler;
import dev.javelin.train.settings.StopSpec;
import dev.javelin.train.stop.EarlyStopping;
import dev.javelin.train.stop.MaxTime;
import dev.javelin.train.stop.MaxTokens;
import dev.javelin.train.stop.TargetLoss;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The parts of a language model's training as settings describe them. */
public final class TextTraining {
  private TextTraining() {}

  /**
   * Training for the objective that the settings name; what is wanted otherwise can be changed
   * before the trainer is made.
   *
   * @throws InputException where data, model and settings do not fit
   */
  public static Training of(LanguageModel model, Dataset data, RunSettings settings) {
    return of(model, task(model, data, settings), settings, null);
  }

  /** What the objective that the settings name makes of model and data. */
  static Task task(LanguageModel model, Dataset data, RunSettings settings) {
    int positions = model.config().positions();
    int seqLen = settings.batch().seqLen();
    if (seqLen > positions) {
      throw new InputException(
          "--seq-len %d is longer than the model's %d positions: choose at most %d"
              .formatted(seqLen, positions, positions));
    }
    return Objectives.named(settings.objective().objective()).of(model, data, settings);
  }

  /**
   * The rows of a source: windows of running text, examples packed or padded.
   *
   * @param seqLen T, tokens of a row
   * @param packing whether several examples share a row
   * @throws InputException where the source fills no row
   */
  public static Rows rows(TokenSource source, int seqLen, int vocabSize, boolean packing) {
    if (source.isText()) {
      return new Windows(source, seqLen, vocabSize);
    }
    return packing
        ? new PackedExamples(source, seqLen, vocabSize)
        : new PaddedExamples(source, seqLen, vocabSize);
  }

  static Training of(
      LanguageModel model, Task task, RunSettings settings, @Nullable TrainingState state) {
    long shardBytes = settings.run().maxShardSize().bytes();
    Training training = of(model.trained(), model.precision(), task, settings, state);
    Attachments.xrays(training, model, settings);
    return training
        .text(model.tokenizer() == null ? null : model.tokenizer()::decode)
        .model(model.describe(), directory -> model.save(directory, shardBytes), model::restore);
  }

  /**
   * Whatever the model, whose files are still to be named.
   *
   * @param state of the checkpoint that the run goes on from; null for a fresh one
   */
  static Training of(
      ParameterBuffer<?> parameters,
      Precision precision,
      Task task,
      RunSettings settings,
      @Nullable TrainingState state) {
    RunSpec run = settings.run();
    Faults rehearsal = settings.guard().rehearsal();
    BatchSource rows = source(task.train(), settings);
    BatchSource source = rehearsal == null ? rows : rehearsal.of(rows);
    int steps = steps(task, settings, state);
    Training training =
        Training.of(parameters, task.objective(), source)
            .batch(settings.batch().batchSize())
            .accumulate(settings.batch().gradientAccumulationSteps())
            .ramp(settings.batch().batchRamp())
            .optimizer(p -> settings.optimizer().create(p, settings.rule().constants()))
            .clip(settings.optimizer().clip(precision.lossScaling()))
            .schedule(settings.lrSchedule(steps))
            .steps(steps)
            .seed(run.seed())
            .validation(
                task.held() == null ? null : BatchSource.once(task.held()), run.evalBatches())
            .textBytes(task.textBytes())
            .logEvery(run.loggingSteps())
            .evalEvery(run.evalEvery())
            .saveEvery(run.saveEvery())
            .keepEvery(run.keepEvery())
            .asyncSave(run.asyncSave());
    stopRules(task, settings).forEach(training::stopWhen);
    Attachments.add(training, settings, rehearsal);
    return training;
  }

  /** The stream of rows that a run of these settings reads. */
  static BatchSource source(Rows rows, RunSettings settings) {
    Order order =
        switch (settings.data().order()) {
          case SHUFFLED -> shuffled(rows, settings.data().seed(settings.run().seed()));
          case SEQUENTIAL -> Order.sequential();
        };
    return BatchSource.endless(rows, order);
  }

  /** Steps of a run of these settings on these rows, those before a checkpoint included. */
  static int steps(Task task, RunSettings settings, @Nullable TrainingState state) {
    return RunLength.of(source(task.train(), settings), task, state).steps(settings);
  }

  private static List<StopRule> stopRules(Task task, RunSettings settings) {
    StopSpec stop = settings.stop();
    boolean validation = task.held() != null && settings.run().evalEvery() > 0;
    List<StopRule> rules = new ArrayList<>();
    if (stop.maxTokens() != null) {
      rules.add(new MaxTokens(stop.maxTokens()));
    }
    if (stop.maxTime() != null) {
      rules.add(new MaxTime(stop.maxTime().seconds(), stop.maxTime().toString()));
    }
    if (stop.targetLoss() != null) {
      rules.add(new TargetLoss(stop.targetLoss(), settings.run().loggingSteps(), validation));
    }
    if (stop.earlyStoppingPatience() != null) {
      requireEvaluations("--early-stopping-patience", validation);
      rules.add(new EarlyStopping(stop.earlyStoppingPatience(), stop.earlyStoppingMinDelta()));
    }
    if (settings.schedule().lrScheduler() == LrScheduler.PLATEAU) {
      requireEvaluations("--lr-scheduler plateau", validation);
    }
    return rules;
  }

  private static void requireEvaluations(String flag, boolean validation) {
    if (!validation) {
      throw new InputException(
          flag
              + " looks at the validation loss: it needs --val-data or --val-fraction, and --eval-every above 0");
    }
  }

  /** Rows of several widths share batches with their like. */
  private static Order shuffled(Rows rows, long seed) {
    return rows.layouts().size() == 1 ? Order.shuffled(seed) : Order.grouped(seed, rows::tokens);
  }
}
