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
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.tokenizer.Tokenizer;
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
 */
public record LanguageModel(
    Device device,
    ParameterBuffer<Transformer> parameters,
    Precision precision,
    @Nullable Tokenizer tokenizer,
    Companions companions)
    implements AutoCloseable {

  /** A model that came from no directory. */
  public LanguageModel(
      Device device,
      ParameterBuffer<Transformer> parameters,
      Precision precision,
      @Nullable Tokenizer tokenizer) {
    this(device, parameters, precision, tokenizer, Companions.NONE);
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

  /** This model with what {@code directory}, where its configuration stands, says beside it. */
  LanguageModel withCompanions(Path directory) {
    Companions found = Companions.read(directory, tokenizer);
    return new LanguageModel(device, parameters, precision, tokenizer, found);
  }

  /**
   * The model of a Hugging Face directory.
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
    HuggingFace.requireModel(directory);
    Companions companions = Companions.read(directory, tokenizer);
    ParameterBuffer<Transformer> parameters =
        HuggingFace.load(device, config, precision, grouping, directory);
    return new LanguageModel(device, parameters, precision, tokenizer, companions);
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
        hasTokenizer(directory) ? Tokenizer.load(directory) : null);
  }

  /**
   * {@code config.json} of a directory.
   *
   * @throws FileFormatException where there is no such directory or file, or it is that of a run or
   *     an adapter
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
    Path last = directory.resolve(Checkpoints.LAST);
    if (!Files.exists(directory.resolve("config.json")) && Files.isDirectory(last)) {
      throw new FileFormatException(
          directory, "is the directory of a run, not of a model", "name " + last);
    }
    HuggingFace.requireModel(directory);
    return TransformerConfig.read(directory, notes);
  }

  /** Whether a directory has files that {@link Tokenizer#load} reads. */
  public static boolean hasTokenizer(Path directory) {
    return Files.isRegularFile(directory.resolve("tokenizer.json"))
        || Files.isRegularFile(directory.resolve("vocab.json"))
            && Files.isRegularFile(directory.resolve("merges.txt"));
  }

  public Transformer transformer() {
    return parameters.model();
  }

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
    return new Inference(parameters, tokenizer, endTokens());
  }

  /** The same, in files of at most {@link HuggingFace#SHARD_BYTES} of weights each. */
  public void save(Path directory) throws IOException {
    save(directory, HuggingFace.SHARD_BYTES);
  }

  /**
   * Writes the model as a Hugging Face directory, which transformers loads. The weights are written
   * in one turn on the device, so they belong together and are not closed meanwhile.
   *
   * @param shardBytes what a file of weights holds at most
   */
  public void save(Path directory, long shardBytes) throws IOException {
    Files.createDirectories(directory);
    try (Turn _ = device.turn()) {
      parameters.requireOpen();
      HuggingFace.save(parameters, directory, shardBytes);
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>(companions.files());
    if (tokenizer != null) {
      files.putAll(tokenizer.files());
    }
    files.putIfAbsent(Companions.GENERATION, generation().getBytes(StandardCharsets.UTF_8));
    Companions.write(directory, files);
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
    parameters.close();
  }
}
