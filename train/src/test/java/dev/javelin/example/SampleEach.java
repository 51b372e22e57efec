package dev.javelin.example;

import dev.javelin.train.LanguageModel;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.Watcher;
import java.util.function.Consumer;

/** Writes a text every so many steps. */
record SampleEach(int steps, LanguageModel model, Consumer<String> out) implements Watcher {
  @Override
  public void advanced(long step) {
    if (step % steps == 0) {
      out.accept(model.generate("The ", 20, Sampler.GREEDY));
    }
  }
}
