package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Decoders that classify, as Hugging Face directories. */
public final class Classifiers {
  private static final String KIND = "ForSequenceClassification";

  private Classifiers() {}

  /** {@code LlamaForSequenceClassification} for {@code LlamaForCausalLM}. */
  static String className(Family family) {
    return family.className().replaceFirst("(ForCausalLM|LMHeadModel)$", KIND);
  }

  /**
   * The classes of a directory, of an encoder or a decoder, that holds a classifier; {@code null}
   * where it holds another model.
   *
   * @throws FileFormatException if {@code config.json} is missing or damaged
   */
  public static @Nullable Labels labels(Path directory) {
    JsonObject json = Json.read(directory.resolve("config.json"));
    boolean classifies =
        json.has("architectures")
            && json.array("architectures").stream()
                .anyMatch(name -> name instanceof String text && text.endsWith(KIND));
    return classifies ? Labels.read(json) : null;
  }

  /**
   * The decoder of a directory with a head for {@code labels}: the directory's own where it has one
   * for just these, else drawn from {@code seed}.
   *
   * @throws FileFormatException as {@link HuggingFace#load} does
   */
  public static ParameterBuffer<DecoderClassifier> load(
      Device device,
      Path directory,
      TransformerConfig config,
      Labels labels,
      Precision precision,
      Grouping grouping,
      long seed) {
    NameTable names = DecoderClassifier.names(config, labels);
    if (!labels.equals(labels(directory))) {
      names = names.without("score\\.weight");
    }
    return WeightFiles.load(
        directory,
        device,
        precision,
        grouping,
        d -> DecoderClassifier.declare(config, labels, d),
        names,
        seed);
  }

  /**
   * Writes {@code config.json} and the weights in their own type, as {@link HuggingFace#save} does.
   *
   * @throws java.io.UncheckedIOException if the directory cannot be written or the disk is full
   */
  public static void save(
      ParameterBuffer<DecoderClassifier> buffer, Path directory, long shardBytes) {
    WeightFiles.write(Weights.items(buffer, "", Parameter::value), directory, shardBytes);
    TransformerConfig config = buffer.model().decoder().config();
    DType type = buffer.model().score().weight().value().dtype();
    Map<String, @Nullable Object> json = ConfigJson.write(config, type);
    json.put("architectures", List.of(className(config.family())));
    json.put("problem_type", "single_label_classification");
    json.remove("num_labels");
    buffer.model().labels().write(json);
    AtomicFile.write(directory.resolve("config.json"), Json.write(json) + "\n");
  }
}
