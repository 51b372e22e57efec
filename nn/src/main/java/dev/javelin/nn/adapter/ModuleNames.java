package dev.javelin.nn.adapter;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.IntStream;

/**
 * Which modules patterns name, by PEFT's rules. A pattern may come from anyone's file: matching
 * ends after so many steps, whatever it is.
 */
final class ModuleNames {
  private static final int MOST_STEPS = 1_000_000;
  private static final int LONGEST = 4096;
  private static final Pattern LAYER = Pattern.compile(".*\\.[^.]*\\.(\\d+)\\.");

  private ModuleNames() {}

  /** A pattern that cannot be used; the message says why. */
  static final class Unusable extends IllegalArgumentException {
    private static final long serialVersionUID = 1;

    Unusable(String message) {
      super(message);
    }
  }

  /** Whether {@code name} is one of the names, or ends in a dot and one of them. */
  static boolean isOneOf(String name, List<String> names) {
    return names.stream().anyMatch(n -> name.equals(n) || name.endsWith("." + n));
  }

  /** Whether a regular expression matches the whole name. */
  static boolean matches(String regex, String name) {
    return matcher(compile(regex), name, Matcher::matches);
  }

  /** The first key that, as a regular expression, matches the name's end from a dot on. */
  static Optional<String> key(Iterable<String> keys, String name) {
    for (String key : keys) {
      if (matches("(.*\\.)?(" + key + ")", name)) {
        return Optional.of(key);
      }
    }
    return Optional.empty();
  }

  /**
   * The number of the layer in a name; −1 where there is none.
   *
   * @param lists names of the lists that hold layers, regular expressions; empty for any
   */
  static int layer(String name, List<String> lists) {
    List<Pattern> patterns =
        lists.isEmpty()
            ? List.of(LAYER)
            : lists.stream().map(l -> compile(".*\\." + l + "\\.(\\d+)\\.")).toList();
    for (Pattern p : patterns) {
      int[] found = {-1};
      if (matcher(p, name, m -> m.lookingAt() && number(m, found))) {
        return found[0];
      }
    }
    return -1;
  }

  private static boolean number(Matcher m, int[] into) {
    String digits = m.group(m.groupCount());
    if (digits == null || !digits.matches("\\d{1,9}")) {
      return false;
    }
    into[0] = Integer.parseInt(digits);
    return true;
  }

  /** Throws {@link Unusable} for a pattern that is no regular expression. */
  static Pattern compile(String regex) {
    if (regex.length() > LONGEST) {
      throw new Unusable("is longer than " + LONGEST + " characters");
    }
    try {
      return Pattern.compile(regex);
    } catch (PatternSyntaxException e) {
      throw new Unusable("is no regular expression (" + e.getDescription() + ")");
    } catch (StackOverflowError e) {
      throw new Unusable("is nested too deeply");
    }
  }

  private interface Question {
    boolean ask(Matcher m);
  }

  private static boolean matcher(Pattern p, String name, Question question) {
    try {
      return question.ask(p.matcher(new Counted(name, new int[1])));
    } catch (StackOverflowError e) {
      throw new Unusable("takes too long to match " + name);
    }
  }

  /** Text that counts how often it was looked at. */
  private record Counted(String text, int[] steps) implements CharSequence {
    @Override
    public int length() {
      return text.length();
    }

    @Override
    public char charAt(int index) {
      if (++steps[0] > MOST_STEPS) {
        throw new Unusable("takes too long to match " + text);
      }
      return text.charAt(index);
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return text.subSequence(start, end);
    }

    @Override
    public String toString() {
      return text;
    }

    @Override
    public IntStream chars() {
      return text.chars();
    }
  }
}
