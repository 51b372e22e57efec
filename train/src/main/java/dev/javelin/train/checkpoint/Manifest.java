package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * {@code manifest.json}: length and CRC-32C of every other file of a checkpoint, so that bytes that
 * were lost or changed are noticed before a run goes on from them. It is the last file written, and
 * says beside that where the checkpoint comes from. Checkpoints of format 1 have no such file;
 * their state lists the lengths.
 */
record Manifest(SortedMap<String, Entry> files) {
  static final String FILE = "manifest.json";

  private static final int CHUNK = 1 << 20;

  /**
   * A file as it was written.
   *
   * @param checksum CRC-32C of its bytes, null where only the length is known
   */
  record Entry(long bytes, @Nullable Integer checksum) {}

  /** The files of a directory as they stand on the disk. */
  static Manifest of(Path directory) throws IOException {
    SortedMap<String, Entry> files = new TreeMap<>();
    try (Stream<Path> children = Files.list(directory)) {
      for (Path file : children.toList()) {
        files.put(file.getFileName().toString(), new Entry(Files.size(file), checksum(file)));
      }
    }
    return new Manifest(files);
  }

  /**
   * @param origin what else it says, for people: nothing reads it back
   */
  void write(Path directory, Map<String, Object> origin) {
    Map<String, Object> json = new LinkedHashMap<>();
    files.forEach(
        (name, entry) -> {
          Map<String, Object> file = new LinkedHashMap<>();
          file.put("bytes", entry.bytes);
          file.put("crc32c", String.format("%08x", entry.checksum));
          json.put(name, file);
        });
    Map<String, Object> all = new LinkedHashMap<>(Map.of("files", json));
    all.putAll(origin);
    AtomicFile.write(directory.resolve(FILE), Json.write(all) + "\n");
  }

  static boolean existsIn(Path directory) {
    return Files.exists(directory.resolve(FILE), LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * @throws FileFormatException where the file cannot be read, or names what is no file of its
   *     directory
   */
  static Manifest read(Path directory) {
    JsonObject json = Json.read(directory.resolve(FILE)).object("files");
    SortedMap<String, Entry> files = new TreeMap<>();
    for (String name : json.members().keySet()) {
      JsonObject file = json.object(name);
      String sum = file.text("crc32c");
      if (!sum.matches("[0-9a-f]{8}")) {
        throw file.error("crc32c", "must be eight hexadecimal digits");
      }
      files.put(
          checked(json, name), new Entry(length(file, "bytes"), Integer.parseUnsignedInt(sum, 16)));
    }
    return notEmpty(json, files);
  }

  /** Reads what states of format 1 list: lengths by name. */
  static Manifest ofSizes(JsonObject json) {
    SortedMap<String, Entry> files = new TreeMap<>();
    for (String name : json.members().keySet()) {
      files.put(checked(json, name), new Entry(length(json, name), null));
    }
    return notEmpty(json, files);
  }

  private static Manifest notEmpty(JsonObject json, SortedMap<String, Entry> files) {
    if (files.isEmpty()) {
      throw new FileFormatException(
          json.file(), "lists no files", "take an earlier checkpoint, or copy this one again");
    }
    return new Manifest(files);
  }

  private static long length(JsonObject json, String key) {
    if (json.members().get(key) instanceof Long value && value >= 0) {
      return value;
    }
    throw json.error(key, "must be a length in bytes");
  }

  private static String checked(JsonObject json, String name) {
    boolean plain =
        !name.isEmpty()
            && !name.equals(".")
            && !name.equals("..")
            && name.chars().noneMatch(c -> c == '/' || c == '\\' || c < ' ');
    try {
      if (plain && Path.of(name).getNameCount() == 1) {
        return name;
      }
    } catch (InvalidPathException e) {
      // no name of a file: refused below
    }
    throw json.error(name, "is not the name of a file in this directory");
  }

  /**
   * @param bytes whether to read all files, or to look at their lengths only
   * @throws IncompleteCheckpointException where a file is not what was written
   */
  void check(Path directory, boolean bytes) {
    files.forEach(
        (name, entry) -> {
          Path file = directory.resolve(name);
          try {
            long size = Files.isRegularFile(file) ? Files.size(file) : -1;
            if (size != entry.bytes) {
              throw IncompleteCheckpointException.length(directory, name, entry.bytes, size);
            }
            if (bytes && entry.checksum != null && checksum(file) != entry.checksum) {
              throw IncompleteCheckpointException.bytes(directory, name);
            }
          } catch (IOException e) {
            throw IncompleteCheckpointException.unreadable(directory, name, e);
          }
        });
  }

  private static int checksum(Path file) throws IOException {
    CRC32C sum = new CRC32C();
    ByteBuffer chunk = ByteBuffer.allocateDirect(CHUNK);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      while (channel.read(chunk) >= 0) {
        sum.update(chunk.flip());
        chunk.clear();
      }
    }
    return (int) sum.getValue();
  }
}
