package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.train.chat.ChatTemplate;
import dev.javelin.train.chat.TemplateFiles;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.summary.Flops;
import dev.javelin.train.tokenizer.Tokenizer;
import dev.javelin.train.xray.Examined;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A transformer, its parameters and its tokenizer: what a Hugging Face directory holds. Threads may
 * share one; closing it waits for the token or step in progress.
 *
 * @param tokenizer {@code null} where tokens are used without text
 * @param companions further files of the directory it came from, which travel with it
 * @param adaptation adapters that it computes with; {@code null} for none
 */
public record LanguageModel(
    Device device,
    ParameterBuffer<Transformer> parameters,
    Precision precision,
    @Nullable Tokenizer tokenizer,
    Companions companions,
    @Nullable Adaptation adaptation)
    implements Examined, AutoCloseable {

  /** A model that came from no directory. */
  public LanguageModel(
      Device device,
      ParameterBuffer<Transformer> parameters,
      Precision precision,
      @Nullable Tokenizer tokenizer) {
    this(device, parameters, precision, tokenizer, Companions.NONE, null);
  }

  /** A model to be trained, its weights drawn from {@code seed}. */
  public static LanguageModel create(
      Device device,
      TransformerConfig config,
      Precision precision,
      Grouping grouping,
      long seed,
      @Nullable Tokenizer tokenizer) {
    ParameterBuffer<Transformer> parameters =
        Transformer.allocate(device, config, precision, grouping);
    Init.normal(parameters, seed);
    return new LanguageModel(device, parameters, precision, tokenizer);
  }

  /** A model whose weights are still to come. */
  static LanguageModel empty(
      Device device,
      TransformerConfig config,
      Precision precision,
      Grouping grouping,
      @Nullable Tokenizer tokenizer) {
    return new LanguageModel(
        device, Transformer.allocate(device, config, precision, grouping), precision, tokenizer);
  }

  /** This model with what {@code directory}, where its configuration stands, says beside it. */
  LanguageModel withCompanions(Path directory) {
    return withCompanions(Companions.read(directory, tokenizer));
  }

  private LanguageModel withCompanions(Companions found) {
    return new LanguageModel(device, parameters, precision, tokenizer, found, adaptation);
  }

  /** This model with another tokenizer. */
  public LanguageModel withTokenizer(@Nullable Tokenizer other) {
    return new LanguageModel(device, parameters, precision, other, companions, adaptation);
  }

  /** This model with adapters to be trained, which then belong to it. */
  LanguageModel with(ParameterBuffer<Adapters> adapters) {
    return with(adapters, false);
  }

  private LanguageModel with(ParameterBuffer<Adapters> adapters, boolean sharesBase) {
    return new LanguageModel(
        device,
        parameters,
        precision,
        tokenizer,
        companions,
        Adaptation.of(adapters, parameters, sharesBase));
  }

  /** This model with another chat template than its directory's, which is saved with it. */
  LanguageModel withTemplate(ChatTemplate template) {
    SequencedMap<String, byte[]> files = new LinkedHashMap<>(companions.files());
    if (tokenizer != null) {
      files.putAll(TemplateFiles.written(template, tokenizer));
    }
    Companions with = new Companions(files, companions.endTokens());
    return new LanguageModel(device, parameters, precision, tokenizer, with, adaptation);
  }

  /**
   * This model with the adapter of a PEFT directory. Any number of them, and the model without,
   * serve requests side by side; they share its weights. To be closed before it, which closes the
   * adapter alone.
   *
   * @throws FileFormatException where the directory holds none, a damaged one, or one of another
   *     model
   */
  public LanguageModel withAdapter(Path directory) {
    return with(Adaptation.load(parameters, precision, directory), true);
  }

  /** A plain model that computes what this one does with its adapters; both stay the caller's. */
  public LanguageModel merged(Precision to) {
    if (adaptation == null) {
      throw new IllegalStateException("there are no adapters to merge");
    }
    return new LanguageModel(
        device,
        Adapters.merged(adaptation.parameters(), parameters, to),
        to,
        tokenizer,
        companions,
        null);
  }

  /** Whether a directory holds an adapter, which goes with another model. */
  public static boolean isAdapter(Path directory) {
    return Adaptation.isIn(directory);
  }

  /**
   * The directory of the model that a PEFT adapter says it is for.
   *
   * @throws FileFormatException where it says none, or one that is not there
   */
  public static Path baseOf(Path adapter) {
    return Adaptation.base(adapter);
  }

  /**
   * A model that is read, not trained, with an adapter beside it that may be another's by its own
   * account; tokenizer and companions are the adapter's where it has them.
   *
   * @param notes takes a line for each key of the configuration that was passed over
   * @throws FileFormatException where one of the directories does not hold what it should
   */
  public static LanguageModel load(
      Device device, Path base, Path adapter, Precision precision, Consumer<String> notes) {
    return load(device, base, adapter, precision, Grouping.frozen(), notes);
  }

  /** The same, the base frozen in the form that {@code frozen} says. */
  public static LanguageModel load(
      Device device,
      Path base,
      Path adapter,
      Precision precision,
      Grouping frozen,
      Consumer<String> notes) {
    Tokenizer tokenizer = hasTokenizer(adapter) ? tokenizer(adapter) : tokenizer(base);
    LanguageModel model = load(device, base, readConfig(base, notes), precision, frozen, tokenizer);
    return model.adapted(adapter);
  }

  /** This model with the adapter of a directory, closed where that cannot be. */
  private LanguageModel adapted(Path adapter) {
    try {
      return withCompanions(Companions.read(adapter, tokenizer).over(companions))
          .with(Adaptation.load(parameters, precision, adapter));
    } catch (RuntimeException | OutOfMemoryError e) {
      close();
      throw e;
    }
  }

  /**
   * The model of a Hugging Face directory, or of a PEFT adapter's with its base.
   *
   * @throws FileFormatException where the directory does not hold one, or a damaged one
   */
  public static LanguageModel load(
      Device device,
      Path directory,
      TransformerConfig config,
      Precision precision,
      Grouping grouping,
      @Nullable Tokenizer tokenizer) {
    if (Adaptation.isIn(directory)) {
      return load(
              device, Adaptation.base(directory), config, precision, Grouping.frozen(), tokenizer)
          .adapted(directory);
    }
    Companions companions = Companions.read(directory, tokenizer);
    ParameterBuffer<Transformer> parameters =
        HuggingFace.load(device, config, precision, grouping, directory);
    return new LanguageModel(device, parameters, precision, tokenizer, companions, null);
  }

  /**
   * The model of a directory in fp32 and without gradients, with its own tokenizer if it has one.
   */
  public static LanguageModel load(Device device, Path directory) {
    return load(
        device,
        directory,
        readConfig(directory),
        Precision.FP32,
        Grouping.frozen(),
        tokenizer(directory));
  }

  /**
   * The tokenizer of a directory; of an adapter's that has none, its base's. {@code null} for none.
   */
  public static @Nullable Tokenizer tokenizer(Path directory) {
    if (hasTokenizer(directory)) {
      return Tokenizer.load(directory);
    }
    return Adaptation.isIn(directory) ? tokenizer(Adaptation.base(directory)) : null;
  }

  /**
   * {@code config.json} of a directory; of an adapter's, its base's.
   *
   * @throws FileFormatException where there is no such directory or file, or it is that of a run
   */
  public static TransformerConfig readConfig(Path directory) {
    return readConfig(directory, note -> {});
  }

  /**
   * The same.
   *
   * @param notes takes a line for each key that was passed over
   */
  public static TransformerConfig readConfig(Path directory, Consumer<String> notes) {
    if (!Files.isDirectory(directory)) {
      throw new FileFormatException(
          directory, "there is no such directory", "name a Hugging Face directory");
    }
    if (Adaptation.isIn(directory)) {
      return readConfig(Adaptation.base(directory), notes);
    }
    Path last = directory.resolve(Checkpoints.LAST);
    if (!Files.exists(directory.resolve("config.json")) && Files.isDirectory(last)) {
      throw new FileFormatException(
          directory, "is the directory of a run, not of a model", "name " + last);
    }
    return TransformerConfig.read(directory, notes);
  }

  /** Whether a directory has files that {@link Tokenizer#load} reads. */
  public static boolean hasTokenizer(Path directory) {
    return Files.isRegularFile(directory.resolve("tokenizer.json"))
        || Files.isRegularFile(directory.resolve("vocab.json"))
            && Files.isRegularFile(directory.resolve("merges.txt"));
  }

  /** What computes: with the adapters, where there are any. */
  @Override
  public Transformer transformer() {
    return adaptation == null ? parameters.model() : adaptation.model();
  }

  /** What training moves: the adapters, where there are any. */
  @Override
  public ParameterBuffer<?> trained() {
    return adaptation == null ? parameters : adaptation.parameters();
  }

  @Override
  public TransformerConfig config() {
    return parameters.model().config();
  }

  /** Architecture, sizes and precision in a line: what a checkpoint must share with its resumer. */
  public static String describe(TransformerConfig c, Precision precision) {
    return "%s: %d layers, %d wide, %d heads of %d (%d for keys), mlp %d, vocabulary %d, %d positions%s%s, %s"
        .formatted(
            c.family().modelType(),
            c.layers(),
            c.hidden(),
            c.heads(),
            c.headDim(),
            c.kvHeads(),
            c.ffn(),
            c.vocab(),
            c.positions(),
            c.attention().window() > 0 ? ", window " + c.attention().window() : "",
            c.tied() ? ", tied head" : "",
            precision.name());
  }

  /** What a checkpoint must share with its resumer, in a line. */
  String describe() {
    LoraConfig adapters = adaptation == null ? null : adaptation.parameters().model().config();
    return describe(config(), precision, adapters);
  }

  static String describe(TransformerConfig c, Precision precision, @Nullable LoraConfig adapters) {
    return describe(c, precision) + (adapters == null ? "" : ", " + adapters.describe());
  }

  /**
   * What the model writes behind {@code prompt}, without the prompt. Any number of threads may ask
   * at the same time; who asks often opens one {@link #inference} for all.
   *
   * @throws IllegalStateException where there is no tokenizer, or the model is closed
   */
  public String generate(String prompt, int maxNewTokens, Sampler sampler) {
    try (Inference inference = inference()) {
      return inference
          .generate(Request.of(prompt).maxNewTokens(maxNewTokens).sampler(sampler))
          .text();
    }
  }

  /**
   * The tokens that end a text: those of {@code generation_config.json}, of {@code config.json} and
   * of the tokenizer, in this order.
   */
  public SequencedSet<Integer> endTokens() {
    SequencedSet<Integer> ids = new LinkedHashSet<>(companions.endTokens());
    Object written = config().extras().get("eos_token_id");
    for (Object id : written instanceof List<?> list ? list : Arrays.asList(written)) {
      if (id instanceof Number n) {
        ids.add(n.intValue());
      }
    }
    if (tokenizer != null) {
      tokenizer.eos().ifPresent(ids::add);
      ids.addAll(tokenizer.ends());
    }
    ids.removeIf(id -> id < 0 || id >= config().vocab());
    return ids;
  }

  /** Serves requests of any number of threads with this model, which stays open. */
  public Inference inference() {
    return new Inference(parameters, transformer(), tokenizer, endTokens());
  }

  /** The same, in files of at most {@link HuggingFace#SHARD_BYTES} of weights each. */
  public void save(Path directory) throws IOException {
    save(directory, HuggingFace.SHARD_BYTES);
  }

  /**
   * Writes the model as a Hugging Face directory, which transformers loads; one with adapters as a
   * directory of these alone, which PEFT loads. The weights are written in one turn on the device,
   * so they belong together and are not closed meanwhile.
   *
   * @param shardBytes what a file of weights holds at most
   */
  public void save(Path directory, long shardBytes) throws IOException {
    Files.createDirectories(directory);
    try (Turn _ = device.turn()) {
      parameters.requireOpen();
      if (adaptation == null) {
        HuggingFace.save(parameters, directory, shardBytes);
      } else {
        Adapters.save(adaptation.parameters(), directory);
      }
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    if (tokenizer != null) {
      files.putAll(tokenizer.files());
    }
    files.putAll(companions.files());
    files.putIfAbsent(Companions.GENERATION, generation().getBytes(StandardCharsets.UTF_8));
    Companions.write(directory, files);
  }

  /**
   * Reads the trained weights of a directory that {@link #save} wrote into this model.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where it is another model's
   */
  public void restore(Path directory) {
    try (Turn _ = device.turn()) {
      parameters.requireOpen();
      if (adaptation == null) {
        HuggingFace.load(parameters, directory);
      } else {
        Adapters.load(adaptation.parameters(), directory);
      }
    }
  }

  /**
   * A copy to be read while this model is trained on: frozen, with the weights of this moment, the
   * caller's to close. {@link #copyFrom} brings it up to date.
   *
   * @param to where it is to be; this model's device or another
   * @throws IllegalStateException where there are adapters; {@link #merged} makes a copy then
   */
  public LanguageModel copy(Device to) {
    LanguageModel copy =
        new LanguageModel(
            to,
            Transformer.allocate(to, config(), precision, Grouping.frozen()),
            precision,
            tokenizer,
            companions,
            null);
    try {
      copy.copyFrom(this);
      return copy;
    } catch (RuntimeException | Error e) {
      copy.close();
      throw e;
    }
  }

  /**
   * Takes the weights of a model of the same shapes and types. They are read in one turn on its
   * device and written in one on this model's, so they are those between two updates, and no pass
   * of this model sees a part of them. The other model's turn is taken first: models on two devices
   * that take from each other at the same time wait for each other for ever.
   *
   * @throws IllegalArgumentException where the shapes or types differ
   * @throws IllegalStateException where one of the two has adapters, or is closed
   */
  public void copyFrom(LanguageModel other) {
    if (adaptation != null || other.adaptation != null) {
      throw new IllegalStateException(
          "the weights of a model with adapters are in two places: copy what merged() makes of it");
    }
    try (Turn _ = other.device.turn();
        Turn _ = device.turn()) {
      parameters.requireOpen();
      other.parameters.requireOpen();
      parameters
          .named()
          .forEach((name, p) -> p.value().copyFrom(other.parameters.get(name).value()));
    }
  }

  /** The arithmetic that training on a token takes, see {@link Flops}. */
  public double flopsPerToken(int seqLen) {
    return Flops.perToken(parameters, adaptation == null ? null : adaptation.parameters(), seqLen);
  }

  /** For a model that brought no {@code generation_config.json}. */
  private String generation() {
    Map<String, Object> generation = new LinkedHashMap<>();
    generation.put("_from_model_config", true);
    if (tokenizer != null) {
      tokenizer.bos().ifPresent(id -> generation.put("bos_token_id", (long) id));
    }
    List<Long> ends = endTokens().stream().map(Integer::longValue).toList();
    if (!ends.isEmpty()) {
      generation.put("eos_token_id", ends.size() == 1 ? ends.getFirst() : ends);
    }
    return Json.write(generation) + "\n";
  }

  @Override
  public void close() {
    if (adaptation != null) {
      adaptation.parameters().close();
    }
    if (adaptation == null || !adaptation.sharesBase()) {
      parameters.close();
    }
  }
}
