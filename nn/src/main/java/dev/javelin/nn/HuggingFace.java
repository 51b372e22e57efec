package dev.javelin.nn;

import dev.javelin.device.Device;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Models as Hugging Face directories: {@code config.json} with {@code model.safetensors}, or with
 * shards and {@code model.safetensors.index.json}. Weights of any float type are converted to the
 * precision they are loaded into.
 */
public final class HuggingFace {
  /** What a file of weights holds at most where nothing else is said, as in transformers: 5 GB. */
  public static final long SHARD_BYTES = 5_000_000_000L;

  private HuggingFace() {}

  /**
   * Whether the directory holds weights, not only a configuration.
   *
   * @throws FileFormatException where it holds them in a form that is not read: a PEFT adapter,
   *     {@code pytorch_model.bin} and its like, shards without their index, a link that leads
   *     nowhere
   */
  public static boolean hasWeights(Path directory) {
    return WeightFiles.in(directory);
  }

  /**
   * Requires that the directory is not that of an adapter, which goes with another model.
   *
   * @throws FileFormatException that says so
   */
  public static void requireModel(Path directory) {
    WeightFiles.requireNoAdapter(directory);
  }

  /**
   * Reads all weights of a model whose configuration came from that directory.
   *
   * @throws FileFormatException if a tensor is missing, unexpected, of another shape, of no float
   *     type, or not finite; if a tied head differs from the embedding; if a file is damaged. The
   *     buffer's content is then undefined.
   */
  public static void load(ParameterBuffer<?> buffer, Path directory) {
    List<Safetensors> files = WeightFiles.open(directory);
    try {
      Weights.load(buffer, NameTable.of(buffer), files, files.getFirst().file());
    } finally {
      files.forEach(Safetensors::close);
    }
  }

  /**
   * The model of a directory. Names, shapes and types of all tensors are compared with the
   * configuration before anything of its size is allocated.
   *
   * @throws FileFormatException as {@link #load(ParameterBuffer, Path)} does
   */
  public static ParameterBuffer<Transformer> load(
      Device device,
      TransformerConfig config,
      Precision precision,
      Grouping grouping,
      Path directory) {
    NameTable names = config.family().names(config);
    return WeightFiles.load(
        directory, device, precision, grouping, d -> Transformer.declare(config, d), names, 0);
  }

  /** The same with {@link #SHARD_BYTES}. */
  public static void save(ParameterBuffer<Transformer> buffer, Path directory) {
    save(buffer, directory, SHARD_BYTES);
  }

  /**
   * Writes {@code config.json} and the weights in their own type, for this engine and for
   * transformers: {@code model.safetensors}, or where that would hold more than {@code shardBytes}
   * of data shards with an index. A tensor that is larger gets a file of its own. What the
   * directory held of an earlier model's weights is gone afterwards; a full disk leaves it as it
   * was.
   *
   * @throws java.io.UncheckedIOException if the directory cannot be written or the disk is full
   */
  public static void save(ParameterBuffer<Transformer> buffer, Path directory, long shardBytes) {
    WeightFiles.write(items(buffer, "", Parameter::value), directory, shardBytes);
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
