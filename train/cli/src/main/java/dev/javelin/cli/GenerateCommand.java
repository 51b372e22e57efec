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
import java.util.ArrayList;
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
    description = "Continues a prompt with text from a trained model.")
final class GenerateCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = {"--model", "--model-name-or-path"},
      required = true,
      paramLabel = "DIR",
      description = "Hugging Face directory with a tokenizer, such as a checkpoint.")
  private Path model = Path.of("");

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "Text to continue; - reads it from standard input. Default: the empty text.")
  private @Nullable String prompt;

  @Option(
      names = "--prompt-file",
      paramLabel = "FILE",
      description = "UTF-8 file with the text to continue, instead of --prompt. Default: none.")
  private @Nullable Path promptFile;

  @Option(
      names = {"--max-new-tokens", "--num-tokens"},
      paramLabel = "N",
      description = "Stop after this many tokens. Default: ${DEFAULT-VALUE}.")
  private int maxNewTokens = 200;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "Divide the logits by this; 0 always takes the most likely token. Default: ${DEFAULT-VALUE}.")
  private double temperature = 0.8;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Sample from the K most likely tokens; 0 uses all. Default: ${DEFAULT-VALUE}.")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Sample from the smallest set of tokens whose probabilities add up to P. Default: ${DEFAULT-VALUE}.")
  private double topP = 1;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "P",
      description =
          "Above 1 makes tokens that already occurred less likely. Default: ${DEFAULT-VALUE}.")
  private double repetitionPenalty = 1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Stop before this text; may be repeated. Default: none.")
  private List<String> stop = List.of();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "Seed for sampling. Default: ${DEFAULT-VALUE}.")
  private long seed = 1;

  @Option(
      names = "--dtype",
      paramLabel = "fp32|bf16|fp16",
      description = "Number format of weights, activations and cache. Default: ${DEFAULT-VALUE}.")
  private String dtype = "fp32";

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
    List<String> notes = new ArrayList<>();
    TransformerConfig config = LanguageModel.readConfig(model, notes::add);
    Main.notes(spec, notes);
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
            out.print(Terminal.text(piece));
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
