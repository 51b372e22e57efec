package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.Splits.Behavior;
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

    /** Cuts each word again. */
    default Splitter then(Splitter next) {
      return (text, first, out) -> split(text, first, (word, at) -> next.split(word, at, out));
    }
  }

  /** Receives words in order. */
  interface Words {
    void word(String word, boolean first);
  }

  /**
   * @param byteLevel whether words are to be read as bytes
   */
  record Result(Splitter splitter, boolean byteLevel) {
    /** The splitter whose words are written as symbols of bytes where they are to be read so. */
    Splitter symbols() {
      return byteLevel ? splitter.then(SYMBOLS) : splitter;
    }
  }

  static final Splitter WHOLE = (text, first, out) -> out.word(text, first);
  private static final Splitter SYMBOLS =
      (text, first, out) -> out.word(ByteSymbols.of(text), first);
  private static final String WORDS_AND_REST = "\\w+|[^\\w\\s]+";

  private PreTokenization() {}

  static Result read(JsonObject parent, String key) {
    return parent.has(key) ? read(parent.object(key)) : new Result(WHOLE, false);
  }

  static Result read(JsonObject json) {
    return switch (json.text("type")) {
      case "ByteLevel" -> byteLevel(json);
      case "Sequence" -> sequence(json);
      case "Split" -> with(json, split(json), "pattern", "behavior", "invert");
      case "Metaspace" ->
          with(
              json,
              metaspace(json),
              "replacement",
              "str_rep",
              "add_prefix_space",
              "prepend_scheme",
              "split");
      case "Digits" -> with(json, digits(json), "individual_digits");
      case "Punctuation" -> with(json, punctuation(json), "behavior");
      case "BertPreTokenizer" -> with(json, bert());
      case "WhitespaceSplit" -> with(json, Splits.of(CharacterKinds::isSpace, Behavior.REMOVED));
      case "Whitespace" ->
          with(
              json,
              Splits.of(
                  OnigPattern.compile(WORDS_AND_REST, OnigPattern.Syntax.RUST),
                  Behavior.REMOVED,
                  true));
      case "CharDelimiterSplit" -> with(json, delimiter(json), "delimiter");
      case "UnicodeScripts" -> with(json, PreTokenization::scripts);
      case "FixedLength" -> with(json, fixedLength(json), "length");
      default ->
          throw TokenizerJson.unsupported(
              json,
              "type",
              "ByteLevel, Split, Metaspace, Digits, Punctuation, BertPreTokenizer, Whitespace,"
                  + " WhitespaceSplit, CharDelimiterSplit, UnicodeScripts, FixedLength and"
                  + " Sequence");
    };
  }

  private static Result with(JsonObject json, Splitter splitter, String... keys) {
    TokenizerJson.known(json, "type", keys);
    return new Result(splitter, false);
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
    return Splits.of(pattern, Behavior.ISOLATED, false);
  }

  private static Result byteLevel(JsonObject json) {
    TokenizerJson.known(json, "type", "add_prefix_space", "trim_offsets", "use_regex");
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
    return pattern == GPT2
        ? prefixed(words(GPT2), prefixSpace)
        : words(pattern).then(prefixed(WHOLE, prefixSpace));
  }

  private static Splitter prefixed(Splitter words, boolean prefixSpace) {
    return prefixSpace
        ? (text, first, out) -> words.split(text.startsWith(" ") ? text : " " + text, first, out)
        : words;
  }

  private static Splitter split(JsonObject json) {
    return Splits.of(
        regex(json.object("pattern")), Behavior.read(json), json.flag("invert", false));
  }

  private static Splitter digits(JsonObject json) {
    boolean individual = json.flag("individual_digits", false);
    return Splits.of(
        CharacterKinds::isNumeric, individual ? Behavior.ISOLATED : Behavior.CONTIGUOUS);
  }

  private static Splitter punctuation(JsonObject json) {
    return Splits.of(
        CharacterKinds::isPunctuation,
        json.has("behavior") ? Behavior.read(json) : Behavior.ISOLATED);
  }

  private static Splitter bert() {
    return Splits.of(CharacterKinds::isSpace, Behavior.REMOVED)
        .then(Splits.of(CharacterKinds::isPunctuation, Behavior.ISOLATED));
  }

  private static Splitter delimiter(JsonObject json) {
    int delimiter = character(json, "delimiter", json.text("delimiter"));
    return Splits.of(c -> c == delimiter, Behavior.REMOVED);
  }

  static int character(JsonObject json, String key, String text) {
    if (text.codePointCount(0, text.length()) != 1) {
      throw json.error(key, "must be one character, got " + JsonObject.brief(text));
    }
    return text.codePointAt(0);
  }

  /** Where one script follows another; what has none goes with what is before it, or is lost. */
  private static void scripts(String text, boolean first, Words out) {
    Character.UnicodeScript last = Character.UnicodeScript.UNKNOWN;
    int from = 0;
    for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
      c = text.codePointAt(i);
      Character.UnicodeScript script = CharacterKinds.script(c);
      if (script == Character.UnicodeScript.UNKNOWN) {
        continue;
      }
      if (script != last) {
        if (last != Character.UnicodeScript.UNKNOWN) {
          out.word(text.substring(from, i), first && from == 0);
        }
        from = i;
      }
      last = script;
    }
    if (last != Character.UnicodeScript.UNKNOWN) {
      out.word(text.substring(from), first && from == 0);
    }
  }

  private static Splitter fixedLength(JsonObject json) {
    int length = json.integer("length", 1, Integer.MAX_VALUE, 5);
    return (text, first, out) -> {
      int from = 0;
      int count = 0;
      for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
        if (count++ == length) {
          out.word(text.substring(from, i), first && from == 0);
          from = i;
          count = 1;
        }
      }
      if (from < text.length()) {
        out.word(text.substring(from), first && from == 0);
      }
    };
  }

  private static Splitter metaspace(JsonObject json) {
    String mark = json.text("replacement", "▁");
    character(json, "replacement", mark);
    String scheme = prependScheme(json);
    Splitter words =
        json.flag("split", true)
            ? Splits.of(OnigPattern.literal(mark), Behavior.MERGED_WITH_NEXT, false)
            : WHOLE;
    return (text, first, out) -> {
      String marked = text.replace(" ", mark);
      boolean prepend = scheme.equals("always") || scheme.equals("first") && first;
      words.split(prepend && !marked.startsWith(mark) ? mark + marked : marked, first, out);
    };
  }

  /** Where Metaspace puts a mark: {@code always}, {@code first}, {@code never}. */
  static String prependScheme(JsonObject json) {
    boolean legacy = json.flag("add_prefix_space", true);
    String scheme = json.text("prepend_scheme", legacy ? "always" : "never");
    if (!List.of("always", "first", "never").contains(scheme)) {
      throw TokenizerJson.unsupported(json, "prepend_scheme", "always, first and never");
    }
    if (!legacy && !scheme.equals("never")) {
      throw json.error("add_prefix_space", "is false, but prepend_scheme says otherwise");
    }
    return scheme;
  }

  private static Result sequence(JsonObject json) {
    TokenizerJson.known(json, "type", "pretokenizers");
    Result all = new Result(WHOLE, false);
    boolean begun = false;
    for (JsonObject part : json.objects("pretokenizers")) {
      Result next = read(part);
      Splitter before = all.symbols();
      all = new Result(begun ? before.then(next.splitter()) : next.splitter(), next.byteLevel());
      begun = true;
    }
    return all;
  }
}
