package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.Devices;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/** The model that writes, and where: the flags that {@code generate} and {@code chat} share. */
final class ModelOptions {
  @Option(
      names = {"--model", "--model-name-or-path"},
      required = true,
      paramLabel = "DIR",
      description = "Hugging Face directory with a tokenizer, such as a checkpoint.")
  private Path model = Path.of("");

  @Option(
      names = "--adapter",
      paramLabel = "DIR",
      description =
          "Adapter to use beside --model, as PEFT or javelin train wrote it. Default: none.")
  private @Nullable Path adapter;

  @Option(
      names = "--dtype",
      paramLabel = "fp32|bf16|fp16",
      description = "Number format of weights, activations and cache. Default: ${DEFAULT-VALUE}.")
  private String dtype = "fp32";

  @Mixin private QuantizeOptions quantize = new QuantizeOptions();

  @Option(
      names = "--device",
      paramLabel = Devices.NAMES,
      description =
          "Where to compute. auto uses a GPU if it can run the model, otherwise the CPU. Default: ${DEFAULT-VALUE}.")
  private String device = "auto";

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads. Default: one per core.")
  private int threads = Runtime.getRuntime().availableProcessors();

  /** What is done with the model while it is loaded. */
  @FunctionalInterface
  interface Work {
    void run(LanguageModel model, Tokenizer tokenizer) throws IOException;
  }

  void load(@Nullable CommandSpec spec, Work work) throws IOException {
    Precision precision = Main.precision(dtype);
    Grouping frozen = quantize.grouping();
    List<String> notes = new ArrayList<>();
    TransformerConfig config = LanguageModel.readConfig(model, notes::add);
    Main.notes(spec, notes);
    Tokenizer tokenizer =
        adapter != null && LanguageModel.hasTokenizer(adapter)
            ? LanguageModel.tokenizer(adapter)
            : LanguageModel.tokenizer(model);
    if (tokenizer == null) {
      throw new InputException(
          model + " has no tokenizer.json: copy the model's tokenizer there to use text");
    }
    boolean alone = adapter == null && LanguageModel.isAdapter(model);
    Path base = alone ? LanguageModel.baseOf(model) : model;
    Path beside = alone ? model : adapter;
    try (Device on = Main.device(device, threads, config)) {
      quantize.check(on);
      try (LanguageModel loaded =
          beside == null
              ? LanguageModel.load(on, base, config, precision, frozen, tokenizer)
              : LanguageModel.load(on, base, beside, precision, frozen, note -> {})) {
        work.run(loaded, tokenizer);
      }
    }
  }
}
