package dev.javelin.train;

import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.data.AnswerPairs;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.PairRows;
import dev.javelin.train.data.Rows;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.WeightedTargets;
import dev.javelin.train.objective.Distill;
import dev.javelin.train.objective.Preference;
import dev.javelin.train.settings.ObjectiveSpec;
import dev.javelin.train.settings.RunSettings;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The objectives that read another model beside the one they train. */
final class BesideModels {
  private BesideModels() {}

  static Task preference(
      Preference.Kind kind, LanguageModel model, Dataset data, RunSettings settings) {
    ObjectiveSpec spec = settings.objective();
    if (kind == Preference.Kind.ORPO && spec.reference() != null) {
      throw new InputException("--reference is for dpo and ipo: orpo has no reference");
    }
    if (kind != Preference.Kind.DPO && spec.labelSmoothing() > 0) {
      throw new InputException("--label-smoothing is for dpo");
    }
    PairRows train = pairs(data.train(), model, settings);
    TokenSource held = data.validation();
    PairRows validation = held == null ? null : pairs(held, model, settings);
    List<String> notes = new ArrayList<>(train.notes());
    notes.addAll(validation == null ? List.of() : validation.notes());
    LanguageModel beside = null;
    Transformer reference = null;
    if (kind != Preference.Kind.ORPO) {
      if (spec.reference() == null && model.adaptation() != null) {
        reference = model.parameters().model();
      } else {
        beside = load(model, directory(spec.reference(), settings), settings);
        reference = beside.transformer();
      }
    }
    Preference objective =
        new Preference(
            trained(model, settings),
            reference,
            kind,
            (float) spec.preferenceBeta(),
            (float) spec.labelSmoothing());
    return new Task(objective, train, validation, true, null, notes, beside);
  }

  private static PairRows pairs(TokenSource source, LanguageModel model, RunSettings settings) {
    if (!(source instanceof AnswerPairs pairs)) {
      throw new InputException(
          "%s holds no preferences: give rows with \"prompt\", \"chosen\" and \"rejected\""
              .formatted(source.name()));
    }
    return new PairRows(pairs, settings.batch().seqLen(), model.config().vocab());
  }

  /** The model as it was before the run, unless another is named. */
  private static Path directory(@Nullable Path named, RunSettings settings) {
    Path own = ModelName.of(settings.model().model()).directory();
    if (named != null && !HuggingFace.hasWeights(named)) {
      throw new InputException(
          "--reference " + named + " holds no weights: name a model's directory");
    }
    Path chosen = named == null ? own : named;
    if (chosen == null || !HuggingFace.hasWeights(chosen)) {
      throw new InputException(
          "--objective %s measures against a model with weights: name one by --model or --reference"
              .formatted(settings.objective().objective()));
    }
    return chosen;
  }

  static Task distill(LanguageModel model, Dataset data, RunSettings settings) {
    ObjectiveSpec spec = settings.objective();
    if (spec.teacher() == null) {
      throw new InputException("--objective distill needs a model to learn from: --teacher DIR");
    }
    Task text = Objectives.nextToken(model, data, settings);
    LanguageModel teacher = load(model, spec.teacher(), settings);
    try {
      Distill objective =
          new Distill(
              trained(model, settings),
              teacher.transformer(),
              (float) spec.distillTemperature(),
              (float) spec.distillShare());
      Rows held = text.held() == null ? null : new WeightedTargets(text.held());
      return new Task(
          objective,
          new WeightedTargets(text.train()),
          held,
          text.examples(),
          null,
          text.notes(),
          teacher);
    } catch (IllegalArgumentException e) {
      teacher.close();
      throw new InputException("--teacher " + spec.teacher() + ": " + e.getMessage(), e);
    }
  }

  private static Transformer trained(LanguageModel model, RunSettings settings) {
    return model.transformer().withRecompute(settings.model().recompute());
  }

  /** On the same device, in the same precision, without gradients. */
  private static LanguageModel load(LanguageModel model, Path directory, RunSettings settings) {
    TransformerConfig config = LanguageModel.readConfig(directory);
    if (config.vocab() != model.config().vocab()) {
      throw new InputException(
          "%s has a vocabulary of %d, the model of %d: they must read the same tokens"
              .formatted(directory, config.vocab(), model.config().vocab()));
    }
    int seqLen = settings.batch().seqLen();
    if (seqLen > config.positions()) {
      throw new InputException(
          "--seq-len %d is longer than the %d positions of %s: choose at most %d"
              .formatted(seqLen, config.positions(), directory, config.positions()));
    }
    return LanguageModel.load(
        model.device(), directory, config, model.precision(), Grouping.frozen(), model.tokenizer());
  }
}
