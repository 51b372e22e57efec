package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * CSV and its kin: names of columns in the first row, a document in each further one. Fields in
 * double quotes may hold delimiters, line ends (kept as they are) and, doubled, quotes; a quote
 * within an unquoted field is a character like others. A row ends with {@code \n}, {@code \r\n} or
 * {@code \r}. Blank lines are passed over; a row that has not as many fields as the first one is
 * refused. UTF-8; a byte order mark at the beginning is no part of the first name.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc4180">RFC 4180</a>
 */
final class DelimitedText implements DataFormat {
  private static final String QUOTING =
      "put fields that hold delimiters, quotes or line ends into quotes, and double quotes within";

  private final String suffix;
  private final char delimiter;

  DelimitedText(String suffix, char delimiter) {
    this.suffix = suffix;
    this.delimiter = delimiter;
  }

  @Override
  public List<String> suffixes() {
    return List.of(suffix);
  }

  @Override
  public boolean oneDocument() {
    return false;
  }

  @Override
  public Documents open(Path file) throws IOException {
    return new Rows(file);
  }

  private final class Rows implements Documents {
    private final Path file;
    private final Utf8Reader in;
    private final List<String> fields = new ArrayList<>();
    private @Nullable List<String> columns;

    /** Of the row under way, both from 1; they part where quoted fields hold line ends. */
    private long row;

    private long line = 1;

    /** Line ends within the row under way. */
    private int breaks;

    Rows(Path file) throws IOException {
      this.file = file;
      this.in = new Utf8Reader(file);
    }

    @Override
    public @Nullable Document next() throws IOException {
      if (columns == null) {
        if (!readRow()) {
          return null;
        }
        columns = names();
      }
      if (!readRow()) {
        return null;
      }
      if (fields.size() != columns.size()) {
        throw error(
            "has "
                + count(fields.size())
                + ", the first row has "
                + columns.size()
                + " ("
                + Printable.brief(columns.toString(), 100)
                + ")",
            QUOTING);
      }
      SequencedMap<String, @Nullable Object> byName = new LinkedHashMap<>();
      for (int i = 0; i < fields.size(); i++) {
        if (!columns.get(i).isEmpty()) {
          byName.put(columns.get(i), fields.get(i));
        }
      }
      return new Document(file, place(), byName);
    }

    private List<String> names() {
      List<String> names = List.copyOf(fields);
      for (int i = 0; i < names.size(); i++) {
        if (!names.get(i).isEmpty() && names.indexOf(names.get(i)) < i) {
          throw error(
              "names the column \"" + Printable.brief(names.get(i), 100) + "\" twice",
              "give every column a name of its own");
        }
      }
      return names;
    }

    private static String count(int fields) {
      return fields + (fields == 1 ? " field" : " fields");
    }

    /** Reads the next row that is not blank; false at the end of the file. */
    private boolean readRow() throws IOException {
      fields.clear();
      line += breaks;
      do {
        line += row == 0 ? 0 : 1;
        row++;
        breaks = 0;
        if (in.peek() < 0) {
          return false;
        }
      } while (in.lineEnd());
      do {
        fields.add(in.peek() == '"' ? quoted() : plain());
      } while (in.peek() == delimiter && in.read() >= 0);
      in.lineEnd();
      return true;
    }

    private String plain() throws IOException {
      StringBuilder text = new StringBuilder();
      for (int c = in.peek(); c >= 0 && c != delimiter && c != '\n' && c != '\r'; c = in.peek()) {
        append(text, in.read());
      }
      return text.toString();
    }

    private String quoted() throws IOException {
      StringBuilder text = new StringBuilder();
      in.read();
      for (int c = in.read(); c != '"' || in.peek() == '"'; c = in.read()) {
        if (c < 0) {
          throw error("has a quote that is not closed", QUOTING);
        }
        append(text, c);
        if (c == '"') {
          in.read();
        }
        breaks += c == '\n' || (c == '\r' && in.peek() != '\n') ? 1 : 0;
      }
      int next = in.peek();
      if (next >= 0 && next != delimiter && next != '\n' && next != '\r') {
        throw error("has text after a closing quote", QUOTING);
      }
      return text.toString();
    }

    private void append(StringBuilder text, int c) {
      if (text.length() == Utf8Reader.LONGEST) {
        throw error("has a field longer than 2 GB", "close its quote, or cut the document");
      }
      text.append((char) c);
    }

    private String place() {
      return row == line ? "row " + row : "row " + row + " (line " + line + ")";
    }

    private FileFormatException error(String what, String remedy) {
      return new FileFormatException(file, place() + " " + what, remedy);
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
