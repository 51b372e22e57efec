package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of any model, and what stands beside them, as tensors of a safetensors file: under
 * the model's own names, or those it has in files (see {@link NamedInFiles}). Values of any float
 * type, F64 too, are converted to the type they are read into.
 *
 * <pre>{@code
 * Weights.save(buffer, Path.of("model.safetensors"));
 * Weights.load(buffer, Path.of("model.safetensors"));
 * }</pre>
 */
public final class Weights {
  static final Map<String, String> METADATA = Map.of("format", "pt");

  private Weights() {}

  /**
   * Writes all parameters in their own types; the file is there whole or not at all.
   *
   * @throws java.io.UncheckedIOException if it cannot be written or the disk is full
   */
  public static void save(ParameterBuffer<?> buffer, Path file) {
    Safetensors.write(file, METADATA, items(buffer, "", Parameter::value));
  }

  /**
   * Reads all parameters, and the masters of half types with them.
   *
   * @throws FileFormatException if a tensor is missing, unexpected, of another shape, of no float
   *     type or not finite, or if the file is damaged. The buffer's content is then undefined.
   */
  public static void load(ParameterBuffer<?> buffer, Path file) {
    try (Safetensors tensors = Safetensors.open(file)) {
      load(buffer, NameTable.of(buffer), List.of(tensors), file);
    }
  }

  /**
   * The model of a file. Names, shapes and types of all tensors are compared with the model before
   * anything of its size is allocated.
   *
   * @param table the names of its parameters in the file
   * @throws FileFormatException as {@link #load(ParameterBuffer, Path)} does
   */
  public static <M extends Record> ParameterBuffer<M> load(
      Device device,
      Precision precision,
      Grouping grouping,
      Function<Declare, M> model,
      NameTable table,
      Path file) {
    try (Safetensors tensors = Safetensors.open(file)) {
      check(table, ParameterBuffer.shapes(device, model), List.of(tensors), file);
      ParameterBuffer<M> buffer = ParameterBuffer.allocate(device, precision, grouping, model);
      try {
        load(buffer, table, List.of(tensors), file);
        return buffer;
      } catch (RuntimeException | OutOfMemoryError e) {
        buffer.close();
        throw e;
      }
    }
  }

  /** Reads all parameters from some files together; {@code whole} names them in errors. */
  static void load(
      ParameterBuffer<?> buffer, NameTable table, List<Safetensors> files, Path whole) {
    Map<String, Shape> shapes = new LinkedHashMap<>();
    buffer.named().forEach((name, p) -> shapes.put(name, p.shape()));
    Map<String, Home> homes = check(table, shapes, files, whole);
    if (buffer.isRehearsal()) {
      return;
    }
    table
        .places()
        .forEach(
            (name, place) -> {
              Parameter p = buffer.get(place.parameter());
              Home home = homes.get(name);
              if (home == null) { // the check let it pass
                return;
              }
              read(home, p, place, (first, row) -> buffer.put(p, first, row, row.length));
            });
    table
        .copies()
        .forEach(
            (name, place) -> {
              Home home = homes.get(name);
              if (home != null) {
                requireEqual(buffer, home, place, table.namesOf(place.parameter()).getFirst());
              }
            });
  }

  /**
   * Compares the tensors of some files with what a model has, before anything is allocated or read.
   *
   * @param shapes of the model's parameters, by name
   * @return where each tensor stands
   * @throws FileFormatException if one is missing, unexpected, of another shape or of no float type
   */
  static Map<String, Home> check(
      NameTable table, Map<String, Shape> shapes, List<Safetensors> files, Path whole) {
    Map<String, Home> homes = homes(table, files);
    Map<String, Home> rest = new TreeMap<>(homes);
    table
        .places()
        .forEach(
            (name, place) -> {
              Home home = rest.remove(name);
              if (home == null && table.isOptional(name)) {
                return;
              }
              if (home == null) {
                throw new FileFormatException(
                    whole, "tensor " + name + " is missing", table.remedy(name));
              }
              check(home, shapes, place);
            });
    table
        .copies()
        .forEach(
            (name, place) -> {
              Home home = rest.remove(name);
              if (home != null) {
                check(home, shapes, place);
              }
            });
    for (Map.Entry<String, Home> first : rest.entrySet()) {
      throw new FileFormatException(
          first.getValue().file(),
          "tensor %s is unexpected (%d such in all)".formatted(first.getKey(), rest.size()),
          NameTable.OTHER_MODEL);
    }
    return homes;
  }

