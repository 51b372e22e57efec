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
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A transformer, its parameters and its tokenizer: what a Hugging Face directory holds. Threads may
 * share one; closing it waits for the token or step in progress.
 *
 * @param tokenizer {@code null} where tokens are used without text
 */
public record LanguageModel(
    Device device,
    ParameterBuffer<Transformer> parameters,
    Precision precision,
    @Nullable Tokenizer tokenizer)
    implements AutoCloseable {

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
    ParameterBuffer<Transformer> parameters =
        Transformer.allocate(device, config, precision, grouping);
    try {
      HuggingFace.load(parameters, directory);
    } catch (RuntimeException e) {
      parameters.close();
      throw e;
    }
    return new LanguageModel(device, parameters, precision, tokenizer);
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
   * @throws FileFormatException where there is no such directory or file
   */
  public static TransformerConfig readConfig(Path directory) {
    if (!Files.isDirectory(directory)) {
      throw new FileFormatException(
          directory, "there is no such directory", "name a Hugging Face directory");
    }
    Path last = directory.resolve(Checkpoints.LAST);
    if (!Files.exists(directory.resolve("config.json")) && Files.isDirectory(last)) {
      throw new FileFormatException(
          directory, "is the directory of a run, not of a model", "name " + last);
    }
    return TransformerConfig.read(directory);
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

  /** The tokens that end a text. */
  public Set<Integer> endTokens() {
    return tokenizer == null ? Set.of() : tokenizer.ends();
  }

  /** Serves requests of any number of threads with this model, which stays open. */
  public Inference inference() {
    return new Inference(parameters, tokenizer, endTokens());
  }

  /**
   * Writes the model as a Hugging Face directory, which transformers loads. The weights are written
   * in one turn on the device, so they belong together and are not closed meanwhile.
   */
  public void save(Path directory) throws IOException {
    Files.createDirectories(directory);
    try (Turn _ = device.turn()) {
      parameters.requireOpen();
      HuggingFace.save(parameters, directory);
    }
    Map<String, Object> generation = new LinkedHashMap<>();
    generation.put("_from_model_config", true);
    if (tokenizer != null) {
      tokenizer.files().forEach((name, bytes) -> write(directory.resolve(name), bytes));
      tokenizer.bos().ifPresent(id -> generation.put("bos_token_id", (long) id));
      tokenizer.eos().ifPresent(id -> generation.put("eos_token_id", (long) id));
    }
    AtomicFile.write(directory.resolve("generation_config.json"), Json.write(generation) + "\n");
  }

  private static void write(Path file, byte[] bytes) {
    AtomicFile.write(
        file,
        channel -> {
          ByteBuffer rest = ByteBuffer.wrap(bytes);
          while (rest.hasRemaining()) {
            channel.write(rest);
          }
        });
  }

  @Override
  public void close() {
    parameters.close();
  }
}
