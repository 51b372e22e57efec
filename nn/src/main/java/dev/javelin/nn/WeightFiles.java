package dev.javelin.nn;

import dev.javelin.device.Device;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.tensor.io.Safetensors;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
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

  /** The names that {@link #write} gives shards. */
  private static final Pattern SHARD = Pattern.compile("model-\\d{5,}-of-\\d{5,}\\.safetensors");

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
        "name " + base + " as the model and this directory as its --adapter, or javelin merge it");
  }

  private static Optional<String> otherForm(Path directory) {
    try {
      return names(directory).stream()
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

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(f -> f.getFileName().toString()).toList();
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

  /**
   * The model of a directory. Names, shapes and types of all tensors are compared with it before
   * anything of its size is allocated. What the table lets be missing is drawn from {@code seed}.
   *
   * @throws FileFormatException as {@link Weights#load} does
   */
  static <M extends Record> ParameterBuffer<M> load(
      Path directory,
      Device device,
      Precision precision,
      Grouping grouping,
      Function<Declare, M> model,
      NameTable table,
      long seed) {
    List<Safetensors> files = open(directory);
    Path whole = files.getFirst().file();
    try {
      Map<String, Shape> shapes = ParameterBuffer.shapes(device, model);
      Set<String> drawn = new HashSet<>();
      Map<String, Weights.Home> homes = Weights.check(table, shapes, files, whole);
      table
          .places()
          .forEach(
              (name, place) -> {
                if (!homes.containsKey(name)) {
                  drawn.add(place.parameter());
                }
              });
      ParameterBuffer<M> buffer = ParameterBuffer.allocate(device, precision, grouping, model);
      try {
        Init.normal(buffer, seed, p -> drawn.contains(p.name()));
        Weights.load(buffer, table, files, whole);
        return buffer;
      } catch (RuntimeException | OutOfMemoryError e) {
        buffer.close();
        throw e;
      }
    } finally {
      files.forEach(Safetensors::close);
    }
  }

  /**
   * Writes {@value #SINGLE}, or shards of at most so many bytes with their index, in the place of
   * what the directory held of them. Nothing of that is touched before all that is new stands on
   * the disk; a process that is killed in between leaves a directory that is read as the old or the
   * new model, or refused for want of an index.
   */
  static void write(List<Safetensors.Item> items, Path directory, long shardBytes) {
    List<List<Safetensors.Item>> shards = shards(items, shardBytes);
    FileCalls calls = FileCalls.current();
    Set<String> written = new LinkedHashSet<>();
    try {
      if (shards.size() <= 1) {
        Safetensors.write(directory.resolve(SINGLE), Weights.METADATA, items);
        calls.delete(directory.resolve(INDEX));
      } else {
        for (int i = 0; i < shards.size(); i++) {
          String name = shard(i, shards.size());
          Safetensors.write(fresh(directory, name), Weights.METADATA, shards.get(i));
          written.add(name);
        }
        calls.delete(directory.resolve(INDEX));
        for (String name : written) {
          calls.rename(fresh(directory, name), directory.resolve(name));
        }
        AtomicFile.write(directory.resolve(INDEX), index(shards));
        calls.delete(directory.resolve(SINGLE));
      }
      for (String name : names(directory)) {
        if (SHARD.matcher(name).matches() && !written.contains(name)) {
          calls.delete(directory.resolve(name));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "%s: the weights could not be put in place (%s): check its permissions and write them again"
              .formatted(directory, e.getMessage()),
          e);
    } finally {
      written.forEach(name -> discard(fresh(directory, name)));
    }
  }

  private static String shard(int index, int count) {
    return "model-%05d-of-%05d.safetensors".formatted(index + 1, count);
  }

  private static Path fresh(Path directory, String shard) {
    return directory.resolve("." + shard + ".new");
  }

  private static void discard(Path file) {
    try {
      FileCalls.current().delete(file);
    } catch (IOException e) {
      // It has a hidden name that the next write uses again.
    }
  }

  private static List<List<Safetensors.Item>> shards(
      List<Safetensors.Item> items, long shardBytes) {
    List<List<Safetensors.Item>> shards = new ArrayList<>();
    long room = 0;
    for (Safetensors.Item item : items) {
      long bytes = item.dtype().bytes(item.shape().elements());
      if (shards.isEmpty() || bytes > room) {
        shards.add(new ArrayList<>());
        room = shardBytes;
      }
      shards.getLast().add(item);
      room -= bytes;
    }
    return shards;
  }

  private static String index(List<List<Safetensors.Item>> shards) {
    Map<String, Object> weightMap = new LinkedHashMap<>();
    long total = 0;
    for (int i = 0; i < shards.size(); i++) {
      String name = shard(i, shards.size());
      for (Safetensors.Item item : shards.get(i)) {
        weightMap.put(item.name(), name);
        total += item.dtype().bytes(item.shape().elements());
      }
    }
    Map<String, Object> index = new LinkedHashMap<>();
    index.put("metadata", Map.of("total_size", total));
    index.put("weight_map", weightMap);
    return Json.write(index) + "\n";
  }
}
