package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.settings.RunSettings;

/** Models and data for tests of the loop, in memory. */
final class TinyModels {
  static final int VOCAB = 31;
  static final int SEQ_LEN = 8;

  private TinyModels() {}

  static TransformerConfig llama() {
    return Llama.config(VOCAB, 2, 4, 2, 32, 48, SEQ_LEN);
  }

  /** Learned positions, LayerNorm, biases, dropout. */
  static TransformerConfig gpt2() {
    return Gpt2.config(VOCAB, 2, 4, 32, SEQ_LEN)
        .withDropout(new TransformerConfig.Dropout(0.1, 0.1, 0.1));
  }

  /** Rotary angles that depend on the length of a sequence beyond half of {@link #SEQ_LEN}. */
  static TransformerConfig dynamic() {
    return llama()
        .with(
            b ->
                b.positions(4 * SEQ_LEN)
                    .rope(new RopeConfig(100, new RopeConfig.Dynamic(4, SEQ_LEN / 2))));
  }

  static LanguageModel model(Device device, TransformerConfig config, Precision precision) {
    return LanguageModel.create(device, config, precision, Grouping.decayMatrices(0.1f), 1, null);
  }

  /** Ids with a pattern: each follows from the two before it. */
  static int[] ids(int count) {
    int[] ids = new int[count];
    for (int i = 2; i < count; i++) {
      ids[i] = (3 * ids[i - 1] + ids[i - 2] + 1) % VOCAB;
    }
    return ids;
  }

  static Dataset data(int tokens) {
    return new Dataset(TokenSource.of("pattern", ids(tokens)), null, null);
  }

  static RunSettings settings(int steps) {
    return RunSettings.DEFAULT
        .withBatch(b -> b.withSeqLen(SEQ_LEN).withBatchSize(4))
        .withSchedule(s -> s.withLearningRate(1e-2))
        .withRun(r -> r.withMaxSteps(steps).withLoggingSteps(1))
        .withDevice(d -> d.withThreads(1));
  }
}
