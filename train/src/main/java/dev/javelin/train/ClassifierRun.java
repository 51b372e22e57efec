package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.nn.Classifiers;
import dev.javelin.nn.Labels;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.RunIdentity;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.LabelledRows;
import dev.javelin.train.data.LabelledTexts;
import dev.javelin.train.data.TextFrame;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.objective.Classify;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.DataSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The training of a classifier put together from its settings, as {@link Run} is that of a language
 * model: {@code javelin train --objective classify}.
 *
 * @param train the rows to train on
 * @param held held-out rows; {@code null} for none
 * @param memory what it was estimated to take
 * @param resumedFrom the checkpoint it goes on from, {@code null} for a fresh run
 * @param notes what the user should know and did not say, a line each
 */
public record ClassifierRun(
    RunSettings settings,
    RunDirectory directory,
    TextClassifier model,
    LabelledRows train,
    @Nullable LabelledRows held,
    Trainer trainer,
    MemoryCheck memory,
    @Nullable Checkpoint resumedFrom,
    List<String> notes)
    implements AutoCloseable {
  public static final String OBJECTIVE = "classify";

  /**
   * Reads what is to be read, refuses what does not fit, allocates the rest.
   *
   * @throws InputException where settings, data, model or directory cannot be used
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file
   */
  public static ClassifierRun open(RunSettings settings) {
    RunDirectory directory =
        RunDirectory.claim(settings.run().outputDir(), settings.run().resume());
    try {
      return open(settings.withRun(r -> r.withOutputDir(directory.path())), directory);
    } catch (RuntimeException | Error e) {
      directory.close();
      throw e;
    }
  }

  private static ClassifierRun open(RunSettings config, RunDirectory directory) {
    List<String> notes = new ArrayList<>();
    Checkpoint checkpoint =
        directory.start(config.run().resume(), line -> notes.add("skipped " + line));
    Path from = checkpoint != null ? checkpoint.directory() : modelDirectory(config);
    TextClassifier.Shape shape =
        TextClassifier.shape(from, notes::add)
            .withDropout(config.model().dropout(), config.model().attentionDropout());
    Tokenizer tokenizer = tokenizer(config, from, checkpoint != null);
    LabelledTexts.Split texts = texts(config, tokenizer, notes);
    Labels labels = labels(Classifiers.labels(from), texts.train());
    LabelledRows train = rows(config, texts.train(), tokenizer, shape, labels);
    LabelledRows held =
        texts.held() == null ? null : rows(config, texts.held(), tokenizer, shape, labels);
    notes.addAll(train.notes());
    if (held != null && texts.held() != null && !texts.held().name().equals(texts.train().name())) {
      notes.addAll(held.notes());
    }
    RunIdentity identity = identity(config, texts, tokenizer);
    if (checkpoint != null) {
      notes.addAll(
          checkpoint
              .state()
              .requireSame(checkpoint.directory(), identity, config.run().override()));
    }
    Devices.Choice chosen =
        Devices.open(config.device().device(), config.device().effectiveThreads(), shape.headDim());
    if (chosen.note() != null) {
      notes.add(chosen.note());
    }
    Device device = chosen.device();
    TextClassifier model = null;
    try {
      MemoryCheck memory =
          MemoryCheck.of(
              config, device, c -> memory(c, from, shape, labels, tokenizer, train, held));
      model =
          TextClassifier.load(
              device,
              from,
              shape,
              labels,
              config.device().numbers(),
              config.optimizer().groups(),
              config.run().seed(),
              tokenizer);
      if (checkpoint != null && !checkpoint.state().model().equals(model.describe())) {
        throw new InputException(
            "--resume: %s holds another model (%s) than the run asks for (%s): give the same --precision and labels"
                .formatted(from, checkpoint.state().model(), model.describe()));
      }
      notes.addAll(config.optimizer().groups().describe(model.parameters()));
      Task task = task(config, model, train, held);
      TrainingState state = checkpoint == null ? null : checkpoint.state();
      RunSettings settled =
          Rewarming.settled(
              config,
              directory,
              checkpoint,
              checkpoint == null ? from : null,
              s -> TextTraining.steps(task, s, state),
              notes::add);
      RunSettings kept =
          settled
              .withRun(r -> r.withResume(null).withOverride(false))
              .withGuard(g -> g.withInject(null));
      directory.describe(
          kept.toYaml(), config.run().kept(), identity, Origin.of(kept, identity, device));
      directory.report(config.monitor().report());
      Trainer trainer = training(settled, model, task, state).trainer().into(directory);
      if (checkpoint != null) {
        notes.addAll(trainer.resume(checkpoint.goingOnAs(identity), config.run().override()));
      }
      return new ClassifierRun(
          settled, directory, model, train, held, trainer, memory, checkpoint, notes);
    } catch (RuntimeException | Error e) {
      if (model != null) {
        model.close();
      }
      device.close();
      throw e;
    }
  }

  private static MemoryTable memory(
      RunSettings config,
      Path from,
      TextClassifier.Shape shape,
      Labels labels,
      Tokenizer tokenizer,
      LabelledRows train,
      @Nullable LabelledRows held) {
    return Rehearsal.of(
        config.device().effectiveThreads(),
        cpu -> {
          TextClassifier model =
              TextClassifier.load(
                  cpu,
                  from,
                  shape,
                  labels,
                  config.device().numbers(),
                  config.optimizer().groups(),
                  config.run().seed(),
                  tokenizer);
          return new Rehearsal.Parts(
              training(config, model, task(config, model, train, held), null),
              List.of(model.parameters()));
        });
  }

  /** Trains; see {@link Run#run}. */
  public Trainer.Outcome run() throws IOException {
    return memory.explaining(trainer);
  }

  private static Tokenizer tokenizer(RunSettings config, Path from, boolean resumed) {
    String named = config.model().tokenizer();
    return named == null || resumed
        ? TextClassifier.tokenizer(from)
        : named.equals("byte") ? new ByteTokenizer() : Tokenizer.load(Path.of(named));
  }

  /** The rows of a run and what its ids stand for, without a model. */
  record Samples(LabelledRows rows, Tokenizer tokenizer) {}

  /**
   * @param last a checkpoint of the run; {@code null} where there is none yet
   */
  static Samples samples(RunSettings config, @Nullable Path last) {
    Path from = last == null ? modelDirectory(config) : last;
    Tokenizer tokenizer = tokenizer(config, from, last != null);
    LabelledTexts train = texts(config, tokenizer, new ArrayList<>()).train();
    int seqLen = config.batch().seqLen();
    TextFrame frame = TextFrame.of(tokenizer);
    return new Samples(
        new LabelledRows(train, frame, seqLen, Integer.MAX_VALUE, label -> 0), tokenizer);
  }

  private static Path modelDirectory(RunSettings config) {
    if (!config.monitor().xrayAt().isEmpty()) {
      throw new InputException(
          "--xray-at: the model of --objective classify predicts no tokens; leave it out");
    }
    Path directory = ModelName.of(config.model().model()).directory();
    if (directory == null) {
      throw new InputException(
          "--objective classify goes on from a trained model: name its directory with --model");
    }
    return directory;
  }

  private static LabelledTexts.Split texts(
      RunSettings config, Tokenizer tokenizer, List<String> notes) {
    DataSpec spec = config.data();
    String label = config.objective().labelColumn();
    LabelledTexts all = LabelledTexts.read(spec.data(), spec.column(), label, tokenizer);
    if (!spec.valData().isEmpty()) {
      return new LabelledTexts.Split(
          all, LabelledTexts.read(spec.valData(), spec.column(), label, tokenizer));
    }
    if (spec.fold() != null) {
      return all.split(spec.fold(), spec.seed(config.run().seed()));
    }
    double fraction =
        spec.valFraction() == null ? DataSpec.DEFAULT_VAL_FRACTION : spec.valFraction();
    LabelledTexts.Split split = all.split(fraction, spec.seed(config.run().seed()));
    if (spec.valFraction() == null && split.held() != null) {
      notes.add(
          "a tenth of --data, drawn by the seed, is kept for validation; --val-fraction 0 trains on all of it");
    }
    return split;
  }

  /**
   * Those that the model has, where they cover the data; else those of the data. Numbers from 0 on
   * are called as transformers calls classes without names.
   */
  static Labels labels(@Nullable Labels stored, LabelledTexts texts) {
    List<String> classes = texts.classes();
    if (stored != null && classes.stream().allMatch(c -> stored.indexOf(c) >= 0)) {
      return stored;
    }
    List<String> numbers = IntStream.range(0, classes.size()).mapToObj(Integer::toString).toList();
    if (classes.size() < 2) {
      throw new InputException(
          "%s holds one class only, %s: a classifier needs at least two"
              .formatted(texts.name(), classes.getFirst()));
    }
    return classes.equals(numbers) ? Labels.numbered(classes.size()) : new Labels(classes);
  }

  private static LabelledRows rows(
      RunSettings config,
      LabelledTexts texts,
      Tokenizer tokenizer,
      TextClassifier.Shape shape,
      Labels labels) {
    int longest = Math.min(config.batch().seqLen(), shape.positions());
    if (tokenizer.vocabSize() > shape.vocab()) {
      throw new InputException(
          "the tokenizer has %d tokens, the model %d: name the model's own with --tokenizer"
              .formatted(tokenizer.vocabSize(), shape.vocab()));
    }
    TextFrame frame = TextFrame.of(tokenizer);
    return new LabelledRows(texts, frame, longest, shape.vocab(), labels::indexOf);
  }

  private static RunIdentity identity(
      RunSettings config, LabelledTexts.Split texts, Tokenizer tokenizer) {
    LabelledTexts held = texts.held();
    String order = config.data().order().name().toLowerCase(Locale.ROOT);
    long seed = config.run().seed();
    long own = config.data().seed(seed);
    return new RunIdentity(
            texts.train().identity(tokenizer),
            own == seed ? order : order + " by --data-seed " + own,
            seed,
            config.batch().seqLen(),
            held == null ? null : held.identity(tokenizer),
            RunIdentity.settings(OBJECTIVE, null))
        .with(config.optimizer().identity());
  }

  private static Task task(
      RunSettings config, TextClassifier model, LabelledRows train, @Nullable LabelledRows held) {
    return new Task(
        new Classify(model.model(config.model().recompute())),
        train,
        held,
        true,
        null,
        List.of(),
        null);
  }

  private static Training training(
      RunSettings config, TextClassifier model, Task task, @Nullable TrainingState state) {
    long shardBytes = config.run().maxShardSize().bytes();
    return TextTraining.of(model.parameters(), model.precision(), task, config, state)
        .model(model.describe(), to -> model.save(to, shardBytes), model::restore);
  }

  @Override
  public void close() {
    trainer.close();
    model.close();
    model.device().close();
    directory.close();
  }
}
