package dev.javelin.train;

import dev.javelin.train.average.Ema;
import dev.javelin.train.guard.Faults;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.settings.RunSettings;
import org.jspecify.annotations.Nullable;

/** The hooks and stop rules that settings ask for, in the order in which they see a step. */
final class Attachments {
  private Attachments() {}

  static void add(Training training, RunSettings settings, @Nullable Faults rehearsal) {
    if (rehearsal != null) {
      training.hook(rehearsal::on).disk(rehearsal.disk());
    }
    StepHook.Maker guard = settings.guard().guarding();
    if (guard != null) {
      training.hook(guard);
    }
    training.maxBadSteps(settings.guard().maxBadSteps());
    Double decay = settings.average().emaDecay();
    if (decay != null) {
      training.hook((parameters, rule) -> new Ema(parameters, decay));
    }
  }
}
