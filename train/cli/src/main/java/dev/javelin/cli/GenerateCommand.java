package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.train.Devices;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import dev.javelin.train.eval.Generator;
import dev.javelin.train.eval.Sampler;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description = "Goes on from a prompt with what a trained model would write.")
final class GenerateCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = {"--model", "--model-name-or-path"},
      required = true,
      paramLabel = "DIR",
      description = "A Hugging Face directory with a tokenizer; a checkpoint is one.")
  private Path model = Path.of("");

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      defaultValue = "",
      description = "What to go on from.")
  private String prompt = "";

  @Option(
      names = {"--max-new-tokens", "--num-tokens"},
      paramLabel = "N",
      description = "How many tokens to write at most (${DEFAULT-VALUE}).")
  private int maxNewTokens = 200;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "0 is greedy (${DEFAULT-VALUE}).")
  private double temperature = 0.8;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Draw from the K likeliest only; 0 for all.")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "Draw from the fewest that make up P (${DEFAULT-VALUE}).")
  private double topP = 1;

  @Option(names = "--seed", paramLabel = "N", description = "The same seed, the same text.")
  private long seed = 1;

  @Option(names = "--device", paramLabel = Devices.NAMES, description = "Where to compute (auto).")
  private String device = "auto";

  @Option(names = "--threads", paramLabel = "N", description = "Threads (all cores).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Override
  public Integer call() {
    if (maxNewTokens < 0) {
      throw new InputException("--max-new-tokens must be 0 or more, got " + maxNewTokens);
    }
    Sampler sampler = new Sampler(temperature, topK, topP, seed);
    PrintWriter out = Main.out(spec);
    try (Device on = Main.device(device, threads, LanguageModel.readConfig(model));
        LanguageModel loaded = LanguageModel.load(on, model)) {
      Tokenizer tokenizer = loaded.tokenizer();
      if (tokenizer == null) {
        throw new InputException(
            model + " has no tokenizer.json: copy the model's tokenizer there to use text");
      }
      try (Generator generator = new Generator(on, loaded.transformer())) {
        out.print(prompt);
        generator.stream(
            tokenizer,
            prompt,
            maxNewTokens,
            sampler,
            piece -> {
              out.print(piece);
              out.flush();
            });
        out.println();
        out.flush();
      }
    }
    return Main.OK;
  }
}
