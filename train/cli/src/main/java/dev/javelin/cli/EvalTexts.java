package dev.javelin.cli;

import dev.javelin.tensor.io.Json;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextDocument;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.eval.Predictions;
import dev.javelin.train.eval.TextScores;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** {@code javelin eval --predictions}. */
record EvalTexts(@Nullable CommandSpec spec, List<String> metrics, List<Path> data, boolean json) {
  private static final String COPIED = "copied";

  String of(Path file, String column, String referenceColumn) {
    List<String> names = new ArrayList<>(metrics);
    boolean copied = names.removeIf(COPIED::equals);
    if (copied && data.isEmpty()) {
      throw new InputException("--metric copied needs the texts of the training as --data");
    }
    String field = column.equals(TextFiles.TEXT) ? Predictions.REPLY : column;
    Predictions read = Predictions.read(file, field, names.isEmpty() ? "" : referenceColumn);
    Map<String, Object> scores = new LinkedHashMap<>();
    try {
      if (!names.isEmpty()) {
        scores.putAll(TextScores.of(names, read.texts(), read.references()));
      }
    } catch (IllegalArgumentException e) {
      throw new InputException("--metric: " + e.getMessage(), e);
    }
    if (copied) {
      TextFiles files = TextFiles.of(data, TextFiles.TEXT);
      Main.notes(spec, files.notes());
      try (Stream<TextDocument> documents = files.documents()) {
        String run = read.longestCopied(documents.map(TextDocument::text));
        scores.put("copied_characters", (long) run.codePointCount(0, run.length()));
        scores.put(COPIED, run);
      }
    }
    scores.put("texts", (long) read.texts().size());
    return json ? Json.writeCompact(scores) : text(scores);
  }

  private static String text(Map<String, Object> scores) {
    List<String> parts = new ArrayList<>();
    scores.forEach(
        (name, value) ->
            parts.add(
                name.replace('_', ' ')
                    + " "
                    + (value instanceof Double d
                        ? String.format(Locale.ROOT, "%.2f", d)
                        : Terminal.text(value.toString()).replace('\n', ' '))));
    return String.join(" | ", parts);
  }
}
