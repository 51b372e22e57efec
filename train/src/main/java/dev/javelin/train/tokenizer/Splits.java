package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.PreTokenization.Splitter;
import dev.javelin.train.tokenizer.PreTokenization.Words;
import dev.javelin.train.tokenizer.oniguruma.Matches;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.util.function.IntPredicate;

/** Cuts texts at what a pattern matches. */
final class Splits {
  /** What becomes of a match. */
  enum Behavior {
    REMOVED,
    ISOLATED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS;

    static Behavior read(JsonObject json) {
      return switch (json.text("behavior")) {
        case "Removed" -> REMOVED;
        case "Isolated" -> ISOLATED;
        case "MergedWithPrevious" -> MERGED_WITH_PREVIOUS;
        case "MergedWithNext" -> MERGED_WITH_NEXT;
        case "Contiguous" -> CONTIGUOUS;
        default ->
            throw TokenizerJson.unsupported(
                json,
                "behavior",
                "Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous");
      };
    }
  }

  private Splits() {}

  /** Every character for which {@code matches} holds is a match of its own. */
  static Splitter of(IntPredicate matches, Behavior behavior) {
    return (text, first, out) -> {
      Cutter cutter = new Cutter(text, first, out, behavior);
      int from = 0;
      for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
        c = text.codePointAt(i);
        if (matches.test(c)) {
          if (i > from) {
            cutter.piece(i, false);
          }
          from = i + Character.charCount(c);
          cutter.piece(from, true);
        }
      }
      if (from < text.length()) {
        cutter.piece(text.length(), false);
      }
      cutter.flush();
    };
  }

  /** Cuts at the matches of {@code pattern}, or with {@code invert} at what lies between them. */
  static Splitter of(OnigPattern pattern, Behavior behavior, boolean invert) {
    if (behavior == Behavior.ISOLATED) {
      return (text, first, out) -> isolate(pattern, text, first, out);
    }
    return (text, first, out) -> {
      Cutter cutter = new Cutter(text, first, out, behavior);
      Matches matches = pattern.matches(text);
      int from = 0;
      while (matches.find()) {
        if (matches.start() > from) {
          cutter.piece(matches.start(), invert);
        }
        cutter.piece(matches.end(), !invert);
        from = matches.end();
      }
      if (from < text.length()) {
        cutter.piece(text.length(), invert);
      }
      cutter.flush();
    };
  }

  private static void isolate(OnigPattern pattern, String text, boolean first, Words out) {
    Matches matches = pattern.matches(text);
    int from = 0;
    while (matches.find()) {
      int start = matches.start();
      int end = matches.end();
      if (start > from) {
        out.word(text.substring(from, start), first && from == 0);
      }
      if (end > start) {
        out.word(text.substring(start, end), first && start == 0);
      }
      from = end;
    }
    if (from < text.length()) {
      out.word(from == 0 ? text : text.substring(from), first && from == 0);
    }
  }

  /** Puts matches and what lies between them together to words. Empty matches part words too. */
  private static final class Cutter {
    private final String text;
    private final boolean first;
    private final Words out;
    private final Behavior behavior;
    private int start;
    private int end;
    private boolean lastWasMatch;

    Cutter(String text, boolean first, Words out, Behavior behavior) {
      this.text = text;
      this.first = first;
      this.out = out;
      this.behavior = behavior;
    }

    /** The next piece, which begins where the last one ended. */
    void piece(int to, boolean match) {
      boolean join =
          switch (behavior) {
            case MERGED_WITH_PREVIOUS -> match && !lastWasMatch;
            case MERGED_WITH_NEXT -> !match && lastWasMatch;
            case CONTIGUOUS -> match == lastWasMatch;
            case REMOVED, ISOLATED -> false;
          };
      if (!join) {
        flush();
      }
      end = to;
      lastWasMatch = match;
    }

    void flush() {
      if (end > start && !(behavior == Behavior.REMOVED && lastWasMatch)) {
        out.word(text.substring(start, end), first && start == 0);
      }
      start = end;
    }
  }
}
