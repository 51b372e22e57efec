package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.Devices;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.TextTraining;
import dev.javelin.train.chat.ChatData;
import dev.javelin.train.chat.ChatOptions;
import dev.javelin.train.chat.LearnedTurns;
import dev.javelin.train.checkpoint.RunIdentity;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Rows;
import dev.javelin.train.data.Separator;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.eval.Evaluator;
import dev.javelin.train.eval.MultipleChoice;
import dev.javelin.train.eval.Predictions;
import dev.javelin.train.eval.TextBytes;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.settings.ObjectiveSpec;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "eval",
    mixinStandardHelpOptions = true,
    description =
        "Prints loss, perplexity and bits per byte of a model on held-out data; accuracy and F1 of a classifier; accuracy on questions with choices; scores of generated texts.")
final class EvalCommand implements Callable<Integer> {
  private static final double OWN_FRACTION = 0.1;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = {"--model", "--model-name-or-path"},
      paramLabel = "DIR",
      description =
          "Hugging Face directory with weights, such as a checkpoint; required without --predictions. Default: none.")
  private @Nullable Path model;

  @Option(
      names = "--label-column",
      paramLabel = "NAME",
      description =
          "Field or column of the class, where the model is a classifier. Default: ${DEFAULT-VALUE}.")
  private String labelColumn = ObjectiveSpec.DEFAULT.labelColumn();

  @Option(
      names = "--choices",
      paramLabel = "FILE",
      description =
          "JSONL of questions with \"prompt\", \"choices\" and \"answer\": how often the right choice is the likeliest. Default: none.")
  private @Nullable Path choices;

  @Option(
      names = "--predictions",
      paramLabel = "FILE",
      description =
          "JSONL, CSV or TSV of generated texts (\"reply\", or --column) and what they should be (\"reference\"). Default: none.")
  private @Nullable Path predictions;

  @Option(
      names = "--reference-column",
      paramLabel = "NAME",
      description = "Field of what a generated text should be. Default: ${DEFAULT-VALUE}.")
  private String referenceColumn = Predictions.REFERENCE;

  @Option(
      names = "--metric",
      split = ",",
      paramLabel = "NAME",
      description =
          "Scores of --predictions: exact, bleu, chrf, rouge, and copied, the longest run of characters that stands in --data. Default: exact,bleu,chrf,rouge.")
  private List<String> metrics = List.of("exact", "bleu", "chrf", "rouge");

  @Option(
      names = "--adapter",
      paramLabel = "DIR",
      description =
          "Adapter to use beside --model, as PEFT or javelin train wrote it. Default: none.")
  private @Nullable Path adapter;

  @Option(
      names = {"--data", "--dataset", "--val-data"},
      arity = "1..*",
      paramLabel = "PATH",
      description =
          "Text files, folders of text files, a token file, or a folder that javelin prepare wrote. Default: the validation part of the text that comes with Javelin.")
  private List<Path> data = new ArrayList<>();

  @Option(
      names = {"--column", "--text-column-name", "--dataset-text-field"},
      paramLabel = "NAME",
      description =
          "Field of a JSONL file or column of a CSV or TSV file that holds the text. Default: ${DEFAULT-VALUE}.")
  private String column = TextFiles.TEXT;

  @Option(
      names = "--parse-special-tokens",
      description =
          "Recognise special tokens that are written in the text, such as <|endoftext|>. Otherwise they are plain characters.")
  private boolean parseSpecialTokens;

  @Option(
      names = "--val-fraction",
      paramLabel = "F",
      description = "Evaluate only this fraction at the end of --data. Default: all of it.")
  private double valFraction;

  @Option(
      names = {"--tokenizer", "--tokenizer-name"},
      paramLabel = "byte|DIR",
      description = "Tokenizer. Default: the model's own.")
  private @Nullable String tokenizer;

  @Option(
      names = {"--seq-len", "--block-size"},
      paramLabel = "N",
      description = "Tokens per window. Default: the model's positions, at most 1024.")
  private int seqLen;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Windows per batch. Default: ${DEFAULT-VALUE}.")
  private int batchSize = 16;

  @Option(
      names = "--eval-batches",
      paramLabel = "N",
      description =
          "Evaluate at most this many batches; 0 evaluates all. Default: ${DEFAULT-VALUE}.")
  private int batches;

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

  @Option(names = "--json", description = "Print the result as one JSON object.")
  private boolean json;

  @Override
  public Integer call() {
    PrintWriter out = Main.out(spec);
    Main.atLeast(1, "--batch-size", batchSize);
    Main.atLeast(0, "--eval-batches", batches);
    if (!(valFraction >= 0 && valFraction < 1)) {
      throw new InputException("--val-fraction must lie in [0, 1), got " + valFraction);
    }
    boolean classifies =
        choices == null && model != null && Files.isDirectory(model) && EvalClassifier.isOne(model);
    if (quantize.isOn() && (predictions != null || classifies)) {
      throw new InputException(
          "--quantize and --activations are for language models: leave them out");
    }
    if (predictions != null) {
      say(out, new EvalTexts(spec, metrics, data, json).of(predictions, column, referenceColumn));
      return Main.OK;
    }
    if (model == null) {
      throw new InputException(
          "eval needs --model=DIR, a directory with weights, or --predictions=FILE");
    }
    if (classifies) {
      say(
          out,
          new EvalClassifier(spec, model, data, column, labelColumn, json)
              .on(this::device, batchSize, seqLen));
      return Main.OK;
    }
    return language(out, model);
  }

  private static void say(PrintWriter out, String line) {
    out.println(line);
    out.flush();
  }

  private Device device(int headDim) {
    return Main.device(device, threads, headDim);
  }

  private int language(PrintWriter out, Path model) {
    List<String> notes = new ArrayList<>();
    TransformerConfig config = LanguageModel.readConfig(model, notes::add);
    Main.notes(spec, notes);
    if (choices != null) {
      List<MultipleChoice.Question> questions = MultipleChoice.read(choices);
      try (Device on = Main.device(device, threads, config);
          LanguageModel loaded = load(on, model)) {
        if (loaded.tokenizer() == null) {
          throw new InputException(model + " holds no tokenizer: name it with --tokenizer");
        }
        MultipleChoice result =
            MultipleChoice.of(loaded.transformer(), loaded.tokenizer(), questions, batchSize);
        say(out, json ? result.json() : result.toString());
      }
      return Main.OK;
    }
    try (Device on = Main.device(device, threads, config);
        LanguageModel loaded = load(on, model);
        TokenSource source = source(loaded.tokenizer(), model);
        Workspace workspace = Workspace.on(on);
        Evaluator evaluator =
            new Evaluator(
                new NextToken(loaded.transformer()),
                workspace,
                BatchSource.once(rows(source, loaded)),
                batchSize,
                batches,
                loaded.tokenizer() == null ? null : new TextBytes(loaded.tokenizer()))) {
      Evaluation result = Terminal.withBar("eval", evaluator.batches(), evaluator::run);
      say(out, json ? result.json() : result.toString());
    }
    return Main.OK;
  }

  private Rows rows(TokenSource source, LanguageModel loaded) {
    Rows rows = TextTraining.rows(source, seqLen(loaded), loaded.config().vocab(), true);
    Main.notes(spec, rows.notes());
    return rows;
  }

  /** What would take less memory. */
  String needsLess() {
    return (batchSize > 1 ? "a smaller --batch-size (now " + batchSize + ") or " : "")
        + "a smaller --seq-len needs less";
  }

  private LanguageModel load(Device on, Path model) {
    Grouping frozen = quantize.grouping();
    quantize.check(on);
    boolean alone = adapter == null && LanguageModel.isAdapter(model);
    Path base = alone ? LanguageModel.baseOf(model) : model;
    Path beside = alone ? model : adapter;
    TransformerConfig config = LanguageModel.readConfig(base);
    Tokenizer own = LanguageModel.tokenizer(base);
    LanguageModel loaded =
        beside == null
            ? LanguageModel.load(on, base, config, Precision.FP32, frozen, own)
            : LanguageModel.load(on, base, beside, Precision.FP32, frozen, note -> {});
    if (tokenizer == null) {
      return loaded;
    }
    Tokenizer named =
        tokenizer.equals("byte") ? new ByteTokenizer() : Tokenizer.load(Path.of(tokenizer));
    return loaded.withTokenizer(named);
  }

  private TokenSource source(@Nullable Tokenizer tokens, Path model) {
    if (data.isEmpty()) {
      String name = tokenizer == null ? model.toString() : tokenizer;
      Dataset own = Dataset.open(List.of(), List.of(), OWN_FRACTION, name, TextFiles.TEXT);
      return Objects.requireNonNull(own.validation(), "the default text keeps a tenth");
    }
    List<String> notes = new ArrayList<>();
    Tokenizer reading =
        tokens != null && parseSpecialTokens ? tokens.parsingSpecialTokens() : tokens;
    TokenSource all = conversations(reading, notes::add);
    if (all == null) {
      all = Dataset.validation(data, reading, column, separator(model), notes::add);
    }
    Main.notes(spec, notes);
    long cut = valFraction == 0 ? 0 : TokenSource.splitAt(all.pieces(), valFraction);
    return cut == 0 ? all : all.pieces("validation part", cut, all.pieces());
  }

  /** Conversations, with what the assistant says as targets; null where the data are text. */
  private @Nullable TokenSource conversations(@Nullable Tokenizer tokens, Consumer<String> notes) {
    ChatOptions options = new ChatOptions(null, null, LearnedTurns.ASSISTANT, false, column);
    ChatData chats =
        tokens == null || Dataset.holdsTokens(data) ? null : ChatData.find(data, options);
    if (chats == null || tokens == null) {
      return null;
    }
    ChatData.Read read = chats.read(tokens);
    read.notes().forEach(notes);
    return read.source();
  }

  /** What ended documents in training, where the model is a checkpoint that says so. */
  private static @Nullable Separator separator(Path model) {
    if (!Files.isRegularFile(model.resolve(TrainingState.FILE))) {
      return null;
    }
    RunIdentity trained = TrainingState.read(model).identity();
    return trained == null ? null : trained.data().separator();
  }

  private int seqLen(LanguageModel loaded) {
    int positions = loaded.config().positions();
    if (seqLen == 0) {
      return Math.min(positions, 1024);
    }
    Main.atLeast(1, "--seq-len", seqLen);
    if (seqLen > positions) {
      throw new InputException(
          "--seq-len %d is longer than the model's %d positions: choose at most %d"
              .formatted(seqLen, positions, positions));
    }
    return seqLen;
  }
}
