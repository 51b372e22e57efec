package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.text.Normalizer;
import java.text.Normalizer.Form;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;
import java.util.function.UnaryOperator;

/**
 * The normalizers of {@code tokenizer.json}: what is done to a text before it is cut into words.
 */
final class Normalization {
  static final UnaryOperator<String> NFC = form(Form.NFC);
  private static final UnaryOperator<String> NFD = form(Form.NFD);

  private Normalization() {}

  static UnaryOperator<String> read(JsonObject parent, String key) {
    if (!parent.has(key)) {
      return UnaryOperator.identity();
    }
    List<UnaryOperator<String>> steps = new ArrayList<>();
    read(parent.object(key), steps);
    return steps.size() == 1 ? steps.getFirst() : sequence(steps);
  }

  /** Appends what {@code json} does; a sequence in a sequence is one sequence. */
  private static void read(JsonObject json, List<UnaryOperator<String>> steps) {
    switch (json.text("type")) {
      case "NFC" -> add(steps, NFC, json);
      case "NFD" -> add(steps, NFD, json);
      case "NFKC" -> add(steps, form(Form.NFKC), json);
      case "NFKD" -> add(steps, form(Form.NFKD), json);
      case "Nmt" -> add(steps, Normalization::nmt, json);
      case "Lowercase" -> add(steps, Normalization::lowercase, json);
      case "StripAccents" -> add(steps, keep(c -> !CharacterKinds.isMark(c)), json);
      case "ByteLevel" -> add(steps, ByteSymbols::of, json);
      case "Strip" -> add(steps, strip(json), json, "strip_left", "strip_right");
      case "Prepend" -> add(steps, prepend(json.text("prepend")), json, "prepend");
      case "Replace" -> add(steps, replace(json), json, "pattern", "content");
      case "Precompiled" -> add(steps, precompiled(json), json, "precompiled_charsmap");
      case "BertNormalizer" ->
          add(
              steps,
              bert(json),
              json,
              "clean_text",
              "handle_chinese_chars",
              "strip_accents",
              "lowercase");
      case "Sequence" -> {
        TokenizerJson.known(json, "type", "normalizers");
        json.objects("normalizers").forEach(part -> read(part, steps));
      }
      default ->
          throw TokenizerJson.unsupported(
              json,
              "type",
              "NFC, NFD, NFKC, NFKD, Nmt, Lowercase, StripAccents, Strip, Prepend, Replace,"
                  + " BertNormalizer, Precompiled, ByteLevel and Sequence");
    }
  }

  private static void add(
      List<UnaryOperator<String>> steps,
      UnaryOperator<String> step,
      JsonObject json,
      String... keys) {
    TokenizerJson.known(json, "type", keys);
    steps.add(step);
  }

  private static UnaryOperator<String> form(Form form) {
    return text -> Normalizer.isNormalized(text, form) ? text : Normalizer.normalize(text, form);
  }

  private static UnaryOperator<String> prepend(String prefix) {
    return text -> text.isEmpty() ? text : prefix + text;
  }

  /** Also a decoder, of one token. */
  static UnaryOperator<String> replace(JsonObject json) {
    String content = json.text("content");
    OnigPattern pattern = PreTokenization.regex(json.object("pattern"));
    return text -> pattern.replace(text, content);
  }

  private static UnaryOperator<String> precompiled(JsonObject json) {
    byte[] map;
    try {
      map = Base64.getDecoder().decode(json.text("precompiled_charsmap"));
    } catch (IllegalArgumentException e) {
      throw json.error("precompiled_charsmap", "is not base64");
    }
    if (map.length == 0) {
      return UnaryOperator.identity();
    }
    try {
      return CharsMap.read(map)::normalizeGraphemes;
    } catch (IllegalArgumentException e) {
      throw json.error("precompiled_charsmap", "is damaged: " + e.getMessage());
    }
  }

  private static UnaryOperator<String> keep(IntPredicate kept) {
    return text -> {
      if (text.codePoints().allMatch(kept)) {
        return text;
      }
      StringBuilder out = new StringBuilder(text.length());
      text.codePoints().filter(kept).forEach(out::appendCodePoint);
      return out.toString();
    };
  }

  private static String map(String text, IntUnaryOperator to) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints().map(to).forEach(out::appendCodePoint);
    return out.toString();
  }

  /** Every character for itself: a final sigma is a sigma. */
  private static String lowercase(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
      c = text.codePointAt(i);
      int lower = Character.toLowerCase(c);
      if (c == 0x130) { // the only one that becomes two
        out.append(Character.toString(c).toLowerCase(Locale.ROOT));
      } else {
        out.appendCodePoint(lower);
      }
    }
    return out.toString();
  }

  private static UnaryOperator<String> strip(JsonObject json) {
    boolean left = json.flag("strip_left", false);
    boolean right = json.flag("strip_right", false);
    return text -> {
      int from = 0; // no white space lies beyond the BMP
      while (left && from < text.length() && CharacterKinds.isSpace(text.charAt(from))) {
        from++;
      }
      int to = text.length();
      while (right && to > from && CharacterKinds.isSpace(text.charAt(to - 1))) {
        to--;
      }
      return text.substring(from, to);
    };
  }

  /** The control characters that machine translation takes out, and its many spaces to one. */
  private static String nmt(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints()
        .filter(c -> !(c >= 1 && c <= 8 || c == 0xB || c >= 0xE && c <= 0x1F))
        .filter(c -> c != 0x7F && c != 0x8F && c != 0x9F)
        .map(c -> isNmtSpace(c) ? ' ' : c)
        .forEach(out::appendCodePoint);
    return out.toString();
  }

  private static boolean isNmtSpace(int c) {
    return switch (c) {
      case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD -> true;
      default -> c >= 0x200B && c <= 0x200F;
    };
  }

  private static UnaryOperator<String> bert(JsonObject json) {
    boolean lower = json.flag("lowercase", true);
    List<UnaryOperator<String>> steps = new ArrayList<>();
    if (json.flag("clean_text", true)) {
      steps.add(keep(c -> c != 0 && c != 0xFFFD && !CharacterKinds.isControl(c)));
      steps.add(text -> map(text, c -> CharacterKinds.isSpace(c) ? ' ' : c));
    }
    if (json.flag("handle_chinese_chars", true)) {
      steps.add(Normalization::spaceChinese);
    }
    if (json.flag("strip_accents", lower)) {
      steps.add(NFD);
      steps.add(keep(c -> !CharacterKinds.isNonSpacingMark(c)));
    }
    if (lower) {
      steps.add(Normalization::lowercase);
    }
    return sequence(steps);
  }

  private static String spaceChinese(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
      c = text.codePointAt(i);
      if (CharacterKinds.isChinese(c)) {
        out.append(' ').appendCodePoint(c).append(' ');
      } else {
        out.appendCodePoint(c);
      }
    }
    return out.toString();
  }

  static UnaryOperator<String> sequence(List<UnaryOperator<String>> steps) {
    return text -> {
      String result = text;
      for (UnaryOperator<String> step : steps) {
        result = step.apply(result);
        bounded(text.length(), result.length());
      }
      return result;
    };
  }

  /**
   * Steps in a row may each make a text longer, and all of them more than fits into memory.
   *
   * @throws IllegalArgumentException where {@code after} is more than sixteen times {@code before}
   *     and a million
   */
  static void bounded(long before, long after) {
    if (after > 16 * before + 1_000_000) {
      throw new IllegalArgumentException(
          "the tokenizer's steps make " + after + " characters of " + before);
    }
  }
}
