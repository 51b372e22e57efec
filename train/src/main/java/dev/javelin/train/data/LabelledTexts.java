package dev.javelin.train.data;

import dev.javelin.tensor.io.Printable;
import dev.javelin.train.data.format.DataFormat;
import dev.javelin.train.data.format.DataFormats;
import dev.javelin.train.data.format.Document;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Texts with the class of each, from files whose documents have fields: JSONL, CSV, TSV.
 *
 * @param name of the files, for messages
 * @param examples at least one
 */
public record LabelledTexts(String name, List<Example> examples) {
  private static final int BRIEF = 200;

  /**
   * A text and its class.
   *
   * @param source where it stands, for messages
   * @param ids the text alone, without what the tokenizer puts around it
   * @param label as it is written there
   */
  public record Example(String source, int[] ids, String label) {}

  public LabelledTexts {
    examples = List.copyOf(examples);
  }

  /**
   * Reads files, and those in directories, into memory.
   *
   * @param column field or column of the text
   * @param labelColumn that of the class: text or a number
   * @throws InputException where there are none, or one is of a kind without fields
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file, and a row without text or
   *     class, by its place
   */
  public static LabelledTexts read(
      List<Path> paths, String column, String labelColumn, Tokenizer tokenizer) {
    if (paths.isEmpty()) {
      throw new InputException(
          "a classifier needs --data: CSV, TSV or JSONL files with a text and a label");
    }
    TextFiles files = TextFiles.of(paths, column);
    List<Example> examples = new ArrayList<>();
    try {
      for (Path file : files.files()) {
        read(file, column, labelColumn, tokenizer, examples);
      }
    } catch (OutOfMemoryError e) {
      throw InputException.outOfMemory(files.name(), "classify a part of it", e);
    }
    if (examples.isEmpty()) {
      throw new InputException(files.name() + " holds no texts: name a file with some");
    }
    return new LabelledTexts(files.name(), examples);
  }

  private static void read(
      Path file, String column, String labelColumn, Tokenizer tokenizer, List<Example> examples) {
    DataFormat format = DataFormats.of(file).orElseThrow();
    if (format.oneDocument()) {
      throw new InputException(
          file + " is text without labels: give CSV, TSV or JSONL with a text and a label");
    }
    try (DataFormat.Documents documents = format.open(file)) {
      for (Document d = documents.next(); d != null; d = documents.next()) {
        String label = label(d, labelColumn);
        int[] ids = ids(d, column, tokenizer);
        examples.add(new Example(d.source(), ids, label));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private static int[] ids(Document document, String column, Tokenizer tokenizer) {
    String text = document.text(column);
    int[] ids;
    try {
      ids = tokenizer.encode(text);
    } catch (IllegalArgumentException e) {
      throw document.error("cannot be encoded: " + e.getMessage(), "choose another --tokenizer");
    }
    if (ids.length == 0) {
      throw document.error("has an empty text", "leave the row out");
    }
    return ids;
  }

  private static String label(Document document, String column) {
    Object value = document.fields().get(column);
    return switch (value) {
      case String text when !text.isBlank() -> text.strip();
      case Long number -> number.toString();
      case Boolean flag -> flag.toString();
      case Double number when number == Math.rint(number) && Math.abs(number) < 1e9 ->
          Long.toString(number.longValue());
      case null, default ->
          throw document.error(
              "has no label under \"" + Printable.brief(column, BRIEF) + "\"",
              "it has "
                  + Printable.brief(document.fields().keySet().toString(), BRIEF)
                  + ", choose one with --label-column");
    };
  }

  /** The classes that occur, sorted, numbers by their value. */
  public List<String> classes() {
    List<String> classes =
        new ArrayList<>(examples.stream().map(Example::label).distinct().toList());
    boolean numbers = classes.stream().allMatch(label -> label.matches("\\d{1,9}"));
    classes.sort(
        numbers
            ? (a, b) -> Integer.compare(Integer.parseInt(a), Integer.parseInt(b))
            : (a, b) -> a.compareTo(b));
    return classes;
  }

  /**
   * Which examples these are, for a run that resumes: number and CRC-32C of all ids and labels.
   *
   * @param tokenizer that made the ids
   */
  public DataIdentity identity(Tokenizer tokenizer) {
    CRC32C sum = new CRC32C();
    long tokens = 0;
    for (Example e : examples) {
      ByteBuffer bytes = ByteBuffer.allocate(4 * e.ids.length);
      bytes.asIntBuffer().put(e.ids);
      sum.update(bytes.array());
      sum.update(e.label.getBytes(StandardCharsets.UTF_8));
      sum.update(0);
      tokens += e.ids.length;
    }
    return new DataIdentity(
        name,
        tokens,
        String.format("%08x", sum.getValue()),
        Separator.NEWLINE,
        DataIdentity.vocabulary(tokenizer));
  }

  /**
   * Two parts, the second of about {@code fraction} of the examples, chosen by {@code seed}: files
   * are often sorted by class.
   *
   * @return the second is {@code null} where it would be empty
   */
  public Split split(double fraction, long seed) {
    int held = (int) Math.round(fraction * examples.size());
    return held == 0 || held == examples.size() ? new Split(this, null) : split(0, held, seed);
  }

  /** Two parts, the second a fold of the examples in an order drawn by {@code seed}. */
  public Split split(Fold fold, long seed) {
    if (examples.size() < fold.of()) {
      throw new InputException(
          "--fold %s: %s has %,d examples, too few for %d folds"
              .formatted(fold, name, examples.size(), fold.of()));
    }
    return split(fold.from(examples.size()), fold.to(examples.size()), seed);
  }

  private Split split(long from, long to, long seed) {
    Permutation order = Permutation.of(seed, 0, examples.size());
    List<Example> train = new ArrayList<>();
    List<Example> rest = new ArrayList<>();
    for (int i = 0; i < examples.size(); i++) {
      long at = order.apply(i);
      (from <= at && at < to ? rest : train).add(examples.get(i));
    }
    return new Split(new LabelledTexts(name, train), new LabelledTexts(name, rest));
  }

  /** What {@link #split} makes. */
  public record Split(LabelledTexts train, @Nullable LabelledTexts held) {}
}
