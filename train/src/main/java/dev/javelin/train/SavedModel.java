package dev.javelin.train;

import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.RunSettings;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** The model of a checkpoint against the one that a resumed run asks for. */
final class SavedModel {
  private SavedModel() {}

  /** The checkpoint's model, where it is the one that is asked for. */
  static TransformerConfig config(
      Checkpoint checkpoint, ModelName name, RunSettings config, Consumer<String> notes) {
    // A checkpoint of adapters goes on beside the base that is named, wherever that was before.
    boolean adapters = config.adapter().isOn() && Adaptation.isIn(checkpoint.directory());
    TransformerConfig saved =
        adapters ? name.config() : LanguageModel.readConfig(checkpoint.directory());
    TransformerConfig wanted = name.exists() ? name.config() : saved;
    TransformerConfig fitted = wanted.withVocab(saved.vocab()).withPositions(saved.positions());
    LoraConfig lora = Adaptation.config(config.adapter(), adapters ? checkpoint.directory() : null);
    Precision precision = config.device().numbers();
    String was = checkpoint.state().model();
    String asked = LanguageModel.describe(fitted, precision, lora);
    if (!asked.equals(was)) {
      Precision before =
          Stream.of(Precision.FP32, Precision.BF16, Precision.FP16)
              .filter(p -> LanguageModel.describe(fitted, p, lora).equals(was))
              .findFirst()
              .orElseThrow(
                  () ->
                      new InputException(
                          "--resume: %s holds another model (%s) than the run asks for (%s): give the same --model, or start from its weights with --model %s"
                              .formatted(
                                  checkpoint.directory(), was, asked, checkpoint.directory())));
      String change = "the precision is %s (was %s)".formatted(precision.name(), before.name());
      if (!config.run().override()) {
        throw new InputException(
            "--resume: %s was trained differently: %s; give --precision %s, or --override if the change is intended"
                .formatted(checkpoint.directory(), change, before.name()));
      }
      notes.accept(change);
    }
    requireSame(checkpoint, "norm", saved.norm(), wanted.norm());
    requireSame(checkpoint, "MLP", saved.mlp(), wanted.mlp());
    requireSame(checkpoint, "biases", saved.biases(), wanted.biases());
    requireSame(checkpoint, "positions", saved.encoding(), wanted.encoding());
    return saved;
  }

  /** Sizes are compared in words; this is what the words leave out. */
  private static void requireSame(Checkpoint checkpoint, String what, Object saved, Object wanted) {
    if (!saved.equals(wanted)) {
      throw new InputException(
          "--resume: %s has the %s %s, --model has %s: give the same --model, or start from its weights with --model %s"
              .formatted(checkpoint.directory(), what, saved, wanted, checkpoint.directory()));
    }
  }
}
