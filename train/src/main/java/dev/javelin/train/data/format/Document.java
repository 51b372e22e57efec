package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import java.nio.file.Path;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * A document as it stands in a file.
 *
 * @param file where it stands
 * @param place where in the file, such as {@code line 7}; empty where it is the whole file
 * @param fields what it consists of, by name: values as {@link dev.javelin.tensor.io.Json} reads
 *     them
 */
public record Document(Path file, String place, SequencedMap<String, @Nullable Object> fields) {
  private static final int LONGEST_LIST = 200;

  /**
   * The text of a field.
   *
   * @throws FileFormatException where there is none
   */
  public String text(String field) {
    if (fields.get(field) instanceof String text) {
      return text;
    }
    throw error(
        "has no text under \"" + Printable.brief(field, LONGEST_LIST) + "\"",
        "it has "
            + Printable.brief(fields.keySet().toString(), LONGEST_LIST)
            + ", choose one with --column");
  }

  /** {@code docs.jsonl line 7}, for messages. */
  public String source() {
    return place.isEmpty() ? file.toString() : file + " " + place;
  }

  /** What to throw where the document is not as it should be. */
  public FileFormatException error(String what, String remedy) {
    return new FileFormatException(file, place.isEmpty() ? what : place + " " + what, remedy);
  }
}
