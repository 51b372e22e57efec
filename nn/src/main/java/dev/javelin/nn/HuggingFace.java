package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.tensor.io.Safetensors;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeSet;
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
  private static final Map<String, String> METADATA = Map.of("format", "pt");

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
      load(buffer, directory, files);
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

  private static void load(
      ParameterBuffer<Transformer> buffer, Path directory, List<Safetensors> files) {
    TransformerConfig config = buffer.model().config();
    NameTable table = NameTable.of(config);
    Map<String, Safetensors.Entry> entries = entries(table, files);
    Map<String, Path> homes = new LinkedHashMap<>();
    files.forEach(f -> f.entries().keySet().forEach(n -> homes.put(table.canonical(n), f.file())));
    for (Map.Entry<String, NameTable.Place> wanted : table.places().entrySet()) {
      String name = wanted.getKey();
      Safetensors.Entry entry = entries.remove(name);
      if (entry == null) {
        throw new FileFormatException(
            files.getFirst().file(),
            "tensor " + name + " is missing",
            name.equals("lm_head.weight")
                ? "set tie_word_embeddings to true in config.json if the head is the embedding"
                : "the weights do not belong to this config.json, or a shard is not there");
      }
      Parameter p = buffer.get(wanted.getValue().parameter());
      read(
          homes.getOrDefault(name, directory),
          entry,
          p,
          wanted.getValue(),
          (first, row) -> buffer.put(p, first, row, row.length));
    }
    Safetensors.Entry head = entries.remove("lm_head.weight");
    if (head != null) {
      checkTied(homes.getOrDefault("lm_head.weight", directory), head, buffer);
    }
    if (!entries.isEmpty()) {
      String name = new TreeSet<>(entries.keySet()).first();
      throw new FileFormatException(
          homes.getOrDefault(name, directory),
          "tensor %s is unexpected (%d such in all)".formatted(name, entries.size()),
          "the weights do not belong to this config.json");
    }
  }

  /** All tensors of all files under their full names, without buffers. */
  private static Map<String, Safetensors.Entry> entries(NameTable table, List<Safetensors> files) {
    Map<String, Safetensors.Entry> entries = new LinkedHashMap<>();
    for (Safetensors file : files) {
      for (Safetensors.Entry entry : file.entries().values()) {
        String name = table.canonical(entry.name());
        if (!NameTable.isBuffer(entry.name()) && entries.put(name, entry) != null) {
          throw new FileFormatException(
              file.file(), "tensor " + name + " is there twice", "remove one of the two");
        }
      }
    }
    return entries;
  }

  /** Takes a row of fp32 values that begins at an element of the parameter. */
  @FunctionalInterface
  private interface RowSink {
    void put(long firstElement, float[] row);
  }

  private static void read(
      Path file, Safetensors.Entry entry, Parameter p, NameTable.Place place, RowSink sink) {
    int columns = columns(p);
    Shape expected = storedShape(p, place);
    if (!entry.shape().equals(expected)) {
      throw new FileFormatException(
          file,
          "tensor " + entry.name() + " must be " + expected + ", got " + entry.shape(),
          "the weights do not belong to this config.json");
    }
    DType type = entry.dtype();
    if (!type.isFloat()) {
      throw new FileFormatException(
          file, "tensor " + entry.name() + " is " + type, "weights must be F32, BF16 or F16");
    }
    MemorySegment data = entry.data();
    float[] row = new float[columns];
    for (int r = 0; r < place.rows(); r++) {
      for (int c = 0; c < columns; c++) {
        long at = place.transposed() ? (long) c * place.rows() + r : (long) r * columns + c;
        row[c] = FloatBits.get(data, type, at);
        if (!Float.isFinite(row[c])) {
          throw new FileFormatException(
              file,
              "tensor %s holds %s at element %d".formatted(entry.name(), row[c], at),
              "training that wrote it diverged, or the file is damaged: use an earlier checkpoint");
        }
      }
      sink.put((long) (place.fromRow() + r) * columns, row);
    }
  }

  private static void checkTied(
      Path file, Safetensors.Entry head, ParameterBuffer<Transformer> buffer) {
    Parameter tokens = buffer.model().tokens();
    Tensor precise = buffer.precise(tokens);
    MemorySegment embedding = precise.toHost();
    NameTable.Place whole = new NameTable.Place("tokens", 0, tokens.value().dim(0), false);
    read(
        file,
        head,
        tokens,
        whole,
        (first, row) -> {
          for (int i = 0; i < row.length; i++) {
            float tied = FloatBits.get(embedding, precise.dtype(), first + i);
            if (FloatBits.round(row[i], precise.dtype()) != tied) {
              throw new FileFormatException(
                  file,
                  "lm_head.weight differs from the token embedding, though tie_word_embeddings is true",
                  "set tie_word_embeddings to false in config.json, or remove lm_head.weight");
            }
          }
        });
  }

  private static int columns(Parameter p) {
    return p.value().rank() == 1 ? 1 : p.value().last();
  }

  private static Shape storedShape(Parameter p, NameTable.Place place) {
    if (p.value().rank() == 1) {
      return Shape.of(place.rows());
    }
    int columns = p.value().last();
    return place.transposed() ? Shape.of(columns, place.rows()) : Shape.of(place.rows(), columns);
  }

  /**
   * Writes {@code config.json} and {@code model.safetensors} in the weights' own type, for this
   * engine and for transformers. Each file is there whole or not at all.
   *
   * @throws java.io.UncheckedIOException if the directory cannot be written or the disk is full
   */
  public static void save(ParameterBuffer<Transformer> buffer, Path directory) {
    TransformerConfig config = buffer.model().config();
    Safetensors.write(directory.resolve(SINGLE), METADATA, items(buffer, "", Parameter::value));
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
      Safetensors.write(directory.resolve(file), METADATA, shards.get(i));
      shards.get(i).forEach(item -> weightMap.put(item.name(), file));
    }
    Map<String, Object> index = new LinkedHashMap<>();
    index.put("metadata", Map.of("total_size", total));
    index.put("weight_map", weightMap);
    AtomicFile.write(directory.resolve(INDEX), Json.write(index) + "\n");
    buffer.model().config().write(directory, buffer.model().tokens().value().dtype());
  }

  /**
   * Tensors that stand beside the parameters, under Hugging Face's names: what {@code source} gives
   * for each parameter, of the parameter's shape, cut and transposed as the parameter is.
   * Parameters for which it gives {@code null} are left out.
   *
   * @param prefix put before each name, {@code "exp_avg."}
   */
  public static List<Safetensors.Item> items(
      ParameterBuffer<Transformer> buffer,
      String prefix,
      Function<Parameter, @Nullable Tensor> source) {
    List<Safetensors.Item> items = new ArrayList<>();
    NameTable.of(buffer.model().config())
        .places()
        .forEach(
            (name, place) -> {
              Parameter p = buffer.get(place.parameter());
              Tensor t = source.apply(p);
              if (t != null) {
                items.add(
                    new Safetensors.Item(
                        prefix + name, t.dtype(), storedShape(p, place), () -> bytes(t, place)));
              }
            });
    return items;
  }

  private static MemorySegment bytes(Tensor t, NameTable.Place place) {
    int columns = t.rank() == 1 ? 1 : t.last();
    long from = t.dtype().bytes((long) place.fromRow() * columns);
    MemorySegment rows = t.toHost().asSlice(from, t.dtype().bytes((long) place.rows() * columns));
    if (!place.transposed()) {
      return rows;
    }
    int size = t.dtype().byteSize();
    MemorySegment out = MemorySegment.ofArray(new byte[Math.toIntExact(rows.byteSize())]);
    for (int c = 0; c < columns; c++) {
      for (int r = 0; r < place.rows(); r++) {
        long to = (long) c * place.rows() + r;
        MemorySegment.copy(rows, ((long) r * columns + c) * size, out, to * size, size);
      }
    }
    return out;
  }

  /**
   * Reads tensors written by {@link #items} back into F32 tensors of the parameters' shapes.
   *
   * @throws FileFormatException if one is missing, of another shape, or not finite
   */
  public static void read(
      ParameterBuffer<Transformer> buffer,
      Safetensors file,
      String prefix,
      Function<Parameter, @Nullable Tensor> target) {
    NameTable.of(buffer.model().config())
        .places()
        .forEach(
            (name, place) -> {
              Parameter p = buffer.get(place.parameter());
              Tensor t = target.apply(p);
              if (t != null) {
                MemorySegment to = t.toHost();
                read(
                    file.file(),
                    file.get(prefix + name),
                    p,
                    place,
                    (first, row) ->
                        MemorySegment.copy(
                            MemorySegment.ofArray(row),
                            0,
                            to,
                            DType.F32.bytes(first),
                            DType.F32.bytes(row.length)));
                if (t.memory() instanceof DeviceMemory) {
                  t.fromHost(to);
                }
              }
            });
  }

  /** Hugging Face's names of the tensors that make up one of the model's parameters. */
  public static List<String> namesOf(TransformerConfig config, Parameter p) {
    return NameTable.of(config).namesOf(p.name());
  }
}