  private static void check(Home home, Map<String, Shape> shapes, NameTable.Place place) {
    Shape shape = shapes.get(place.parameter());
    if (shape == null) {
      throw new IllegalStateException("the model has no parameter " + place.parameter());
    }
    check(home, storedShape(shape, place));
  }

  private static void check(Home home, Shape expected) {
    Safetensors.Entry entry = home.entry();
    if (!entry.shape().equals(expected)) {
      throw new FileFormatException(
          home.file(),
          "tensor " + entry.name() + " must be " + expected + ", got " + entry.shape(),
          NameTable.OTHER_MODEL);
    }
    elements(home);
  }

  private static FloatBits.Elements elements(Home home) {
    FloatBits.Elements elements = FloatBits.of(home.entry());
    if (elements == null) {
      throw new FileFormatException(
          home.file(),
          "tensor " + home.entry().name() + " is " + home.entry().type(),
          "weights must be F32, BF16, F16 or F64");
    }
    return elements;
  }

  /** A tensor and the file it stands in. */
  record Home(Path file, Safetensors.Entry entry) {}

  /**
   * All tensors of all files under their full names, without buffers. Of two that are one parameter
   * some files hold only the copy.
   */
  private static Map<String, Home> homes(NameTable table, List<Safetensors> files) {
    Map<String, Home> homes = new LinkedHashMap<>();
    for (Safetensors file : files) {
      for (Safetensors.Entry entry : file.entries().values()) {
        String name = table.canonical(entry.name());
        if (!table.isBuffer(name) && homes.put(name, new Home(file.file(), entry)) != null) {
          throw new FileFormatException(
              file.file(), "tensor " + name + " occurs twice", "remove one of the two");
        }
      }
    }
    table
        .copies()
        .forEach(
            (copy, place) ->
                table
                    .places()
                    .forEach(
                        (name, original) -> {
                          if (original.equals(place) && !homes.containsKey(name)) {
                            Home home = homes.remove(copy);
                            if (home != null) {
                              homes.put(name, home);
                            }
                          }
                        }));
    return homes;
  }

  /** Takes a row of fp32 values that begins at an element of the parameter. */
  @FunctionalInterface
  private interface RowSink {
    void put(long firstElement, float[] row);
  }

  private static void read(Home home, Parameter p, NameTable.Place place, RowSink sink) {
    Path file = home.file();
    Safetensors.Entry entry = home.entry();
    int columns = columns(p);
    check(home, storedShape(p.shape(), place));
    FloatBits.Elements elements = elements(home);
    float[] row = new float[columns];
    for (int r = 0; r < place.rows(); r++) {
      for (int c = 0; c < columns; c++) {
        long at = place.transposed() ? (long) c * place.rows() + r : (long) r * columns + c;
        row[c] = elements.get(at);
        if (!Float.isFinite(row[c])) {
          throw new FileFormatException(
              file,
              "tensor %s holds %s at element %d".formatted(entry.name(), row[c], at),
              "training that wrote it diverged, or the file is damaged: use an earlier checkpoint");
        }
      }
      sink.put((long) place.row(r) * columns, row);
    }
  }

