package dev.javelin.train.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.FieldMismatchStrategy;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import dev.javelin.tensor.io.FileFormatException;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Text in files: a {@code .txt} is one document, a line of {@code .jsonl} and a row of {@code .csv}
 * are one each. All are UTF-8.
 *
 * @param files at least one, none a directory
 * @param column the field of a JSONL line, the column of a CSV file
 */
public record TextFiles(List<Path> files, String column) implements Texts {
  /** The field and column that holds the text unless told otherwise. */
  public static final String TEXT = "text";

  private static final String NOT_UTF8 =
      "convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8";
  private static final List<String> KINDS = List.of(".txt", ".jsonl", ".csv");

  /**
   * The files named, and all text files in the directories named, sorted by path.
   *
   * @throws InputException for a path that does not exist or is no text
   */
  public static TextFiles of(List<Path> paths, String column) {
    List<Path> files = new ArrayList<>();
    for (Path path : paths) {
      if (Files.isDirectory(path)) {
        files.addAll(textsIn(path));
      } else if (!Files.exists(path)) {
        throw new InputException(path + " does not exist: name an existing file or directory");
      } else if (!isText(path)) {
        throw new InputException(
            path + " is none of " + String.join(", ", KINDS) + ": rename or convert it");
      } else {
        files.add(path);
      }
    }
    if (files.isEmpty()) {
      throw new InputException("no text: name a file or directory with --data");
    }
    return new TextFiles(List.copyOf(files), column);
  }

  private static List<Path> textsIn(Path directory) {
    try (Stream<Path> all = Files.walk(directory)) {
      List<Path> texts = all.filter(p -> Files.isRegularFile(p) && isText(p)).sorted().toList();
      if (texts.isEmpty()) {
        throw new InputException(
            directory + " holds no " + String.join(", ", KINDS) + ": name another directory");
      }
      return texts;
    } catch (IOException e) {
      throw new UncheckedIOException(directory + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private static boolean isText(Path path) {
    return KINDS.stream().anyMatch(path.toString()::endsWith);
  }

  @Override
  public String name() {
    return files.size() == 1
        ? files.getFirst().toString()
        : files.getFirst() + " and " + (files.size() - 1) + " more";
  }

  @Override
  public boolean separated() {
    return files.size() > 1 || !files.getFirst().toString().endsWith(".txt");
  }

  @Override
  public Stream<String> documents() {
    return files.stream().flatMap(this::documents);
  }

  private Stream<String> documents(Path file) {
    try {
      if (file.toString().endsWith(".txt")) {
        return Stream.of(text(file));
      }
      InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16);
      Iterator<String> rows =
          file.toString().endsWith(".csv") ? csv(file, in) : new JsonLines(file, in, column);
      return StreamSupport.stream(
              Spliterators.spliteratorUnknownSize(rows, Spliterator.ORDERED), false)
          .onClose(() -> close(in));
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private static UncheckedIOException unreadable(Path file, IOException e) {
    return new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
  }

  private static void close(InputStream in) {
    try {
      in.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(Path file) throws IOException {
    if (Files.size(file) > Integer.MAX_VALUE - 16) {
      throw new FileFormatException(
          file, "is larger than 2 GB", "cut it into several files, or use JSONL");
    }
    byte[] bytes = Files.readAllBytes(file);
    String text = new String(bytes, StandardCharsets.UTF_8);
    int at = text.indexOf('\uFFFD') < 0 ? -1 : malformed(bytes);
    if (at >= 0) {
      String what = String.format("is not UTF-8: byte 0x%02X at position %d", bytes[at] & 0xFF, at);
      throw new FileFormatException(file, what, NOT_UTF8);
    }
    return text;
  }

  /** Where the first byte that is not UTF-8 stands, or -1. */
  private static int malformed(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(1 << 13);
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    CoderResult result;
    do {
      result = decoder.decode(in, out.clear(), true);
    } while (result.isOverflow());
    return result.isError() ? in.position() : -1;
  }

  private Iterator<String> csv(Path file, InputStream in) {
    var reader = new InputStreamReader(in, StandardCharsets.UTF_8.newDecoder());
    Iterator<NamedCsvRecord> records =
        CsvReader.builder()
            .extraFieldStrategy(FieldMismatchStrategy.STRICT)
            .missingFieldStrategy(FieldMismatchStrategy.STRICT)
            .allowUnclosedQuote(false)
            .ofNamedCsvRecord(reader)
            .iterator();
    return new Iterator<>() {
      private long row = 1;

      @Override
      public boolean hasNext() {
        try {
          return records.hasNext();
        } catch (CsvParseException | UncheckedIOException e) {
          throw bad(e);
        }
      }

      @Override
      public String next() {
        NamedCsvRecord record;
        try {
          record = records.next();
        } catch (CsvParseException | UncheckedIOException e) {
          throw bad(e);
        }
        row++;
        return record.findField(column).orElseThrow(() -> missing(record));
      }

      private FileFormatException missing(NamedCsvRecord record) {
        return record.getHeader().contains(column)
            ? new FileFormatException(
                file,
                "row " + row + " ends before column \"" + column + "\"",
                "write a field for every column of the first row")
            : new FileFormatException(
                file,
                "has no column \"" + column + "\"",
                "its columns are " + record.getHeader() + ", choose one with --column");
      }

      private RuntimeException bad(RuntimeException e) {
        Throwable cause = e;
        while (cause.getCause() != null) {
          cause = cause.getCause();
        }
        return switch (cause) {
          case CharacterCodingException utf8 ->
              new FileFormatException(file, "is not UTF-8 after row " + row, NOT_UTF8, utf8);
          case IOException io -> unreadable(file, io);
          default ->
              new FileFormatException(
                  file,
                  "is not CSV after row " + row + ": " + cause.getMessage(),
                  "quote fields that hold commas, quotes or newlines",
                  cause);
        };
      }
    };
  }

  /** The chosen field of each line that is not blank. */
  private static final class JsonLines implements Iterator<String> {
    private final Path file;
    private final InputStream in;
    private final String field;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();
    private long number;
    private boolean ready;

    JsonLines(Path file, InputStream in, String field) {
      this.file = file;
      this.in = in;
      this.field = field;
    }

    @Override
    public boolean hasNext() {
      while (!ready) {
        line.reset();
        number++;
        int b;
        try {
          for (b = in.read(); b >= 0 && b != '\n'; b = in.read()) {
            line.write(b);
          }
        } catch (IOException e) {
          throw unreadable(file, e);
        }
        ready = !line.toString(StandardCharsets.ISO_8859_1).isBlank();
        if (b < 0 && !ready) {
          return false;
        }
      }
      return true;
    }

    @Override
    public String next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      ready = false;
      JsonNode text;
      try {
        text = TokenFile.MAPPER.readTree(line.toByteArray()).path(field);
      } catch (JsonProcessingException e) {
        throw new FileFormatException(
            file,
            "line " + number + " is not JSON: " + e.getOriginalMessage(),
            "write one JSON object a line, in UTF-8",
            e);
      } catch (IOException e) {
        throw unreadable(file, e);
      }
      if (!text.isTextual()) {
        throw new FileFormatException(
            file,
            "line " + number + " has no text under \"" + field + "\"",
            "choose the field with --column");
      }
      return text.textValue();
    }
  }
}
