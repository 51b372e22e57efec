package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Presets;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A training run put together from its settings: device, data, model and trainer, fresh or resumed.
 * {@code javelin train} is this with a screen.
 *
 * @param deviceNote why it is not the GPU of this machine; {@code null} where there is nothing to
 *     say
 * @param resumedFrom the checkpoint it goes on from, {@code null} for a fresh run
 * @param passedOver why newer checkpoints than that are not whole, a line each
 */
public record Run(
    TrainConfig config,
    RunDirectory directory,
    Device device,
    @Nullable String deviceNote,
    Dataset data,
    LanguageModel model,
    Trainer trainer,
    @Nullable Checkpoint resumedFrom,
    List<String> passedOver)
    implements AutoCloseable {
  /**
   * Reads what is to be read, refuses what does not fit, allocates the rest.
   *
   * @throws InputException where settings, data, model or directory cannot be used
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file
   */
  public static Run open(TrainConfig config) {
    config.resolved();
    RunDirectory directory = RunDirectory.claim(config.outputDir, config.resume);
    try {
      return open(config, directory);
    } catch (RuntimeException | Error e) {
      directory.close();
      throw e;
    }
  }

  private static Run open(TrainConfig config, RunDirectory directory) {
    config.outputDir = directory.path();
    List<String> passedOver = new ArrayList<>();
    Checkpoint checkpoint = directory.start(config.resume, passedOver::add);
    Precision precision = Precision.named(config.precision.name().toLowerCase(Locale.ROOT));
    TransformerConfig wanted = wanted(config);
    TransformerConfig shape = checkpoint == null ? wanted : resumed(checkpoint, wanted, precision);
    Dataset data =
        Dataset.open(
            config.data,
            config.valData,
            config.valFraction == null ? 0 : config.valFraction,
            tokenizer(config, checkpoint),
            TextFiles.TEXT);
    TransformerConfig fitted = fitted(config, checkpoint, shape, data);
    Devices.Choice chosen;
    try {
      int threads = config.threads == null ? 1 : config.threads;
      chosen = Devices.open(config.device, threads, fitted, precision, Devices.Use.TRAINING);
    } catch (RuntimeException e) {
      data.close();
      throw e;
    }
    Device device = chosen.device();
    LanguageModel model = null;
    try {
      model = model(config, device, fitted, precision, checkpoint, data);
      directory.describe(Settings.yaml(config, "resume"), config.keep);
      Trainer trainer = new Trainer(model, data, config).into(directory);
      if (checkpoint != null) {
        trainer.resume(checkpoint);
      }
      return new Run(
          config, directory, device, chosen.note(), data, model, trainer, checkpoint, passedOver);
    } catch (RuntimeException e) {
      if (model != null) {
        model.close();
      }
      data.close();
      device.close();
      throw e;
    }
  }

  /** The model the settings name: a preset, or the configuration in a directory. */
  private static TransformerConfig wanted(TrainConfig config) {
    TransformerConfig preset = Presets.all().get(config.model);
    if (preset != null) {
      return preset;
    }
    Path directory = Path.of(config.model);
    if (!Files.isDirectory(directory)) {
      throw new InputException(
          "--model "
              + config.model
              + " is neither a directory nor a preset"
              + Names.nearest(config.model, Presets.all().keySet())
                  .map(n -> ": did you mean " + n + "?")
                  .orElse(": --list-models lists the presets"));
    }
    return LanguageModel.readConfig(directory);
  }

  private static TransformerConfig resumed(
      Checkpoint checkpoint, TransformerConfig wanted, Precision precision) {
    TransformerConfig saved = LanguageModel.readConfig(checkpoint.directory());
    String asked =
        LanguageModel.describe(
            wanted.withVocab(saved.vocab()).withPositions(saved.positions()), precision);
    if (!asked.equals(checkpoint.state().model())) {
      throw new InputException(
          "--resume: %s holds another model (%s) than the run asks for (%s): give the same --model and --precision, or start from its weights with --model %s"
              .formatted(
                  checkpoint.directory(),
                  checkpoint.state().model(),
                  asked,
                  checkpoint.directory()));
    }
    return saved;
  }

  private static @Nullable String tokenizer(TrainConfig config, @Nullable Checkpoint checkpoint) {
    if (checkpoint != null && LanguageModel.hasTokenizer(checkpoint.directory())) {
      return checkpoint.directory().toString();
    }
    if (config.tokenizer != null) {
      return config.tokenizer;
    }
    boolean preset = Presets.all().containsKey(config.model);
    if (!preset) {
      return LanguageModel.hasTokenizer(Path.of(config.model)) ? config.model : null;
    }
    boolean tokens = config.data.stream().anyMatch(p -> p.toString().endsWith(".bin"));
    if (tokens) {
      return null;
    }
    return config.model.equals(TrainConfig.DEFAULT_MODEL)
        ? "bpe"
        : config.model.contains("shakespeare") ? "char" : null;
  }

  /**
   * A preset takes its vocabulary from the tokenizer and its positions from the sequence length.
   */
  private static TransformerConfig fitted(
      TrainConfig config, @Nullable Checkpoint checkpoint, TransformerConfig shape, Dataset data) {
    TransformerConfig fitted = shape;
    Tokenizer tokenizer = data.tokenizer();
    if (checkpoint == null && Presets.all().containsKey(config.model)) {
      fitted = fitted.withPositions(config.seqLen);
      fitted = tokenizer == null ? fitted : fitted.withVocab(tokenizer.vocabSize());
    } else if (tokenizer != null && tokenizer.vocabSize() > shape.vocab()) {
      throw new InputException(
          "the tokenizer has %d tokens, the model %d: name the model's own with --tokenizer"
              .formatted(tokenizer.vocabSize(), shape.vocab()));
    }
    if (config.dropout != null) {
      return fitted.withDropout(config.dropout);
    }
    double attention = fitted.dropout().attention();
    if (attention > 0) {
      throw new InputException(
          "%s: %s is %s, and training drops no attention weights: give --dropout 0, or --dropout P to drop of the embedding and of what each layer adds"
              .formatted(
                  Path.of(config.model).resolve("config.json"),
                  fitted.rope() == null ? "attn_pdrop" : "attention_dropout",
                  attention));
    }
    return fitted;
  }

  private static LanguageModel model(
      TrainConfig config,
      Device device,
      TransformerConfig shape,
      Precision precision,
      @Nullable Checkpoint checkpoint,
      Dataset data) {
    Grouping grouping =
        config.decayAll
            ? Grouping.decayAll(config.weightDecay)
            : Grouping.decayMatrices(config.weightDecay);
    Path weights =
        checkpoint != null
            ? checkpoint.directory()
            : Presets.all().containsKey(config.model) ? null : Path.of(config.model);
    return weights != null && HuggingFace.hasWeights(weights)
        ? LanguageModel.load(device, weights, shape, precision, grouping, data.tokenizer())
        : LanguageModel.create(device, shape, precision, grouping, config.seed, data.tokenizer());
  }

  @Override
  public void close() {
    trainer.close();
    model.close();
    data.close();
    device.close();
    directory.close();
  }
}
