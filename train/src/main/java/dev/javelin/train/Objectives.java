package dev.javelin.train;

import dev.javelin.nn.Transformer;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.eval.TextBytes;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.settings.RunSettings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What the command line can minimise, by name: a line each. */
public final class Objectives {
  private static final Map<String, Kind> ALL = new LinkedHashMap<>();

  static {
    ALL.put("next-token", Objectives::nextToken);
  }

  private Objectives() {}

  /** An objective by name: chooses rows and what is made of them. */
  @FunctionalInterface
  interface Kind {
    /**
     * @throws InputException where data, model and settings do not fit
     */
    Task of(LanguageModel model, Dataset data, RunSettings settings);
  }

  /** All names, in the order in which they are listed. */
  public static List<String> names() {
    return List.copyOf(ALL.keySet());
  }

  /**
   * The objective that settings name.
   *
   * @throws InputException where there is none of that name
   */
  static Kind named(String name) {
    Kind kind = ALL.get(name);
    if (kind == null) {
      throw new InputException(
          "--objective must be one of %s, got %s".formatted(String.join(", ", ALL.keySet()), name));
    }
    return kind;
  }

  private static Task nextToken(LanguageModel model, Dataset data, RunSettings settings) {
    int seqLen = settings.batch().seqLen();
    int vocab = model.config().vocab();
    Transformer transformer = model.transformer().withRecompute(settings.model().recompute());
    TokenSource held = data.validation();
    return new Task(
        new NextToken(transformer),
        new Windows(data.train(), seqLen, vocab),
        held == null ? null : new Windows(held, seqLen, vocab),
        model.tokenizer() == null ? null : new TextBytes(model.tokenizer()),
        List.of());
  }
}
