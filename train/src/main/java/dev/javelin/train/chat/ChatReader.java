package dev.javelin.train.chat;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.format.DataFormat;
import dev.javelin.train.data.format.DataFormats;
import dev.javelin.train.data.format.Document;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Goes through the rows of files: read one after the other, made into examples by all cores, handed
 * on in order; the same for any number of threads.
 */
final class ChatReader {
  /** Rows under way at once. */
  private static final int TOGETHER = 256;

  private final boolean skipBadRows;
  private long skipped;
  private @Nullable String firstSkipped;

  ChatReader(boolean skipBadRows) {
    this.skipBadRows = skipBadRows;
  }

  /** What became of a row. */
  private record Outcome<T>(@Nullable T made, @Nullable RuntimeException wrong) {}

  /**
   * Makes every row of a file into something, in order.
   *
   * @throws InputException or {@link FileFormatException} for a row that cannot be used, unless
   *     such rows are passed over
   */
  <T> void read(Path file, Function<Document, T> make, BiConsumer<Document, T> take) {
    DataFormat format = DataFormats.of(file).orElseThrow();
    try (DataFormat.Documents rows = format.open(file)) {
      List<Document> together = new ArrayList<>();
      boolean more = true;
      while (more) {
        together.clear();
        while (together.size() < TOGETHER && (more = next(rows, format, together))) {}
        hand(together, make, take);
      }
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /** Reads one row, or passes over one that is no row; false behind the last. */
  private boolean next(DataFormat.Documents rows, DataFormat format, List<Document> into)
      throws IOException {
    try {
      Document row = rows.next();
      if (row == null) {
        return false;
      }
      into.add(row);
    } catch (FileFormatException e) {
      if (!skipBadRows || !format.goesOn()) {
        throw e;
      }
      skip(e);
    }
    return true;
  }

  private <T> void hand(
      List<Document> rows, Function<Document, T> make, BiConsumer<Document, T> take) {
    List<Outcome<T>> outcomes =
        IntStream.range(0, rows.size())
            .parallel()
            .mapToObj(i -> outcome(rows.get(i), make))
            .toList();
    for (int i = 0; i < rows.size(); i++) {
      T made = outcomes.get(i).made();
      RuntimeException wrong = outcomes.get(i).wrong();
      if (wrong != null) {
        if (!skipBadRows) {
          throw wrong;
        }
        skip(wrong);
      } else if (made != null) {
        take.accept(rows.get(i), made);
      }
    }
  }

  private static <T> Outcome<T> outcome(Document row, Function<Document, T> make) {
    try {
      return new Outcome<>(make.apply(row), null);
    } catch (FileFormatException e) {
      return new Outcome<>(null, e);
    } catch (InputException e) {
      return new Outcome<>(null, new InputException(row.source() + ": " + e.getMessage(), e));
    } catch (IllegalArgumentException e) { // a character that the tokenizer cannot express
      return new Outcome<>(
          null,
          new InputException(
              row.source()
                  + ": "
                  + e.getMessage()
                  + ": use --tokenizer byte or one made for such text",
              e));
    }
  }

  private void skip(RuntimeException wrong) {
    skipped++;
    firstSkipped = firstSkipped == null ? wrong.getMessage() : firstSkipped;
  }

  /** How many rows were passed over, and why the first; null where none was. */
  @Nullable String skippedNote() {
    return skipped == 0
        ? null
        : "%d bad %s passed over, the first: %s"
            .formatted(skipped, skipped == 1 ? "row is" : "rows are", firstSkipped);
  }

  /**
   * What a file holds, by its first rows.
   *
   * @throws FileFormatException where they are of no known format
   */
  static ChatFormat recognise(Path file, String column) {
    DataFormat format = DataFormats.of(file).orElseThrow();
    if (format.oneDocument()) {
      return ChatFormat.TEXT;
    }
    try (DataFormat.Documents rows = format.open(file)) {
      Document first = null;
      for (int i = 0; i < TOGETHER; i++) {
        Document row;
        try {
          row = rows.next();
        } catch (FileFormatException e) {
          if (format.goesOn()) {
            continue; // whoever reads it all will say so
          }
          throw e;
        }
        if (row == null) {
          break;
        }
        first = first == null ? row : first;
        ChatFormat found = ChatFormat.of(row, column).orElse(null);
        if (found != null) {
          return found;
        }
      }
      if (first == null) {
        return ChatFormat.TEXT; // there is nothing in it, which its reader will say
      }
      throw first.error(
          "is of no known format: it has "
              + dev.javelin.tensor.io.JsonObject.brief(List.copyOf(first.fields().keySet())),
          "name the field of running text with --column, or the fields as docs/data.md has them");
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /** What files hold, which must be one kind of data. */
  static List<ChatFormat> recognise(TextFiles files, String column) {
    List<ChatFormat> formats = new ArrayList<>();
    for (Path file : files.files()) {
      formats.add(recognise(file, column));
      boolean mixed =
          formats.getFirst().isConversation() != formats.getLast().isConversation()
              || (formats.getFirst() == ChatFormat.PREFERENCE)
                  != (formats.getLast() == ChatFormat.PREFERENCE);
      if (mixed) {
        throw new InputException(
            "%s holds %s and %s holds %s: train on one kind at a time, or name it with --format"
                .formatted(
                    files.files().getFirst(),
                    formats.getFirst().title(),
                    file,
                    formats.getLast().title()));
      }
    }
    return formats;
  }
}
