package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.tensor.io.Safetensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Models as Hugging Face directories: {@code config.json} with {@code model.safetensors}, or with
 * shards and {@code model.safetensors.index.json}. Weights of any float type are converted to the
 * precision they are loaded into.
 */
public final class HuggingFace {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";

  private HuggingFace() {}

  /** Whether the directory holds weights, not only a configuration. */
  public static boolean hasWeights(Path directory) {
    return Files.isRegularFile(directory.resolve(SINGLE))
        || Files.isRegularFile(directory.resolve(INDEX));
  }

  /**
   * Reads all weights of a model whose configuration came from that directory.
   *
   * @throws FileFormatException if a tensor is missing, unexpected, of another shape, of no float
   *     type, or not finite; if a tied head differs from the embedding; if a file is damaged. The
   *     buffer's content is then undefined.
   */
  public static void load(ParameterBuffer<Transformer> buffer, Path directory) {
    List<Safetensors> files = open(directory);
    try {
      Weights.load(buffer, files, files.getFirst().file());
    } finally {
      files.forEach(Safetensors::close);
    }
  }

  private static List<Safetensors> open(Path directory) {
    List<Safetensors> files = new ArrayList<>();
    Path index = directory.resolve(INDEX);
    if (Files.isRegularFile(directory.resolve(SINGLE)) || !Files.isRegularFile(index)) {
      files.add(Safetensors.open(directory.resolve(SINGLE)));
      return files;
    }
    JsonObject map = Json.read(index, JsonRules.INDEX).object("weight_map");
    try {
      SequencedMap<Path, Safetensors> shards = new LinkedHashMap<>();
      for (String tensor : map.members().keySet()) {
        Path file = map.sibling(tensor);
        Safetensors shard = shards.get(file);
        if (shard == null) {
          shard = Safetensors.open(file);
          shards.put(file, shard);
          files.add(shard);
        }
        shard.get(tensor);
      }
      return files;
    } catch (RuntimeException e) {
      files.forEach(Safetensors::close);
      throw e;
    }
  }

  /**
   * Writes {@code config.json} and {@code model.safetensors} in the weights' own type, for this
   * engine and for transformers. Each file is there whole or not at all.
   *
   * @throws java.io.UncheckedIOException if the directory cannot be written or the disk is full
   */
  public static void save(ParameterBuffer<Transformer> buffer, Path directory) {
    TransformerConfig config = buffer.model().config();
    Weights.save(buffer, directory.resolve(SINGLE));
    config.write(directory, buffer.model().tokens().value().dtype());
  }

  /**
   * The same in files of at most {@code shardBytes} of data each, with an index; a tensor that is
   * larger gets a file of its own.
   */
  public static void saveSharded(
      ParameterBuffer<Transformer> buffer, Path directory, long shardBytes) {
    List<List<Safetensors.Item>> shards = new ArrayList<>();
    long total = 0;
    long filled = Long.MAX_VALUE;
    for (Safetensors.Item item : items(buffer, "", Parameter::value)) {
      long bytes = item.dtype().bytes(item.shape().elements());
      if (filled > shardBytes - Math.min(bytes, shardBytes)) {
        shards.add(new ArrayList<>());
        filled = 0;
      }
      shards.getLast().add(item);
      filled += bytes;
      total += bytes;
    }
    Map<String, Object> weightMap = new LinkedHashMap<>();
    for (int i = 0; i < shards.size(); i++) {
      String file = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
      Safetensors.write(directory.resolve(file), Weights.METADATA, shards.get(i));
      shards.get(i).forEach(item -> weightMap.put(item.name(), file));
    }
    Map<String, Object> index = new LinkedHashMap<>();
    index.put("metadata", Map.of("total_size", total));
    index.put("weight_map", weightMap);
    AtomicFile.write(directory.resolve(INDEX), Json.write(index) + "\n");
    buffer.model().config().write(directory, buffer.model().tokens().value().dtype());
  }

  /** As {@link Weights#items}. */
  public static List<Safetensors.Item> items(
      ParameterBuffer<Transformer> buffer,
      String prefix,
      Function<Parameter, @Nullable Tensor> source) {
    return Weights.items(buffer, prefix, source);
  }

  /** As {@link Weights#read}. */
  public static void read(
      ParameterBuffer<Transformer> buffer,
      Safetensors file,
      String prefix,
      Function<Parameter, @Nullable Tensor> target) {
    Weights.read(buffer, file, prefix, target);
  }

  /** Hugging Face's names of the tensors that make up one of the model's parameters. */
  public static List<String> namesOf(TransformerConfig config, Parameter p) {
    return config.family().names(config).namesOf(p.name());
  }
}
