package dev.javelin.train;

import dev.javelin.train.average.Ema;
import dev.javelin.train.settings.RunSettings;

/** The hooks and stop rules that settings ask for, in the order in which they see a step. */
final class Attachments {
  private Attachments() {}

  static void add(Training training, RunSettings settings) {
    Double decay = settings.average().emaDecay();
    if (decay != null) {
      training.hook((parameters, rule) -> new Ema(parameters, decay));
    }
  }
}
