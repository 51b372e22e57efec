package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/** The pre-tokenizers of {@code tokenizer.json}: how a text is cut into words. */
final class PreTokenization {
  /** GPT-2's words, which {@code ByteLevel} means by {@code use_regex}. */
  static final Pattern GPT2 =
      compile("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

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

  /** The pattern with the meaning Oniguruma gives it: Unicode classes, lines end at \n only. */
  static Pattern compile(String regex) {
    return Pattern.compile(
        regex, Pattern.UNICODE_CHARACTER_CLASS | Pattern.MULTILINE | Pattern.UNIX_LINES);
  }

  static Pattern regex(Json pattern) {
    Json string = pattern.find("String");
    if (string != null) {
      return Pattern.compile(Pattern.quote(string.text()));
    }
    Json regex = pattern.get("Regex");
    try {
      return compile(regex.text());
    } catch (PatternSyntaxException e) {
      throw regex.unsupported("(" + e.getDescription() + ")", "what java.util.regex understands");
    }
  }

  /** Cuts at the matches of a pattern and keeps everything. */
  static Splitter words(Pattern pattern) {
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
    return splitter(compile("\\p{N}"), individual ? Behavior.ISOLATED : Behavior.CONTIGUOUS, false);
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
            ? splitter(Pattern.compile(Pattern.quote(mark)), Behavior.MERGED_WITH_NEXT, false)
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
  private static Splitter splitter(Pattern pattern, Behavior behavior, boolean invert) {
    if (behavior == Behavior.ISOLATED) {
      return (text, first, out) -> isolate(pattern, text, first, out);
    }
    return (text, first, out) -> {
      int from = 0;
      for (int to : ends(pattern, text, behavior, invert)) {
        int end = Math.abs(to);
        if (end > from && (to > 0 || behavior != Behavior.REMOVED)) {
          out.word(text.substring(from, end), first && from == 0);
        }
        from = end;
      }
    };
  }

  private static void isolate(Pattern pattern, String text, boolean first, Words out) {
    Matcher matcher = pattern.matcher(text);
    int from = 0;
    while (matcher.find()) {
      if (matcher.start() > from) {
        out.word(text.substring(from, matcher.start()), first && from == 0);
      }
      if (matcher.end() > matcher.start()) {
        out.word(matcher.group(), first && matcher.start() == 0);
      }
      from = matcher.end();
    }
    if (from < text.length()) {
      out.word(from == 0 ? text : text.substring(from), first && from == 0);
    }
  }

  /** Where the words end, in order; a word to be removed has its end negated. */
  private static List<Integer> ends(
      Pattern pattern, String text, Behavior behavior, boolean invert) {
    List<Integer> ends = new ArrayList<>();
    Matcher matcher = pattern.matcher(text);
    boolean lastWasMatch = false;
    int from = 0;
    while (from < text.length()) {
      boolean found = matcher.find();
      int start = found ? matcher.start() : text.length();
      int end = found ? matcher.end() : text.length();
      for (int to : new int[] {start, end}) {
        boolean match = to == end && end > start ? !invert : invert;
        if (to == from) {
          continue;
        }
        boolean join =
            !ends.isEmpty()
                && switch (behavior) {
                  case MERGED_WITH_PREVIOUS -> match && !lastWasMatch;
                  case MERGED_WITH_NEXT -> !match && lastWasMatch;
                  case CONTIGUOUS -> match == lastWasMatch;
                  case REMOVED, ISOLATED -> false;
                };
        if (join) {
          ends.removeLast();
        }
        ends.add(behavior == Behavior.REMOVED && match ? -to : to);
        lastWasMatch = match;
        from = to;
      }
    }
    return ends;
  }
}
