package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.RunIdentity;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.DataIdentity;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Separator;
import dev.javelin.train.data.Texts;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.DataSpec;
import dev.javelin.train.settings.ModelSpec;
import dev.javelin.train.settings.Quantize;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A training run put together from its settings: device, data, model and trainer, fresh or resumed.
 * {@code javelin train} is this with a screen.
 *
 * @param settings as they were given, with the directory
 * @param task what is made of model and data
 * @param memory what it was estimated to take
 * @param resumedFrom the checkpoint it goes on from, {@code null} for a fresh run
 * @param passedOver why newer checkpoints than that are not whole, a line each
 * @param notes what the user should know and did not say: what changed since the run was started,
 *     what is left out of directories, what is kept for validation, why the GPU is not used; a line
 *     each
 */
public record Run(
    RunSettings settings,
    RunDirectory directory,
    Device device,
    Dataset data,
    LanguageModel model,
    Task task,
    Trainer trainer,
    MemoryCheck memory,
    @Nullable Checkpoint resumedFrom,
    List<String> passedOver,
    List<String> notes)
    implements AutoCloseable {
  private static final int SAMPLE_TOKENS = 100;

  /**
   * Reads what is to be read, refuses what does not fit, allocates the rest.
   *
   * @throws InputException where settings, data, model or directory cannot be used
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file
   */
  public static Run open(RunSettings settings) {
    return open(settings, training -> {});
  }

  /**
   * The same.
   *
   * @param more may add to the parts of the training before the trainer is made of them: hooks,
   *     rules that end it. What they take of memory is not in the estimate
   */
  public static Run open(RunSettings settings, Consumer<Training> more) {
    RunDirectory directory =
        RunDirectory.claim(settings.run().outputDir(), settings.run().resume());
    try {
      return open(settings.withRun(r -> r.withOutputDir(directory.path())), directory, more);
    } catch (RuntimeException | Error e) {
      directory.close();
      throw e;
    }
  }

  private static Run open(RunSettings config, RunDirectory directory, Consumer<Training> more) {
    Objectives.named(config.objective().objective()); // before anything is read
    requireAverage(config);
    List<String> passedOver = new ArrayList<>();
    Checkpoint checkpoint = directory.start(config.run().resume(), passedOver::add);
    List<String> notes = new ArrayList<>(config.notes());
    RunSettings started = checkpoint == null ? null : started(directory.path());
    if (started != null) {
      changes(started, config).ifPresent(notes::add);
    }
    boolean another =
        started != null && !Objects.equals(started.model().tokenizer(), config.model().tokenizer());
    ModelName name = ModelName.of(config.model().model());
    requireBase(config, name);
    TransformerConfig shape =
        checkpoint == null
            ? name.config(notes::add)
            : SavedModel.config(checkpoint, name, config, notes::add);
    String tokenizer = tokenizer(config, name, another ? null : checkpoint);
    RunData read = RunData.open(config, tokenizer, separator(checkpoint), notes::add);
    Dataset data = read.data();
    notes.addAll(data.notes());
    Device device = null;
    LanguageModel model = null;
    Task task = null;
    Trainer trainer = null;
    try {
      RunIdentity identity = identity(config, checkpoint, data);
      if (checkpoint != null) {
        notes.addAll(
            checkpoint
                .state()
                .requireSame(checkpoint.directory(), identity, config.run().override()));
      }
      TransformerConfig fitted = fitted(config, name, checkpoint, shape, data);
      Devices.Choice chosen =
          Devices.open(config.device().device(), config.device().effectiveThreads(), fitted);
      device = chosen.device();
      if (chosen.note() != null) {
        notes.add(chosen.note());
      }
      Plan plan = new Plan(name, shape, checkpoint, data);
      MemoryCheck memory = MemoryCheck.of(config, device, plan::memory);
      model = model(config, device, name, fitted, checkpoint, data.tokenizer(), notes::add);
      model = read.template() == null ? model : model.withTemplate(read.template());
      notes.addAll(config.optimizer().groups().describe(model.trained()));
      task = TextTraining.task(model, data, config);
      notes.addAll(task.notes());
      Task made = task;
      TrainingState state = checkpoint == null ? null : checkpoint.state();
      RunSettings settled =
          Rewarming.settled(
              config,
              directory,
              checkpoint,
              name.directory(),
              s -> TextTraining.steps(made, s, state),
              notes::add);
      RunSettings kept =
          settled
              .withRun(r -> r.withResume(null).withOverride(false))
              .withGuard(g -> g.withInject(null));
      directory.describe(
          kept.toYaml(), config.run().kept(), identity, Origin.of(kept, identity, device));
      directory.report(config.monitor().report());
      texts(config, model, directory);
      Training training = TextTraining.of(model, task, settled, state);
      more.accept(training);
      trainer = training.trainer().into(directory);
      if (checkpoint != null) {
        notes.addAll(trainer.resume(checkpoint.goingOnAs(identity), config.run().override()));
      }
      return new Run(
          settled,
          directory,
          device,
          data,
          model,
          task,
          trainer,
          memory,
          checkpoint,
          passedOver,
          notes);
    } catch (RuntimeException | Error e) {
      if (trainer != null) {
        trainer.close();
      }
      if (task != null) {
        task.close();
      }
      if (model != null) {
        model.close();
      }
      data.close();
      if (device != null) {
        device.close();
      }
      throw e;
    }
  }

  /** A text now and then shows what the model has learned, where it has words. */
  private static void texts(RunSettings config, LanguageModel model, RunDirectory directory) {
    if (model.tokenizer() != null) {
      String prompt = Objects.requireNonNullElse(config.monitor().samplePrompt(), "");
      Sampler sampler = new Sampler(0.8, 0, 0.95, config.run().seed());
      directory.texts(
          config.monitor().sampleEvery(),
          prompt,
          () -> model.generate(prompt, SAMPLE_TOKENS, sampler));
    }
  }

  /** What the run was told when it last began. */
  private static @Nullable RunSettings started(Path directory) {
    Path file = directory.resolve(RunDirectory.CONFIG_FILE);
    return Files.isRegularFile(file) ? RunSettings.DEFAULT.with(file) : null;
  }

  private static Optional<String> changes(RunSettings started, RunSettings now) {
    UnaryOperator<RunSettings> asked =
        s ->
            s.withRun(
                    r ->
                        r.withResume(null).withOverride(false).withOutputDir(null).withQuiet(false))
                .withGuard(g -> g.withInject(null));
    List<String> changes = asked.apply(started).changes(asked.apply(now));
    return changes.isEmpty()
        ? Optional.empty()
        : Optional.of("changed since the run was started: " + String.join(", ", changes));
  }

  /** Adapters stand beside weights, so there must be some. */
  private static void requireBase(RunSettings config, ModelName name) {
    config.adapter().check();
    Path directory = name.directory();
    if (config.adapter().isOn()
        && (directory == null || name.exists() && !HuggingFace.hasWeights(directory))) {
      throw new InputException(
          "--lora trains adapters beside the weights of a model, and %s has none: name a directory with weights by --model"
              .formatted(name.text()));
    }
  }

  private static void requireAverage(RunSettings config) {
    int count = config.average().averageCheckpoints();
    if (count > 0 && config.adapter().isOn()) {
      throw new InputException(
          "--average-checkpoints is for whole models, and --lora trains adapters: the mean of adapters is no mean of models");
    }
    if (config.run().keep() > 0 && count > config.run().keep()) {
      throw new InputException(
          "--average-checkpoints %d needs as many checkpoints, and --keep is %d: use --keep %d, or 0 for all"
              .formatted(count, config.run().keep(), count));
    }
  }

  /** What ended a document when the run began: the tokenizer of a checkpoint may say otherwise. */
  private static @Nullable Separator separator(@Nullable Checkpoint checkpoint) {
    RunIdentity saved = checkpoint == null ? null : checkpoint.state().identity();
    return saved == null ? null : saved.data().separator();
  }

  private static RunIdentity identity(
      RunSettings config, @Nullable Checkpoint checkpoint, Dataset data) {
    DataSpec spec = config.data();
    String order = spec.order().name().toLowerCase(Locale.ROOT);
    long own = spec.seed(config.run().seed());
    DataIdentity read = data.identity();
    return new RunIdentity(
            checkpoint == null ? read : read.withTokenizer(asked(config, read.tokenizer())),
            own == config.run().seed() ? order : order + " by --data-seed " + own,
            config.run().seed(),
            config.batch().seqLen(),
            data.validationIdentity(),
            RunIdentity.settings(
                config.objective().objective(),
                data.train().isText() ? null : config.data().packing()))
        .with(config.optimizer().identity());
  }

  /** The vocabulary that is asked for by name, where that can be told without the text. */
  private static String asked(RunSettings config, String otherwise) {
    String name = config.model().tokenizer();
    return name == null || name.equals("char") || name.equals("bpe")
        ? otherwise
        : DataIdentity.vocabulary(Texts.of("", "").tokenizer(name));
  }

  static @Nullable String tokenizer(
      RunSettings config, ModelName name, @Nullable Checkpoint checkpoint) {
    boolean another = config.run().override() && config.model().tokenizer() != null;
    if (checkpoint != null && !another && LanguageModel.hasTokenizer(checkpoint.directory())) {
      return checkpoint.directory().toString();
    }
    if (config.model().tokenizer() != null) {
      return config.model().tokenizer();
    }
    if (name.directory() != null) {
      return LanguageModel.hasTokenizer(name.directory()) ? name.directory().toString() : null;
    }
    return Dataset.holdsTokens(config.data().data()) ? null : name.tokenizer();
  }

  /**
   * A preset takes its vocabulary from the tokenizer and its positions from the sequence length.
   */
  static TransformerConfig fitted(
      RunSettings config,
      ModelName name,
      @Nullable Checkpoint checkpoint,
      TransformerConfig shape,
      Dataset data) {
    TransformerConfig fitted = shape;
    Tokenizer tokenizer = data.tokenizer();
    if (checkpoint == null && name.directory() == null) {
      fitted = fitted.withPositions(config.batch().seqLen());
      fitted = tokenizer == null ? fitted : fitted.withVocab(tokenizer.vocabSize());
    } else if (tokenizer != null && tokenizer.vocabSize() > shape.vocab()) {
      throw new InputException(
          "the tokenizer has %d tokens, the model %d: name the model's own with --tokenizer"
              .formatted(tokenizer.vocabSize(), shape.vocab()));
    }
    return dropping(fitted, config.model());
  }

  private static TransformerConfig dropping(TransformerConfig shape, ModelSpec model) {
    TransformerConfig dropping =
        model.dropout() == null ? shape : shape.withDropout(model.dropout());
    if (model.attentionDropout() == null) {
      return dropping;
    }
    TransformerConfig.Dropout d = dropping.dropout();
    return dropping.withDropout(
        new TransformerConfig.Dropout(d.embedding(), model.attentionDropout(), d.residual()));
  }

  static LanguageModel model(
      RunSettings config,
      Device device,
      ModelName name,
      TransformerConfig shape,
      @Nullable Checkpoint checkpoint,
      @Nullable Tokenizer tokenizer,
      Consumer<String> notes) {
    Grouping grouping = config.optimizer().groups();
    Precision precision = config.device().numbers();
    Path base = name.directory();
    if (config.adapter().isOn() && (base != null || isRehearsal(device))) {
      return adapted(config, device, base, shape, checkpoint, tokenizer, notes);
    }
    if (config.model().quantize() != Quantize.NONE) {
      throw new InputException(
          "--quantize %s is for the frozen base of adapters: name a model directory and add --lora 8, or leave it out"
              .formatted(config.model().quantize().label()));
    }
    Path weights = checkpoint != null ? checkpoint.directory() : name.directory();
    if (weights == null) {
      return create(config, device, shape, tokenizer);
    }
    if (checkpoint != null || HuggingFace.hasWeights(weights)) {
      return LanguageModel.load(device, weights, shape, precision, grouping, tokenizer);
    }
    notes.accept(
        "%s holds no weights: they are drawn from --seed %d"
            .formatted(weights, config.run().seed()));
    return create(config, device, shape, tokenizer).withCompanions(weights);
  }

  /** The model as it is, frozen, with adapters to be trained. */
  private static LanguageModel adapted(
      RunSettings config,
      Device device,
      @Nullable Path base,
      TransformerConfig shape,
      @Nullable Checkpoint checkpoint,
      @Nullable Tokenizer tokenizer,
      Consumer<String> notes) {
    Precision precision = config.device().numbers();
    Grouping frozen = config.model().quantize().frozen();
    boolean weights = base != null && HuggingFace.hasWeights(base);
    LanguageModel model =
        base == null || !weights && isRehearsal(device)
            ? LanguageModel.empty(device, shape, precision, frozen, tokenizer)
            : LanguageModel.load(device, base, shape, precision, frozen, tokenizer);
    try {
      LanguageModel adapted =
          model.with(
              Adaptation.open(
                  model.parameters(),
                  precision,
                  config.adapter(),
                  config.optimizer(),
                  config.run().seed(),
                  base == null ? Path.of("") : base,
                  checkpoint == null ? null : checkpoint.directory()));
      notes.accept(Objects.requireNonNull(adapted.adaptation()).describe());
      if (config.model().quantize() != Quantize.NONE) {
        notes.accept(
            String.format(
                Locale.ROOT,
                "linear layers of the base are kept in %s: its weights take %,d bytes",
                config.model().quantize().label(),
                model.parameters().weightBytes()));
      }
      return adapted;
    } catch (RuntimeException | OutOfMemoryError e) {
      model.close();
      throw e;
    }
  }

  private static boolean isRehearsal(Device device) {
    return device instanceof Cpu cpu && cpu.isRehearsal();
  }

  private static LanguageModel create(
      RunSettings config, Device device, TransformerConfig shape, @Nullable Tokenizer tokenizer) {
    return LanguageModel.create(
        device,
        shape,
        config.device().numbers(),
        config.optimizer().groups(),
        config.run().seed(),
        tokenizer);
  }

  /**
   * Writes the mean of the newest checkpoints to {@code average}, where the settings ask for it.
   *
   * @return where it is; {@code null} where it was not asked for
   */
  public @Nullable Path average() throws IOException {
    int count = settings.average().averageCheckpoints();
    if (count == 0) {
      return null;
    }
    List<Path> newest =
        new Checkpoints(directory.path(), 0)
            .newest(count).stream().map(Checkpoint::directory).toList();
    Path to = directory.path().resolve("average");
    try (LanguageModel mean = CheckpointAverage.of(device, newest, model.precision())) {
      mean.save(to, settings.run().maxShardSize().bytes());
    }
    return to;
  }

  /**
   * Trains, as {@link Trainer#run} does.
   *
   * @throws dev.javelin.train.estimate.NotEnoughMemoryException where the device has no more memory
   */
  public Trainer.Outcome run() throws IOException {
    return memory.explaining(trainer);
  }

  /** What the run was estimated to take before it began. */
  public MemoryTable estimate() {
    return memory.table();
  }

  @Override
  public void close() {
    trainer.close();
    task.close();
    model.close();
    data.close();
    device.close();
    directory.close();
  }
}
