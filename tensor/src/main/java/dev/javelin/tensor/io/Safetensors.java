package dev.javelin.tensor.io;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A safetensors file, mapped into memory: 8 bytes little-endian header length N, N bytes of JSON
 * {@code {"name": {"dtype", "shape", "data_offsets": [from, to]}, "__metadata__": {…}}}, then the
 * data, to which the offsets are relative.
 *
 * <pre>
 *   0        8              8+N                                  file size
 *   | N, u64 | JSON, spaces | tensor | tensor | … no holes, no overlap |
 * </pre>
 *
 * The header is checked whole before any tensor is handed out: its length, each dtype and shape
 * against its offsets, and that the ranges tile the data exactly. Whatever the file holds, only
 * {@link FileFormatException} comes out.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
public final class Safetensors implements AutoCloseable {
  /** The reference implementation's bound, too; ten values describe a tensor. */
  private static final JsonRules HEADER =
      JsonRules.CONFIG
          .withKind("a safetensors header")
          .withMaxBytes(100_000_000)
          .withMaxValues(2_000_000)
          .withMaxTextBytes(100_000_000)
          .withMaxDepth(8)
          .withRemedy("the file is damaged or cut short: copy or download it again");

  private static final int MAX_RANK = 16;
  private static final String DAMAGED = HEADER.remedy();
  private static final Set<String> MEMBERS = Set.of("dtype", "shape", "data_offsets");
  private static final Map<String, Integer> TYPE_BYTES =
      Map.ofEntries(
          Map.entry("BOOL", 1),
          Map.entry("U8", 1),
          Map.entry("I8", 1),
          Map.entry("F8_E4M3", 1),
          Map.entry("F8_E5M2", 1),
          Map.entry("F8_E8M0", 1),
          Map.entry("U16", 2),
          Map.entry("I16", 2),
          Map.entry("F16", 2),
          Map.entry("BF16", 2),
          Map.entry("U32", 4),
          Map.entry("I32", 4),
          Map.entry("F32", 4),
          Map.entry("U64", 8),
          Map.entry("I64", 8),
          Map.entry("F64", 8),
          Map.entry("C64", 8));

  private final Path file;
  private final Arena arena;
  private final SequencedMap<String, Entry> entries;
  private final SequencedMap<String, String> metadata;

  private Safetensors(
      Path file,
      Arena arena,
      SequencedMap<String, Entry> entries,
      SequencedMap<String, String> metadata) {
    this.file = file;
    this.arena = arena;
    this.entries = Collections.unmodifiableSequencedMap(entries);
    this.metadata = Collections.unmodifiableSequencedMap(metadata);
  }

