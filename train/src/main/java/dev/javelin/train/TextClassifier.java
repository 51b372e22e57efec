package dev.javelin.train;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.nn.Bert;
import dev.javelin.nn.BertConfig;
import dev.javelin.nn.BertFiles;
import dev.javelin.nn.Classifiers;
import dev.javelin.nn.DecoderClassifier;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Labels;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Recomputation;
import dev.javelin.nn.SequenceClassifier;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.LabelledRows;
import dev.javelin.train.data.LabelledTexts;
import dev.javelin.train.data.TextFrame;
import dev.javelin.train.eval.Classification;
import dev.javelin.train.objective.Classify;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A model that classifies texts, its parameters and its tokenizer: what a directory of {@code
 * BertForSequenceClassification}, {@code LlamaForSequenceClassification} and their like holds.
 * Threads may share one.
 *
 * @param parameters of a {@link Bert} or a {@link DecoderClassifier}
 * @param companions further files of the directory it came from, which travel with it
 */
public record TextClassifier(
    Device device,
    ParameterBuffer<?> parameters,
    Precision precision,
    Tokenizer tokenizer,
    Companions companions)
    implements AutoCloseable {

  private static final int ROWS = 16; // of a batch

  /** What {@code config.json} of a directory describes: an encoder or a decoder. */
  public sealed interface Shape {
    /**
     * The same with other dropout.
     *
     * @param p of elements; {@code null} for the model's own
     * @param attention of attention weights; {@code null} for the model's own, 0 where p is given
     */
    Shape withDropout(@Nullable Double p, @Nullable Double attention);

    int headDim();

    int positions();

    int vocab();
  }

  /** An encoder, as it is stored. */
  public record Encoder(BertConfig stored, BertConfig config) implements Shape {
    @Override
    public Shape withDropout(@Nullable Double p, @Nullable Double attention) {
      BertConfig.Dropout own = config.dropout();
      double weights = attention != null ? attention : p != null ? 0 : own.attention();
      return new Encoder(
          stored,
          config.withDropout(
              p == null
                  ? new BertConfig.Dropout(own.hidden(), weights, own.classifier())
                  : new BertConfig.Dropout(p, weights, p)));
    }

    @Override
    public int headDim() {
      return config.hidden() / config.heads();
    }

    @Override
    public int positions() {
      return config.positions();
    }

    @Override
    public int vocab() {
      return config.vocab();
    }
  }

  /** A decoder. */
  public record Decoder(TransformerConfig config) implements Shape {
    @Override
    public Shape withDropout(@Nullable Double p, @Nullable Double attention) {
      TransformerConfig.Dropout own = config.dropout();
      double weights = attention != null ? attention : p != null ? 0 : own.attention();
      return new Decoder(
          config.withDropout(
              p == null
                  ? new TransformerConfig.Dropout(own.embedding(), weights, own.residual())
                  : new TransformerConfig.Dropout(p, weights, p)));
    }

    @Override
    public int headDim() {
      return config.headDim();
    }

    @Override
    public int positions() {
      return config.positions();
    }

    @Override
    public int vocab() {
      return config.vocab();
    }
  }

  /**
   * Reads {@code config.json} of a directory with weights.
   *
   * @param notes takes a line for each key that was passed over
   * @throws FileFormatException where there is none, or it is damaged
   */
  public static Shape shape(Path directory, Consumer<String> notes) {
    Path config = directory.resolve("config.json");
    if (Files.isRegularFile(config) && BertConfig.isBert(Json.read(config))) {
      HuggingFace.requireModel(directory);
      BertConfig stored = BertConfig.read(directory, notes);
      return new Encoder(stored, stored);
    }
    return new Decoder(LanguageModel.readConfig(directory, notes));
  }

  /**
   * The model of a directory with a head for {@code labels}: the directory's own where it has one
   * for just these, else drawn from {@code seed}.
   *
   * @throws FileFormatException where the directory does not hold one, or a damaged one
   */
  public static TextClassifier load(
      Device device,
      Path directory,
      Shape shape,
      Labels labels,
      Precision precision,
      Grouping grouping,
      long seed,
      Tokenizer tokenizer) {
    Companions companions = Companions.read(directory, tokenizer);
    ParameterBuffer<?> parameters =
        switch (shape) {
          case Encoder(BertConfig stored, BertConfig config) ->
              BertFiles.load(
                  device,
                  directory,
                  stored,
                  config.withHead(BertConfig.Head.CLASSIFIER).withLabels(labels),
                  precision,
                  grouping,
                  seed);
          case Decoder(TransformerConfig config) ->
              Classifiers.load(device, directory, config, labels, precision, grouping, seed);
        };
    return new TextClassifier(device, parameters, precision, tokenizer, companions);
  }

  /**
   * The classifier of a directory in fp32 and without gradients, with its own tokenizer.
   *
   * @throws FileFormatException where it holds none
   */
  public static TextClassifier load(Device device, Path directory) {
    Shape shape = shape(directory, note -> {});
    Labels labels = Classifiers.labels(directory);
    if (labels == null) {
      throw new FileFormatException(
          directory,
          "holds no classifier",
          "name one that javelin train --objective classify wrote, or a …ForSequenceClassification");
    }
    return load(
        device,
        directory,
        shape,
        labels,
        Precision.FP32,
        Grouping.frozen(),
        0,
        tokenizer(directory));
  }

  /** The tokenizer of a directory, which a classifier needs. */
  static Tokenizer tokenizer(Path directory) {
    if (!LanguageModel.hasTokenizer(directory)) {
      throw new InputException(
          directory + " holds no tokenizer: name the one that goes with it by --tokenizer");
    }
    return Tokenizer.load(directory);
  }

  public SequenceClassifier model() {
    return switch (parameters.model()) {
      case SequenceClassifier model -> model;
      default -> throw new IllegalStateException("no classifier");
    };
  }

  /** The same model, its parameters shared, with activations recomputed in the backward pass. */
  SequenceClassifier model(Recomputation recompute) {
    return switch (model()) {
      case Bert bert -> bert.withRecompute(recompute);
      case DecoderClassifier decoder -> decoder.withRecompute(recompute);
      case SequenceClassifier other -> other;
    };
  }

  /** Architecture, sizes, classes and precision in a line. */
  public String describe() {
    String what =
        switch (model()) {
          case Bert bert ->
              "bert: %d layers, %d wide, %d heads, mlp %d, vocabulary %d, %d positions, %s"
                  .formatted(
                      bert.config().layers(),
                      bert.config().hidden(),
                      bert.config().heads(),
                      bert.config().inner(),
                      bert.config().vocab(),
                      bert.config().positions(),
                      precision.name());
          case DecoderClassifier d -> LanguageModel.describe(d.decoder().config(), precision);
          case SequenceClassifier other -> other.getClass().getSimpleName();
        };
    return what + ", classes " + String.join(", ", model().labels().names());
  }

  /**
   * The class of each row, and so how often it is right.
   *
   * @param batch rows at a time
   */
  public Classification evaluate(LabelledRows rows, int batch) {
    int count = (int) rows.count();
    int[] actual = new int[count];
    for (int i = 0; i < count; i++) {
      actual[i] = rows.label(i);
    }
    return Classification.of(model().labels().names(), actual, predict(rows, batch));
  }

  /**
   * The class of each text, by name.
   *
   * @throws IllegalArgumentException for a text that the tokenizer cannot encode or that is empty
   */
  public List<String> classify(List<String> texts) {
    if (texts.isEmpty()) {
      return List.of();
    }
    List<LabelledTexts.Example> examples = new ArrayList<>();
    for (String text : texts) {
      int[] ids = tokenizer.encode(text);
      if (ids.length == 0) {
        throw new IllegalArgumentException("an empty text has no class");
      }
      examples.add(new LabelledTexts.Example(text, ids, ""));
    }
    LabelledRows rows =
        new LabelledRows(
            new LabelledTexts("texts", examples),
            TextFrame.of(tokenizer),
            positions(),
            Integer.MAX_VALUE,
            label -> 0);
    int[] predicted = predict(rows, Math.min(ROWS, texts.size()));
    return Arrays.stream(predicted).mapToObj(model().labels().names()::get).toList();
  }

  /** The longest sequence that it reads. */
  public int positions() {
    return switch (model()) {
      case Bert bert -> bert.config().positions();
      case DecoderClassifier decoder -> decoder.decoder().config().positions();
      case SequenceClassifier _ -> Integer.MAX_VALUE;
    };
  }

  /** The number of the class that each row gets. */
  public int[] predict(LabelledRows rows, int batch) {
    Classify classify = new Classify(model());
    int classes = model().labels().count();
    int[] predicted = new int[(int) rows.count()];
    try (Workspace workspace = Workspace.on(device);
        Batch on = Batch.on(device, rows.layout(), batch)) {
      for (int first = 0; first < predicted.length; first += batch) {
        int from = first;
        int rest = Math.min(batch, predicted.length - first);
        on.load(
            fields -> {
              for (int i = 0; i < batch; i++) {
                rows.read(from + Math.min(i, rest - 1), fields, i);
              }
            });
        try (Turn _ = device.turn()) {
          parameters.requireOpen();
          workspace.reset();
          classify.prepare(on);
          float[] logits = classify.logits(Tape.inference(workspace), on, null).value().toFloats();
          for (int i = 0; i < rest; i++) {
            predicted[first + i] = largest(logits, i * classes, classes);
          }
        }
      }
    }
    return predicted;
  }

  private static int largest(float[] x, int from, int count) {
    int best = 0;
    for (int i = 1; i < count; i++) {
      best = x[from + i] > x[from + best] ? i : best;
    }
    return best;
  }

  /**
   * Writes the model as a Hugging Face directory, which transformers loads.
   *
   * @param shardBytes what a file of weights holds at most
   */
  @SuppressWarnings("unchecked") // the model says what the buffer holds
  public void save(Path directory, long shardBytes) throws IOException {
    Files.createDirectories(directory);
    try (Turn _ = device.turn()) {
      parameters.requireOpen();
      if (parameters.model() instanceof Bert) {
        BertFiles.save((ParameterBuffer<Bert>) parameters, directory, shardBytes);
      } else {
        Classifiers.save((ParameterBuffer<DecoderClassifier>) parameters, directory, shardBytes);
      }
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>(companions.files());
    files.remove(Companions.GENERATION);
    files.putAll(tokenizer.files());
    Companions.write(directory, files);
  }

  /**
   * Reads the weights of a directory that {@link #save} wrote into this model.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where it is another model's
   */
  public void restore(Path directory) {
    try (Turn _ = device.turn()) {
      parameters.requireOpen();
      HuggingFace.load(parameters, directory);
    }
  }

  @Override
  public void close() {
    parameters.close();
  }
}
