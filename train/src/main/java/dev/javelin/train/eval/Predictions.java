package dev.javelin.train.eval;

import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.format.DataFormat;
import dev.javelin.train.data.format.DataFormats;
import dev.javelin.train.data.format.Document;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Generated texts and what they should have been, a row of a JSONL, CSV or TSV file each: such as
 * {@code javelin generate} writes.
 *
 * @param references as many as texts; empty where none are asked for
 */
public record Predictions(List<String> texts, List<String> references) {
  /** The field of a generated text unless told otherwise. */
  public static final String REPLY = "reply";

  /** The field of what it should have been. */
  public static final String REFERENCE = "reference";

  /**
   * @param column field of the text
   * @param referenceColumn field of the reference; empty for none
   * @throws InputException where the file has no rows or is of a kind without fields
   * @throws dev.javelin.tensor.io.FileFormatException for a row without one of the fields
   */
  public static Predictions read(Path file, String column, String referenceColumn) {
    List<String> texts = new ArrayList<>();
    List<String> references = new ArrayList<>();
    DataFormat format = format(file);
    try (DataFormat.Documents documents = format.open(file)) {
      for (Document d = documents.next(); d != null; d = documents.next()) {
        texts.add(d.text(column));
        if (referenceColumn.isEmpty()) {
          continue;
        }
        if (!(d.fields().get(referenceColumn) instanceof String reference)) {
          throw d.error(
              "has no text under \"" + referenceColumn + "\"",
              "name the field of what the text should be with --reference-column");
        }
        references.add(reference);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
    }
    if (texts.isEmpty()) {
      throw new InputException(file + " holds no rows: name a file with some");
    }
    return new Predictions(texts, references);
  }

  /** The format of a file with fields. */
  static DataFormat format(Path file) {
    DataFormat format =
        DataFormats.of(TextFiles.of(List.of(file), "").files().getFirst()).orElseThrow();
    if (format.oneDocument()) {
      throw new InputException(file + " is plain text: give JSONL, CSV or TSV");
    }
    return format;
  }

  /**
   * The longest run of characters that one of the texts shares with one of the documents.
   *
   * @return the run itself, empty for none
   */
  public String longestCopied(Stream<String> documents) {
    // What stands between texts, and between documents, occurs nowhere else.
    int[] mine =
        IntStream.range(0, texts.size())
            .flatMap(i -> IntStream.concat(texts.get(i).codePoints(), IntStream.of(-3 - i)))
            .toArray();
    int[] data =
        documents.flatMapToInt(d -> IntStream.concat(d.codePoints(), IntStream.of(-2))).toArray();
    CopiedSpan span = CopiedSpan.of(mine, data);
    return new String(mine, span.inText(), span.length());
  }
}
