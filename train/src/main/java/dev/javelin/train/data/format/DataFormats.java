package dev.javelin.train.data.format;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/** The kinds of files that are read, in the order in which they are asked. */
public final class DataFormats {
  private static final List<DataFormat> ALL =
      List.of(
          new PlainText(), //
          new JsonLines(),
          new JsonArray(),
          new DelimitedText(".csv", ','),
          new DelimitedText(".tsv", '\t'));

  private DataFormats() {}

  /** The format of a file, empty where it is of no known kind. */
  public static Optional<DataFormat> of(Path file) {
    return ALL.stream().filter(format -> format.reads(file)).findFirst();
  }

  /** {@code .txt, .jsonl, …}, for messages. */
  public static String names() {
    return ALL.stream()
        .flatMap(format -> format.suffixes().stream())
        .collect(Collectors.joining(", "));
  }
}