  /** Requires that a second copy of a tensor, such as a tied head, is what was read before. */
  private static void requireEqual(
      ParameterBuffer<?> buffer, Home home, NameTable.Place place, String original) {
    Parameter p = buffer.get(place.parameter());
    Tensor precise = buffer.precise(p);
    MemorySegment values = precise.toHost();
    read(
        home,
        p,
        place,
        (first, row) -> {
          for (int i = 0; i < row.length; i++) {
            float wanted = FloatBits.get(values, precise.dtype(), first + i);
            if (FloatBits.round(row[i], precise.dtype()) != wanted) {
              throw new FileFormatException(
                  home.file(),
                  "%s differs from %s, though tie_word_embeddings is true"
                      .formatted(home.entry().name(), original),
                  "set tie_word_embeddings to false in config.json, or remove "
                      + home.entry().name());
            }
          }
        });
  }

  /** Elements of a row; those of a vector are rows of one, those of a deeper tensor its last. */
  private static int columns(Parameter p) {
    return p.shape().rank() < 2 ? 1 : p.shape().dim(-1);
  }

  private static Shape storedShape(Shape shape, NameTable.Place place) {
    if (!place.transposed() && place.rows() == NameTable.rows(shape)) {
      return shape;
    }
    if (shape.rank() == 1) {
      return Shape.of(place.rows());
    }
    int columns = shape.last();
    return place.transposed() ? Shape.of(columns, place.rows()) : Shape.of(place.rows(), columns);
  }

  /**
   * Tensors that stand beside the parameters, under the names they have in files: what {@code
   * source} gives for each parameter, of the parameter's shape, cut and transposed as the parameter
   * is. Parameters for which it gives {@code null} are left out.
   *
   * @param prefix put before each name, {@code "exp_avg."}
   */
  public static List<Safetensors.Item> items(
      ParameterBuffer<?> buffer, String prefix, Function<Parameter, @Nullable Tensor> source) {
    List<Safetensors.Item> items = new ArrayList<>();
    Room room = new Room();
    NameTable.of(buffer)
        .places()
        .forEach(
            (name, place) -> {
              Parameter p = buffer.get(place.parameter());
              Tensor t = source.apply(p);
              if (t == p.value() && p.quantized() != null) {
                throw new IllegalStateException(
                    p.name()
                        + " is kept as "
                        + p.quantized().format().label()
                        + ", which files of weights do not hold: save the adapter beside it");
              }
              if (t != null) {
                items.add(
                    new Safetensors.Item(
                        prefix + name,
                        t.dtype(),
                        storedShape(p.shape(), place),
                        () -> bytes(t, place, room)));
              }
            });
    return items;
  }

  /** Memory for a converted tensor; each is written before the next is asked for. */
  private static final class Room {
    private byte[] bytes = {};

    MemorySegment of(long size) {
      if (bytes.length < size) {
        bytes = new byte[Math.toIntExact(size)];
      }
      return MemorySegment.ofArray(bytes).asSlice(0, size);
    }
  }

  private static MemorySegment bytes(Tensor t, NameTable.Place place, Room room) {
    int columns = t.rank() < 2 ? 1 : t.last();
    long from = t.dtype().bytes((long) place.fromRow() * columns);
    MemorySegment rows = t.toHost().asSlice(from, t.dtype().bytes((long) place.rows() * columns));
    if (!place.transposed() && place.order() == null) {
      return rows;
    }
    int size = t.dtype().byteSize();
    MemorySegment out = room.of(rows.byteSize());
    if (!place.transposed()) {
      long bytes = (long) columns * size;
      for (int r = 0; r < place.rows(); r++) {
        long ours = place.row(r) - place.fromRow();
        MemorySegment.copy(rows, ours * bytes, out, r * bytes, bytes);
      }
      return out;
    }
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
      ParameterBuffer<?> buffer,
      Safetensors file,
      String prefix,
      Function<Parameter, @Nullable Tensor> target) {
    NameTable.of(buffer)
        .places()
        .forEach(
            (name, place) -> {
              Parameter p = buffer.get(place.parameter());
              Tensor t = target.apply(p);
              if (t != null) {
                MemorySegment to = t.toHost();
                read(
                    new Home(file.file(), file.get(prefix + name)),
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
}
