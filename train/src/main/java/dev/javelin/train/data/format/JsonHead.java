package dev.javelin.train.data.format;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** What a {@code .json} file holds, by its beginning: the name alone does not say. */
enum JsonHead {
  /** An array. */
  ARRAY,
  /** Several objects, one a line. */
  LINES,
  /** A single object, or anything else. */
  OTHER;

  private static final int LOOK = 1 << 16;

  /** An object that ends a line before another: in one JSON text a comma stands between them. */
  private static final Pattern NEXT_OBJECT = Pattern.compile("}[ \\t]*[\\r\\n]\\s*\\{");

  static JsonHead of(Path file) {
    if (!Files.isRegularFile(file)) {
      return OTHER;
    }
    try (InputStream in = Packing.open(file)) {
      String head = new String(in.readNBytes(LOOK), StandardCharsets.UTF_8);
      head = head.replaceFirst("^\uFEFF?[ \\t\\r\\n]*", "");
      return head.startsWith("[")
          ? ARRAY
          : head.startsWith("{") && NEXT_OBJECT.matcher(head).find() ? LINES : OTHER;
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }
}
