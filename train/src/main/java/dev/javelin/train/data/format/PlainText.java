package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * A file that is one document, taken as it is: line ends of any kind are kept. UTF-8; a byte order
 * mark at its beginning is no part of the text.
 */
public final class PlainText implements DataFormat {
  /** The field that holds the text. */
  public static final String FIELD = "text";

  PlainText() {}

  @Override
  public List<String> suffixes() {
    return List.of(".txt");
  }

  @Override
  public boolean oneDocument() {
    return true;
  }

  @Override
  public Documents open(Path file) throws IOException {
    Utf8Reader in = new Utf8Reader(file);
    return new Documents() {
      private boolean read;

      @Override
      public @Nullable Document next() throws IOException {
        if (read) {
          return null;
        }
        read = true;
        SequencedMap<String, @Nullable Object> fields = new LinkedHashMap<>();
        fields.put(FIELD, text(file, in));
        return new Document(file, "", fields);
      }

      @Override
      public void close() throws IOException {
        in.close();
      }
    };
  }

  /** The bytes and the text, nothing else of their size. */
  private static String text(Path file, Utf8Reader in) throws IOException {
    byte[] bytes;
    if (Packing.of(file) == null) {
      if (Files.size(file) > Utf8Reader.LONGEST) {
        throw tooLarge(file);
      }
      bytes = Files.readAllBytes(file);
    } else {
      try (InputStream whole = Packing.open(file)) {
        bytes = whole.readNBytes(Utf8Reader.LONGEST);
        if (whole.read() >= 0) {
          throw tooLarge(file);
        }
      }
    }
    String text = new String(bytes, in.begin(), bytes.length - in.begin(), StandardCharsets.UTF_8);
    if (text.indexOf('\uFFFD') >= 0) {
      in.skipAll(); // says where, unless the text has this character itself
    }
    return text;
  }

  private static FileFormatException tooLarge(Path file) {
    return new FileFormatException(
        file, "is larger than 2 GB", "cut it into several files, or use JSONL");
  }
}
