package dev.javelin.train.xray;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.time.Duration;

/** X-rays of tiny models, by a real step. */
public final class XrayFixture {
  public static final String TEXT = "The cät sat on the mat.";
  static final ByteTokenizer TOKENIZER = new ByteTokenizer();

  private XrayFixture() {}

  /** Of a fresh Llama with two layers of four heads over two key heads. */
  public static Xray llama() {
    try (Cpu cpu = Cpu.open(1)) {
      return of(cpu, config(), Precision.FP32);
    }
  }

  static TransformerConfig config() {
    return Llama.config(TOKENIZER.vocabSize(), 2, 4, 2, 32, 48, 64);
  }

  static Xray of(Device device, TransformerConfig config, Precision precision) {
    try (LanguageModel model = model(device, config, precision)) {
      return step(model).on(TEXT);
    }
  }

  static LanguageModel model(Device device, TransformerConfig config, Precision precision) {
    return LanguageModel.create(
        device, config, precision, RunSettings.DEFAULT.optimizer().groups(), 7, TOKENIZER);
  }

  /** A first step, done once more for its times, on a machine that is made up. */
  static XrayStep step(LanguageModel model) {
    return step(model, RunSettings.DEFAULT);
  }

  static XrayStep step(LanguageModel model, RunSettings settings) {
    return XrayStep.of(model, "tiny", settings)
        .timing(Duration.ZERO)
        .machine(new Xray.Machine("a machine that is made up", 5e10, 1e10));
  }
}
