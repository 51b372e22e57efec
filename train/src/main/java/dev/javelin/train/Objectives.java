package dev.javelin.train;

import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Rows;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.eval.TextBytes;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.objective.Preference;
import dev.javelin.train.settings.RunSettings;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What the command line can minimise, by name: a line each. */
public final class Objectives {
  private static final Map<String, Kind> ALL = new LinkedHashMap<>();

  static {
    ALL.put("next-token", Objectives::nextToken);
    ALL.put(ClassifierRun.OBJECTIVE, Objectives::classify);
    for (Preference.Kind kind : Preference.Kind.values()) {
      ALL.put(preference(kind), (m, d, s) -> BesideModels.preference(kind, m, d, s));
    }
    ALL.put("distill", BesideModels::distill);
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

  private static String preference(Preference.Kind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  /** Whether an objective reads preferences. */
  public static boolean readsPairs(String name) {
    return Arrays.stream(Preference.Kind.values()).anyMatch(k -> preference(k).equals(name));
  }

  private static Task classify(LanguageModel model, Dataset data, RunSettings settings) {
    throw new InputException("--objective classify: open such a run with ClassifierRun");
  }

  static Task nextToken(LanguageModel model, Dataset data, RunSettings settings) {
    TokenSource held = data.validation();
    Rows train = rows(data.train(), model, settings);
    Rows validation = held == null ? null : rows(held, model, settings);
    List<String> notes = new ArrayList<>(train.notes());
    notes.addAll(validation == null ? List.of() : validation.notes());
    return new Task(
        new NextToken(model.transformer().withRecompute(settings.model().recompute())),
        train,
        validation,
        !data.train().isText(),
        model.tokenizer() == null ? null : new TextBytes(model.tokenizer()),
        notes,
        null);
  }

  private static Rows rows(TokenSource source, LanguageModel model, RunSettings settings) {
    return TextTraining.rows(
        source, settings.batch().seqLen(), model.config().vocab(), settings.data().packing());
  }
}
