package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.oniguruma.Matches;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import dev.javelin.train.tokenizer.oniguruma.OnigSyntaxException;
import java.util.List;

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

  static Result read(JsonObject parent, String key) {
    return parent.has(key) ? read(parent.object(key)) : new Result(WHOLE, false);
  }

  static Result read(JsonObject json) {
    String type = json.text("type");
    return switch (type) {
      case "ByteLevel" -> byteLevel(json);
      case "Split" -> new Result(split(json), false);
      case "Metaspace" -> new Result(metaspace(json), false);
      case "Digits" -> new Result(digits(json), false);
      case "Sequence" -> sequence(json.objects("pretokenizers"));
      default ->
          throw TokenizerJson.unsupported(
              json, "type", "ByteLevel, Split, Metaspace, Digits and Sequence");
    };
  }

  static OnigPattern regex(JsonObject pattern) {
    try {
      return pattern.has("String")
          ? OnigPattern.literal(pattern.text("String"))
          : OnigPattern.compile(pattern.text("Regex"));
    } catch (OnigSyntaxException e) {
      String key = pattern.has("String") ? "String" : "Regex";
      throw pattern.error(key, "cannot be used: " + e.getMessage());
    }
  }

  /** Cuts at the matches of a pattern and keeps everything. */
  static Splitter words(OnigPattern pattern) {
    return splitter(pattern, Behavior.ISOLATED, false);
  }

  private static Result byteLevel(JsonObject json) {
    Splitter words = json.flag("use_regex", true) ? words(GPT2) : WHOLE;
    return new Result(prefixed(words, json.flag("add_prefix_space", true)), true);
  }

  /**
   * Cuts at the matches of a pattern.
   *
   * @param prefixSpace every word begins with a space, as transformers has it for classes other
   *     than GPT-2's
   */
  static Splitter byteLevelWords(OnigPattern pattern, boolean prefixSpace) {
    if (pattern == GPT2) {
      return prefixed(words(GPT2), prefixSpace);
    }
    Splitter space = prefixed(WHOLE, prefixSpace);
    Splitter cut = words(pattern);
    return (text, first, out) -> cut.split(text, first, (word, at) -> space.split(word, at, out));
  }

  private static Splitter prefixed(Splitter words, boolean prefixSpace) {
    return prefixSpace
        ? (text, first, out) -> words.split(text.startsWith(" ") ? text : " " + text, first, out)
        : words;
  }

  private static Splitter split(JsonObject json) {
    return splitter(
        regex(json.object("pattern")),
        switch (json.text("behavior")) {
          case "Removed" -> Behavior.REMOVED;
          case "Isolated" -> Behavior.ISOLATED;
          case "MergedWithPrevious" -> Behavior.MERGED_WITH_PREVIOUS;
          case "MergedWithNext" -> Behavior.MERGED_WITH_NEXT;
          case "Contiguous" -> Behavior.CONTIGUOUS;
          default ->
              throw TokenizerJson.unsupported(
                  json,
                  "behavior",
                  "Removed, Isolated, MergedWithPrevious, MergedWithNext and Contiguous");
        },
        json.flag("invert", false));
  }

  private static Splitter digits(JsonObject json) {
    boolean individual = json.flag("individual_digits", false);
    return splitter(DIGIT, individual ? Behavior.ISOLATED : Behavior.CONTIGUOUS, false);
  }

  private static Splitter metaspace(JsonObject json) {
    String mark = json.text("replacement", "▁");
    boolean legacyPrefix = json.flag("add_prefix_space", true);
    String scheme = json.text("prepend_scheme", legacyPrefix ? "always" : "never");
    if (!List.of("always", "first", "never").contains(scheme)) {
      throw TokenizerJson.unsupported(json, "prepend_scheme", "always, first and never");
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

  private static Result sequence(List<JsonObject> parts) {
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
          throw parts
              .get(i)
              .error("type", "ByteLevel stands before other steps, which is not supported");
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
