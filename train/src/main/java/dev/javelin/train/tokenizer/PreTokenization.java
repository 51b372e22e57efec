package dev.javelin.train.tokenizer;

import dev.javelin.train.tokenizer.oniguruma.Matches;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import dev.javelin.train.tokenizer.oniguruma.OnigSyntaxException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The pre-tokenizers of {@code tokenizer.json}: how a text is cut into words. */
final class PreTokenization {
  /** GPT-2's words, which {@code ByteLevel} means by {@code use_regex}. */
  static final OnigPattern GPT2 =
      OnigPattern.compile(
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

  /** Cuts a text into words. */
  interface Splitter {
    /**
     * @param first whether the text begins where the whole input began
     */
    void split(String text, boolean first, Words out);
  }

  /** Receives words in order. */
  interface Words {
    void word(String word, boolean first);
  }

  /**
   * @param byteLevel whether words are to be read as bytes
   */
  record Result(Splitter splitter, boolean byteLevel) {}

  private enum Behavior {
    REMOVED,
    ISOLATED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS
  }

  private static final OnigPattern DIGIT = OnigPattern.compile("\\p{N}");
  private static final Splitter WHOLE = (text, first, out) -> out.word(text, first);

  private PreTokenization() {}

  static Result read(@Nullable Json json) {
    if (json == null) {
      return new Result(WHOLE, false);
    }
    String type = json.get("type").text();
    return switch (type) {
      case "ByteLevel" -> byteLevel(json);
      case "Split" -> new Result(split(json), false);
      case "Metaspace" -> new Result(metaspace(json), false);
      case "Digits" -> new Result(digits(json), false);
      case "Sequence" -> sequence(json.get("pretokenizers").items());
      default -> throw json.unsupported(type, "ByteLevel, Split, Metaspace, Digits and Sequence");
    };
  }

  static OnigPattern regex(Json pattern) {
    Json string = pattern.find("String");
    if (string != null) {
      return OnigPattern.literal(string.text());
    }
    Json regex = pattern.get("Regex");
    try {
      return OnigPattern.compile(regex.text());
    } catch (OnigSyntaxException e) {
      throw regex.bad("cannot be used: " + e.getMessage());
    }
  }

  /** Cuts at the matches of a pattern and keeps everything. */
  static Splitter words(OnigPattern pattern) {
    return splitter(pattern, Behavior.ISOLATED, false);
  }

  private static Result byteLevel(Json json) {
    boolean prefixSpace = json.flag("add_prefix_space", true);
    Splitter words = json.flag("use_regex", true) ? words(GPT2) : WHOLE;
    Splitter splitter =
        prefixSpace
            ? (text, first, out) ->
                words.split(text.startsWith(" ") ? text : " " + text, first, out)
            : words;
    return new Result(splitter, true);
  }

  private static Splitter split(Json json) {
    Json behavior = json.get("behavior");
    return splitter(
        regex(json.get("pattern")),
        switch (behavior.text()) {
          case "Removed" -> Behavior.REMOVED;
          case "Isolated" -> Behavior.ISOLATED;
          case "MergedWithPrevious" -> Behavior.MERGED_WITH_PREVIOUS;
          case "MergedWithNext" -> Behavior.MERGED_WITH_NEXT;
          case "Contiguous" -> Behavior.CONTIGUOUS;
          default -> throw behavior.expected("a split behavior");
        },
        json.flag("invert", false));
  }

  private static Splitter digits(Json json) {
    boolean individual = json.flag("individual_digits", false);
    return splitter(DIGIT, individual ? Behavior.ISOLATED : Behavior.CONTIGUOUS, false);
  }

  private static Splitter metaspace(Json json) {
    String mark = json.text("replacement", "▁");
    boolean legacyPrefix = json.flag("add_prefix_space", true);
    String scheme = json.text("prepend_scheme", legacyPrefix ? "always" : "never");
    if (!List.of("always", "first", "never").contains(scheme)) {
      throw json.get("prepend_scheme").expected("always, first or never");
    }
    Splitter words =
        json.flag("split", true)
            ? splitter(OnigPattern.literal(mark), Behavior.MERGED_WITH_NEXT, false)
            : WHOLE;
    return (text, first, out) -> {
      String marked = text.replace(" ", mark);
      boolean prepend = scheme.equals("always") || scheme.equals("first") && first;
      words.split(prepend && !marked.startsWith(mark) ? mark + marked : marked, first, out);
    };
  }

  private static Result sequence(List<Json> parts) {
    Splitter chain = WHOLE;
    for (int i = 0; i < parts.size(); i++) {
      Result part = read(parts.get(i));
      Splitter before = chain;
      Splitter then = part.splitter();
      chain =
          i == 0
              ? then
              : (text, first, out) ->
                  before.split(text, first, (word, start) -> then.split(word, start, out));
      if (part.byteLevel()) {
        if (i < parts.size() - 1) {
          throw parts.get(i).unsupported("ByteLevel before other steps", "it as the last step");
        }
        return new Result(chain, true);
      }
    }
    return new Result(chain, false);
  }

  /** Cuts at the matches of {@code pattern}, or with {@code invert} at what lies between them. */
  private static Splitter splitter(OnigPattern pattern, Behavior behavior, boolean invert) {
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