  /**
   * Maps {@code file} and checks its header.
   *
   * @throws FileFormatException if it is missing or is not a whole safetensors file
   */
  public static Safetensors open(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new FileFormatException(file, "there is no such file", "check the path");
    }
    Arena arena = Arena.ofShared();
    boolean opened = false;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      MemorySegment bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      Safetensors result = parse(file, arena, bytes);
      opened = true;
      return result;
    } catch (IOException e) {
      throw new FileFormatException(file, "cannot be read (" + e + ")", "check its permissions");
    } finally {
      if (!opened) {
        arena.close();
      }
    }
  }

  /** Checks the header of a file's {@code bytes}, which live as long as {@code arena}. */
  static Safetensors parse(Path file, Arena arena, MemorySegment bytes) {
    if (bytes.byteSize() < 8) {
      throw new FileFormatException(
          file, "has " + bytes.byteSize() + " bytes, a header length needs 8", DAMAGED);
    }
    long headerBytes = bytes.get(LITTLE_ENDIAN_LONG, 0);
    if (headerBytes < 2 || headerBytes > HEADER.maxBytes() || headerBytes > bytes.byteSize() - 8) {
      throw new FileFormatException(
          file,
          "header length "
              + Long.toUnsignedString(headerBytes)
              + " does not fit a file of "
              + bytes.byteSize()
              + " bytes",
          DAMAGED);
    }
    JsonObject header = Json.parse(file, bytes.asSlice(8, headerBytes).asByteBuffer(), HEADER);
    MemorySegment data = bytes.asSlice(8 + headerBytes);
    SequencedMap<String, Entry> entries = new LinkedHashMap<>();
    SequencedMap<String, String> metadata = new LinkedHashMap<>();
    for (String name : header.members().keySet()) {
      if (name.equals("__metadata__")) {
        JsonObject texts = header.object(name);
        texts.members().keySet().forEach(key -> metadata.put(key, texts.text(key)));
      } else {
        entries.put(name, entry(file, name, header.object(name), data));
      }
    }
    checkTiling(file, entries.values(), data);
    return new Safetensors(file, arena, entries, metadata);
  }

  private static Entry entry(Path file, String name, JsonObject json, MemorySegment data) {
    for (String key : json.members().keySet()) {
      if (!MEMBERS.contains(key)) {
        throw damaged(file, name, "has the unknown key " + key);
      }
    }
    String type = json.text("dtype");
    Integer typeBytes = TYPE_BYTES.get(type);
    if (typeBytes == null) {
      throw new FileFormatException(
          file,
          "tensor " + name + " has the unknown dtype " + type,
          "convert the file to F32, BF16 or F16");
    }
    List<@Nullable Object> dims = json.array("shape");
    if (dims.size() > MAX_RANK) {
      throw damaged(file, name, "has " + dims.size() + " dimensions, at most " + MAX_RANK + " go");
    }
    int[] shape = new int[dims.size()];
    long elements = 1;
    for (int i = 0; i < shape.length; i++) {
      if (!(dims.get(i) instanceof Long dim) || dim < 0 || dim > Integer.MAX_VALUE) {
        throw damaged(file, name, "has a bad shape " + JsonObject.brief(dims));
      }
      shape[i] = dim.intValue();
      long high = Math.multiplyHigh(elements, dim);
      elements *= dim;
      if (high != 0 || elements < 0 || elements > Long.MAX_VALUE / 8) {
        throw damaged(file, name, "has an impossible shape " + JsonObject.brief(dims));
      }
    }
    List<@Nullable Object> offsets = json.array("data_offsets");
    if (offsets.size() != 2
        || !(offsets.get(0) instanceof Long from)
        || !(offsets.get(1) instanceof Long to)
        || from < 0
        || to < from
        || to > data.byteSize()) {
      throw damaged(
          file,
          name,
          "has data_offsets "
              + JsonObject.brief(offsets)
              + " outside the "
              + data.byteSize()
              + " bytes of data");
    }
    if (to - from != elements * typeBytes) {
      throw damaged(
          file,
          name,
          type
              + " "
              + JsonObject.brief(dims)
              + " takes "
              + elements * typeBytes
              + " bytes, its data_offsets give "
              + (to - from));
    }
    return new Entry(file, name, type, Shape.of(shape), data.asSlice(from, to - from));
  }

  private static void checkTiling(Path file, Collection<Entry> entries, MemorySegment data) {
    List<Entry> ordered = new ArrayList<>(entries);
    ordered.sort(
        Comparator.<Entry>comparingLong(e -> e.data.address())
            .thenComparingLong(e -> e.data.byteSize()));
    long end = 0;
    for (Entry e : ordered) {
      long from = e.data.address() - data.address();
      if (from != end) {
        throw damaged(
            file,
            e.name,
            from < end
                ? "overlaps the tensor before it by " + (end - from) + " bytes"
                : "leaves a hole of " + (from - end) + " bytes before it");
      }
      end += e.data.byteSize();
    }
    if (end != data.byteSize()) {
      throw new FileFormatException(
          file, "has " + data.byteSize() + " bytes of data, its tensors take " + end, DAMAGED);
    }
  }

  private static FileFormatException damaged(Path file, String name, String what) {
    return new FileFormatException(file, "tensor " + name + " " + what, DAMAGED);
  }

  public Path file() {
    return file;
  }

  /** All tensors by name, in the header's order. */
  public SequencedMap<String, Entry> entries() {
    return entries;
  }

  /** The file's own notes, {@code {"format": "pt"}} in files of Hugging Face. */
  public SequencedMap<String, String> metadata() {
    return metadata;
  }

  /**
   * The tensor of that name.
   *
   * @throws FileFormatException if there is none; the error names the tensors that come nearest
   */
  public Entry get(String name) {
    Entry entry = entries.get(name);
    if (entry == null) {
      throw new FileFormatException(
          file,
          "has no tensor " + name,
          "it holds " + entries.size() + " tensors, such as " + firstNames());
    }
    return entry;
  }

  private String firstNames() {
    return String.join(", ", new TreeSet<>(entries.keySet()).stream().limit(3).toList());
  }

  /** Unmaps the file; entries must not be read afterwards. */
  @Override
  public void close() {
    arena.close();
  }

  private static final ValueLayout.OfLong LITTLE_ENDIAN_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** One tensor of a file: little-endian, dense, aligned to one byte only. */
  public static final class Entry {
    private final Path file;
    private final String name;
    private final String type;
    private final Shape shape;
    private final MemorySegment data;

    private Entry(Path file, String name, String type, Shape shape, MemorySegment data) {
      this.file = file;
      this.name = name;
      this.type = type;
      this.shape = shape;
      this.data = data;
    }

    public String name() {
      return name;
    }

    /** The dtype's name in the file, {@code "BF16"}; also those that have no {@link DType}. */
    public String type() {
      return type;
    }

    /**
     * The dtype.
     *
     * @throws FileFormatException for one that tensors cannot have, such as F64
     */
    public DType dtype() {
      for (DType dtype : DType.values()) {
        if (dtype.name().equals(type)) {
          return dtype;
        }
      }
      throw new FileFormatException(
          file,
          "tensor " + name + " has the unsupported dtype " + type,
          "convert it to one of F32, BF16, F16, I32, I64, U8");
    }

    public Shape shape() {
      return shape;
    }

    /** The bytes, valid until the file is closed; read them with unaligned layouts. */
    public MemorySegment data() {
      return data;
    }
  }

  /**
   * A tensor to be written. The bytes are asked for once, when its turn comes, so that converted
   * tensors need not all exist at the same time: they may share memory, and are written before the
   * next is asked for.
   *
   * @param data off-heap memory or a byte array
   */
  public record Item(String name, DType dtype, Shape shape, Supplier<MemorySegment> data) {
    long bytes() {
      return dtype.bytes(shape.elements());
    }
  }

  /**
   * Writes {@code items} to {@code target} through {@link AtomicFile}, larger element types first
   * so that all data is aligned, otherwise in the given order; the header is padded with spaces to
   * a multiple of 8 bytes.
   *
   * @param metadata the file's notes; {@code {"format": "pt"}} is what transformers asks for
   * @throws java.io.UncheckedIOException if the disk is full or the directory cannot be written; an
   *     earlier file is then untouched
   * @throws IllegalArgumentException if a name stands twice or the bytes do not match the shape
   */
  public static void write(Path target, Map<String, String> metadata, List<Item> items) {
    List<Item> ordered = new ArrayList<>(items);
    ordered.sort(Comparator.comparingInt((Item item) -> -item.dtype.byteSize()));
    Map<String, Object> header = new LinkedHashMap<>();
    if (!metadata.isEmpty()) {
      header.put("__metadata__", metadata);
    }
    long end = 0;
    for (Item item : ordered) {
      long from = end;
      end = from + item.bytes();
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("dtype", item.dtype.name());
      json.put("shape", Arrays.stream(item.shape.toArray()).boxed().toList());
      json.put("data_offsets", List.of(from, end));
      if (header.put(item.name, json) != null) {
        throw new IllegalArgumentException("safetensors: two tensors are named " + item.name);
      }
    }
    byte[] json = Json.writeCompact(header).getBytes(StandardCharsets.UTF_8);
    int padded = (json.length + 7) / 8 * 8;
    ByteBuffer head = ByteBuffer.allocate(8 + padded).order(ByteOrder.LITTLE_ENDIAN);
    head.putLong(padded).put(json);
    while (head.hasRemaining()) {
      head.put((byte) ' ');
    }
    head.flip();
    AtomicFile.write(
        target,
        channel -> {
          AtomicFile.writeAll(channel, head);
          for (Item item : ordered) {
            MemorySegment data = item.data.get();
            if (data.byteSize() != item.bytes()) {
              throw new IllegalArgumentException(
                  "safetensors: %s must have %d bytes, got %d"
                      .formatted(item.name, item.bytes(), data.byteSize()));
            }
            AtomicFile.writeAll(channel, data);
          }
        });
  }
}
