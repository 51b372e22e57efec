package dev.javelin.nn;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.tensor.io.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** The files that hold a model's weights, among all that a directory may hold. */
final class WeightFiles {
  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  private static final String ADAPTER = "adapter_config.json";

  /** Forms of weights that are not read. */
  private static final Pattern OTHER_FORM =
      Pattern.compile(
          ".*\\.(bin|bin\\.index\\.json|pt|pth|ckpt|h5|msgpack|onnx|gguf|ggml|npz|pkl|nemo|tflite)",
          Pattern.CASE_INSENSITIVE);

  /** Files of that ending that are no weights. */
  private static final Pattern NO_WEIGHTS =
      Pattern.compile("training_args\\.bin|(train|val|validation|test)\\.bin");

  private WeightFiles() {}

  /**
   * Whether weights are there that can be read.
   *
   * @return false where nothing looks like weights
   * @throws FileFormatException where something does, and cannot be read: an adapter, shards
   *     without their index, a link that leads nowhere, another format
   */
  static boolean in(Path directory) {
    requireNoAdapter(directory);
    for (String name : List.of(SINGLE, INDEX)) {
      Path file = directory.resolve(name);
      if (Files.isRegularFile(file)) {
        return true;
      }
      if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
        throw new FileFormatException(
            directory,
            Files.isSymbolicLink(file) && !Files.exists(file)
                ? "holds a link " + name + " that points nowhere"
                : "holds " + name + ", which is no file",
            "download the weights again, or copy them without links");
      }
    }
    Optional<String> found = otherForm(directory);
    if (found.isEmpty()) {
      return false;
    }
    String name = found.get();
    throw name.endsWith(".safetensors")
        ? new FileFormatException(
            directory,
            "holds " + name + " but neither " + SINGLE + " nor " + INDEX,
            "add the index of its shards, or name the only file " + SINGLE)
        : new FileFormatException(
            directory,
            "holds its weights as " + name + ", which Javelin does not read",
            "convert them to " + SINGLE + ", with save_pretrained of transformers for instance");
  }

  /**
   * @throws FileFormatException for the directory of an adapter
   */
  static void requireNoAdapter(Path directory) {
    Path file = directory.resolve(ADAPTER);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    String base = "its base model";
    if (Files.isRegularFile(file)) {
      JsonObject json = Json.read(file);
      base = json.has("base_model_name_or_path") ? json.text("base_model_name_or_path") : base;
    }
    throw new FileFormatException(
        directory,
        "holds a PEFT adapter (" + ADAPTER + "), not a whole model",
        "merge it into " + base + " (merge_and_unload of PEFT) and name the merged directory");
  }

  private static Optional<String> otherForm(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .map(f -> f.getFileName().toString())
          .filter(n -> n.endsWith(".safetensors") || OTHER_FORM.matcher(n).matches())
          .filter(n -> !NO_WEIGHTS.matcher(n).matches())
          .min(
              (a, b) ->
                  a.endsWith(".safetensors") == b.endsWith(".safetensors")
                      ? a.compareTo(b)
                      : a.endsWith(".safetensors") ? -1 : 1);
    } catch (IOException e) {
      throw new FileFormatException(
          directory, "cannot be read (" + e + ")", "check its permissions", e);
    }
  }

  /**
   * Opens all files; the caller closes them.
   *
   * @throws FileFormatException if one is missing or damaged, or none can be read
   */
  static List<Safetensors> open(Path directory) {
    if (!in(directory)) {
      throw new FileFormatException(
          directory, "has no " + SINGLE, "name a directory with weights, such as out/last");
    }
    Path single = directory.resolve(SINGLE);
    if (Files.isRegularFile(single)) {
      return new ArrayList<>(List.of(Safetensors.open(single)));
    }
    JsonObject map = Json.read(directory.resolve(INDEX), JsonRules.INDEX).object("weight_map");
    if (map.members().isEmpty()) {
      throw new FileFormatException(
          map.file(), "its weight_map names no tensors", "download the index again");
    }
    Map<Path, Safetensors> shards = new LinkedHashMap<>();
    try {
      for (String tensor : map.members().keySet()) {
        Path file = map.sibling(tensor);
        Safetensors shard = shards.get(file);
        if (shard == null) {
          shard = Safetensors.open(file);
          shards.put(file, shard);
        }
        shard.get(tensor);
      }
      return new ArrayList<>(shards.values());
    } catch (RuntimeException | OutOfMemoryError e) {
      shards.values().forEach(Safetensors::close);
      throw e;
    }
  }
}
