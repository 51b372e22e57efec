package dev.javelin.train;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.StopSpec;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A run of which everything is read and nothing allocated, so that it can be told what it would
 * take, with these settings or others.
 */
record Plan(
    ModelName name, TransformerConfig shape, @Nullable Checkpoint checkpoint, Dataset data) {

  MemoryTable memory(RunSettings config) {
    return Rehearsal.of(
        config.device().effectiveThreads(),
        cpu -> {
          TransformerConfig fitted = Run.fitted(config, name, checkpoint, shape, data);
          LanguageModel model =
              Run.model(config, cpu, name, fitted, checkpoint, data.tokenizer(), note -> {});
          Task task = TextTraining.task(model, data, config);
          List<ParameterBuffer<?>> buffers = new ArrayList<>();
          addBuffers(model, buffers);
          if (task.beside() != null) {
            addBuffers(task.beside(), buffers);
          }
          RunSettings endless = // rows need not be counted, and nothing goes wrong on purpose
              config.withStop(s -> StopSpec.DEFAULT).withGuard(g -> g.withInject(null));
          return new Rehearsal.Parts(TextTraining.of(model, task, endless, null), buffers);
        });
  }

  private static void addBuffers(LanguageModel model, List<ParameterBuffer<?>> buffers) {
    buffers.add(model.parameters());
    if (model.adaptation() != null) {
      buffers.add(model.adaptation().parameters());
    }
  }

  /** The same for another model. */
  Plan of(ModelName other) {
    return new Plan(other, other.config(), null, data);
  }

  /** The same with as much text as any sequence is long. */
  Plan endless() {
    if (!data.train().isText()) {
      return this;
    }
    TokenSource held = data.validation() == null ? null : new Blank();
    return new Plan(
        name,
        shape,
        checkpoint,
        new Dataset(new Blank(), held, data.tokenizer(), data.separator(), data.notes()));
  }

  /** Text that says nothing. */
  record Blank() implements TokenSource {
    @Override
    public String name() {
      return "blank text";
    }

    @Override
    public long size() {
      return 1L << 40;
    }

    @Override
    public void read(long from, int[] into, int count) {
      java.util.Arrays.fill(into, 0, count, 0);
    }

    @Override
    public void requireBelow(int vocabSize) {}

    @Override
    public void close() {}
  }
}
