package dev.javelin.train.chat.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;

/** What Python does with text: it counts in code points, and has white space of its own. */
final class Strings {
  private Strings() {}

  /** {@code str.isspace} of a character; none lies beyond the BMP. */
  static boolean isSpace(char c) {
    return c == ' '
        || c >= '\t' && c <= '\r'
        || c >= '\u001C' && c <= '\u001F'
        || c == '\u0085'
        || c > '\u0085' && Character.isSpaceChar(c);
  }

  static int length(Text text) {
    String s = text.toString();
    return s.codePointCount(0, s.length());
  }

  /** Code points [from, to). */
  static Text part(Text text, int from, int to) {
    String s = text.toString();
    int start = s.offsetByCodePoints(0, from);
    return text.part(start, s.offsetByCodePoints(start, to - from));
  }

  static List<Object> characters(Text text, Budget budget) {
    budget.steps(text.length());
    budget.characters(16L * text.length());
    List<Object> all = new ArrayList<>();
    String s = text.toString();
    for (int i = 0; i < s.length(); ) {
      int end = s.offsetByCodePoints(i, 1);
      all.add(text.part(i, end));
      i = end;
    }
    return all;
  }

  /** By code points, as Python does. */
  static int compare(String a, String b) {
    int same = 0;
    while (same < a.length() && same < b.length() && a.charAt(same) == b.charAt(same)) {
      same++;
    }
    if (same == a.length() || same == b.length()) {
      return Integer.compare(a.length(), b.length());
    }
    if (same > 0 && Character.isHighSurrogate(a.charAt(same - 1))) {
      same--;
    }
    return Integer.compare(a.codePointAt(same), b.codePointAt(same));
  }

  /**
   * Without the characters at its ends.
   *
   * @param characters those that go, null for white space
   */
  static Text strip(Text text, Object characters, boolean left, boolean right) {
    String s = text.toString();
    int from = 0;
    int to = s.length();
    while (left && from < to && goes(s.codePointAt(from), characters)) {
      from = s.offsetByCodePoints(from, 1);
    }
    while (right && to > from && goes(s.codePointBefore(to), characters)) {
      to = s.offsetByCodePoints(to, -1);
    }
    return text.part(from, to);
  }

  private static boolean goes(int c, Object characters) {
    return switch (characters) {
      case Text these -> these.toString().indexOf(c) >= 0;
      case None _ -> c < 0x10000 && isSpace((char) c);
      default ->
          throw new TemplateException(
              0, "characters to strip must be text, got " + Values.kind(characters));
    };
  }

  static Text upper(Text text) {
    return text.respelled(text.toString().toUpperCase(Locale.ROOT));
  }

  static Text lower(Text text) {
    return text.respelled(text.toString().toLowerCase(Locale.ROOT));
  }

  static Text capitalize(Text text) {
    if (text.isEmpty()) {
      return text;
    }
    String s = text.toString();
    int first = s.offsetByCodePoints(0, 1);
    return text.respelled(titled(s.codePointAt(0)) + s.substring(first).toLowerCase(Locale.ROOT));
  }

  private static String titled(int c) {
    int title = Character.toTitleCase(c);
    return title != c ? Character.toString(title) : Character.toString(c).toUpperCase(Locale.ROOT);
  }

  /** {@code str.title}. */
  static Text title(Text text) {
    StringBuilder out = new StringBuilder();
    boolean inWord = false;
    for (int c : text.toString().codePoints().toArray()) {
      boolean cased =
          Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
      out.append(
          inWord
              ? Character.toString(c).toLowerCase(Locale.ROOT)
              : cased ? titled(c) : Character.toString(c));
      inWord = cased;
    }
    return text.respelled(out.toString());
  }

  static Text replace(Text text, Text old, Text by, int count, Budget budget) {
    budget.search(text, old);
    long most = count < 0 ? Long.MAX_VALUE : count;
    Text.Builder out = new Text.Builder(budget);
    String s = text.toString();
    int from = 0;
    if (old.isEmpty()) {
      long done = 0;
      while (done < most) {
        budget.step();
        out.add(by);
        done++;
        if (from == s.length()) {
          return out.build();
        }
        int end = s.offsetByCodePoints(from, 1);
        out.add(text.part(from, end));
        from = end;
      }
    } else {
      int at = s.indexOf(old.toString());
      for (long done = 0; at >= 0 && done < most; done++) {
        budget.step();
        out.add(text.part(from, at)).add(by);
        from = at + old.length();
        at = s.indexOf(old.toString(), from);
      }
      if (from == 0) {
        return text;
      }
    }
    return out.add(text.part(from, s.length())).build();
  }

  /**
   * {@code str.split} and {@code str.rsplit}.
   *
   * @param separator None for runs of white space
   * @param most cuts, negative for any number
   */
  static List<Object> split(Text text, Object separator, int most, boolean right, Budget budget) {
    budget.characters(text.length());
    if (separator instanceof None) {
      return words(text, most, right);
    }
    if (!(separator instanceof Text cut) || cut.isEmpty()) {
      throw new TemplateException(
          0, "cannot split at " + (separator instanceof Text ? "nothing" : Values.kind(separator)));
    }
    budget.search(text, cut);
    String s = text.toString();
    List<Object> parts = new ArrayList<>();
    if (right) {
      int to = s.length();
      int at = s.lastIndexOf(cut.toString());
      while (at >= 0 && parts.size() != most) {
        parts.add(text.part(at + cut.length(), to));
        to = at;
        at = to < cut.length() ? -1 : s.lastIndexOf(cut.toString(), to - cut.length());
      }
      parts.add(text.part(0, to));
      Collections.reverse(parts);
    } else {
      int from = 0;
      for (int at = s.indexOf(cut.toString());
          at >= 0 && parts.size() != most;
          at = s.indexOf(cut.toString(), from)) {
        parts.add(text.part(from, at));
        from = at + cut.length();
      }
      parts.add(text.part(from, s.length()));
    }
    budget.steps(parts.size());
    return parts;
  }

  private static List<Object> words(Text text, int most, boolean right) {
    String s = text.toString();
    List<Object> words = new ArrayList<>();
    int step = right ? -1 : 1;
    int end = right ? -1 : s.length();
    int at = right ? s.length() - 1 : 0;
    while (true) {
      while (at != end && isSpace(s.charAt(at))) {
        at += step;
      }
      if (at == end) {
        break;
      }
      if (words.size() == most) { // the rest, with the white space at its other end
        words.add(right ? text.part(0, at + 1) : text.part(at, s.length()));
        break;
      }
      int from = at;
      while (at != end && !isSpace(s.charAt(at))) {
        at += step;
      }
      words.add(right ? text.part(at + 1, from + 1) : text.part(from, at));
    }
    return right ? words.reversed() : words;
  }

  /** {@code str.splitlines}. */
  static List<Object> lines(Text text, boolean keepEnds, Budget budget) {
    String s = text.toString();
    List<Object> lines = new ArrayList<>();
    int from = 0;
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      boolean end =
          c >= '\n' && c <= '\r'
              || c >= '\u001C' && c <= '\u001E'
              || c == '\u0085'
              || c == '\u2028'
              || c == '\u2029';
      if (end) {
        int next = c == '\r' && i + 1 < s.length() && s.charAt(i + 1) == '\n' ? i + 2 : i + 1;
        lines.add(text.part(from, keepEnds ? next : i));
        from = next;
        i = next - 1;
      }
    }
    if (from < s.length()) {
      lines.add(text.part(from, s.length()));
    }
    budget.steps(lines.size());
    return lines;
  }
}
