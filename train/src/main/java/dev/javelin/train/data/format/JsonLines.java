package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonRules;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A JSON object a line, blank lines aside. A line ends with {@code \n}, {@code \r\n} or {@code \r},
 * none of which can stand in a JSON string as it is. UTF-8; a byte order mark may stand at the
 * beginning of any line, where files were put together.
 *
 * @see <a href="https://jsonlines.org">jsonlines.org</a>
 */
final class JsonLines implements DataFormat {
  /** A document may be as long as memory allows. */
  static final JsonRules RULES =
      JsonRules.LINE.withMaxBytes(Integer.MAX_VALUE - 16).withMaxTextBytes(Integer.MAX_VALUE - 16);

  @Override
  public List<String> suffixes() {
    return List.of(".jsonl", ".ndjson");
  }

  /** Also a {@code .json} file that holds an object a line, as many do. */
  @Override
  public boolean reads(Path file) {
    return DataFormat.super.reads(file)
        || Packing.plainName(file).endsWith(".json") && JsonHead.of(file) == JsonHead.LINES;
  }

  @Override
  public boolean oneDocument() {
    return false;
  }

  @Override
  public boolean goesOn() {
    return true;
  }

  @Override
  public Documents open(Path file) throws IOException {
    LineReader lines = new LineReader(file);
    return new Documents() {
      @Override
      public @Nullable Document next() throws IOException {
        while (lines.next()) {
          if (!isBlank(lines.line(), lines.length())) {
            return document(file, lines);
          }
        }
        return null;
      }

      @Override
      public void close() throws IOException {
        lines.close();
      }
    };
  }

  private static Document document(Path file, LineReader lines) {
    String place = "line " + lines.number();
    try {
      return new Document(
          file, place, Json.parse(file, place, lines.line(), 0, lines.length(), RULES).members());
    } catch (FileFormatException e) {
      lines.requireUtf8(); // the better reason, where it is one
      throw e;
    }
  }

  private static boolean isBlank(byte[] line, int length) {
    int from = Head.UTF_8.begins(ByteBuffer.wrap(line, 0, length)) ? 3 : 0;
    for (int i = from; i < length; i++) {
      if (line[i] != ' ' && line[i] != '\t') {
        return false;
      }
    }
    return true;
  }
}
