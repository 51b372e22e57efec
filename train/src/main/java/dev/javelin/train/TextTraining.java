package dev.javelin.train;

import dev.javelin.nn.Transformer;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.eval.TextBytes;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.RunSpec;

/** The parts of a language model's training as settings describe them. */
public final class TextTraining {
  private TextTraining() {}

  /**
   * Next tokens of the windows of {@code data}; what is wanted otherwise can be changed before the
   * trainer is made.
   *
   * @throws InputException where data, model and settings do not fit
   */
  public static Training of(LanguageModel model, Dataset data, RunSettings settings) {
    int positions = model.config().positions();
    int seqLen = settings.batch().seqLen();
    if (seqLen > positions) {
      throw new InputException(
          "--seq-len %d is longer than the model's %d positions: choose at most %d"
              .formatted(seqLen, positions, positions));
    }
    RunSpec run = settings.run();
    Order order =
        switch (settings.data().order()) {
          case SHUFFLED -> Order.shuffled(settings.data().seed(run.seed()));
          case SEQUENTIAL -> Order.sequential();
        };
    int vocab = model.config().vocab();
    BatchSource source = BatchSource.endless(new Windows(data.train(), seqLen, vocab), order);
    TokenSource held = data.validation();
    Transformer transformer = model.transformer().withRecompute(settings.model().recompute());
    return Training.of(model.parameters(), new NextToken(transformer), source)
        .batch(settings.batch().batchSize())
        .accumulate(settings.batch().gradientAccumulationSteps())
        .optimizer(settings.optimizer()::create)
        .clip(settings.optimizer().clip(model.precision().lossScaling()))
        .schedule(settings.lrSchedule())
        .steps(run.maxSteps())
        .seed(run.seed())
        .validation(
            held == null ? null : BatchSource.once(new Windows(held, seqLen, vocab)),
            run.evalBatches())
        .textBytes(model.tokenizer() == null ? null : new TextBytes(model.tokenizer()))
        .logEvery(run.loggingSteps())
        .evalEvery(run.evalEvery())
        .saveEvery(run.saveEvery())
        .model(LanguageModel.describe(model.config(), model.precision()), model::save);
  }
}
