package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.Devices;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
      description = "The text to continue; - reads it from standard input (nothing).")
  private @Nullable String prompt;

  @Option(
      names = "--prompt-file",
      paramLabel = "FILE",
      description = "A UTF-8 text file with the text to continue, in place of --prompt.")
  private @Nullable Path promptFile;

  @Option(
      names = {"--max-new-tokens", "--num-tokens"},
      paramLabel = "N",
      description = "The most tokens to write (${DEFAULT-VALUE}).")
  private int maxNewTokens = 200;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "Divides the logits; 0 takes the likeliest token (${DEFAULT-VALUE}).")
  private double temperature = 0.8;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Draw from the K likeliest tokens only; 0 for all (${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Draw from the fewest tokens whose probabilities add up to P (${DEFAULT-VALUE}).")
  private double topP = 1;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "P",
      description =
          "More than 1 makes tokens that occurred less likely; 1 changes nothing (${DEFAULT-VALUE}).")
  private double repetitionPenalty = 1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "End before this text; may be given several times.")
  private List<String> stop = List.of();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "The same seed gives the same text (${DEFAULT-VALUE}).")
  private long seed = 1;

  @Option(
      names = "--dtype",
      paramLabel = "fp32|bf16|fp16",
      description = "The type of weights, activations and cache (${DEFAULT-VALUE}).")
  private String dtype = "fp32";

  @Option(names = "--device", paramLabel = Devices.NAMES, description = "Where to compute (auto).")
  private String device = "auto";

  @Option(names = "--threads", paramLabel = "N", description = "Threads (all cores).")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Override
  public Integer call() throws IOException {
    Request request =
        new Request(
            prompt(),
            maxNewTokens,
            new Sampler(temperature, topK, topP, seed),
            repetitionPenalty,
            stop);
    Precision precision = precision();
    TransformerConfig config = LanguageModel.readConfig(model);
    if (!LanguageModel.hasTokenizer(model)) {
      throw new InputException(
          model + " has no tokenizer.json: copy the model's tokenizer there to use text");
    }
    PrintWriter out = Main.out(spec);
    try (Device on = Main.device(device, threads, config);
        LanguageModel loaded =
            LanguageModel.load(
                on, model, config, precision, Grouping.frozen(), Tokenizer.load(model));
        Inference inference = loaded.inference()) {
      out.print(request.prompt());
      out.flush();
      inference.generate(
          request,
          piece -> {
            out.print(piece);
            out.flush();
          });
      out.println();
      out.flush();
    }
    return Main.OK;
  }

  private String prompt() throws IOException {
    if (promptFile != null) {
      if (prompt != null) {
        throw new InputException("--prompt and --prompt-file both say what to continue: give one");
      }
      return utf8(promptFile.toString(), Files.readAllBytes(promptFile));
    }
    if (prompt == null) {
      return "";
    }
    return prompt.equals("-") ? utf8("standard input", System.in.readAllBytes()) : prompt;
  }

  /** The text as it is, without a byte order mark. */
  private static String utf8(String source, byte[] bytes) {
    try {
      String text = UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new InputException(source + ": is not UTF-8 text: convert it with iconv", e);
    }
  }

  private Precision precision() {
    return switch (dtype) {
      case "fp32" -> Precision.FP32;
      case "bf16" -> Precision.BF16;
      case "fp16" -> Precision.FP16;
      default -> throw new InputException("--dtype must be fp32, bf16 or fp16, got " + dtype);
    };
  }
}
