package dev.javelin.train.tokenizer.oniguruma;

import java.util.ArrayList;
import java.util.List;

/**
 * A regular expression in Oniguruma's default syntax over code points, matched by backtracking from
 * the left.
 *
 * <p>Understood: literals; {@code .} (no line feed, with {@code (?m)} any character); classes with
 * ranges, nesting, {@code &&}, POSIX brackets; {@code \w \d \s \h \R \N \O} and negations; {@code
 * \p{…}} with general categories, scripts, blocks, POSIX names and the binary properties Java
 * knows; escapes {@code \t \n \r \f \v \a \e \0oo \xHH \x{…} \\uHHHH \o{…}}; {@code ^ $} (lines),
 * {@code \A \z \Z \G \b \B}; groups, alternatives, lookahead, lookbehind of bounded length, atomic
 * groups; {@code * + ? {n,m}} greedy, lazy and, but for intervals, possessive; {@code (?imx-imx)}
 * with full case folding; comments.
 *
 * <p>Refused by name: back references, calls, conditions, absence, {@code \K \X \y}, byte escapes
 * above {@code \x7F}, control and meta characters, options {@code WDSPyIL}, other properties.
 *
 * <p>Instances are immutable and may be shared by threads; {@link Matches} may not.
 *
 * @see <a href="https://github.com/kkos/oniguruma/blob/master/doc/RE">Oniguruma's syntax</a>
 */
public final class OnigPattern {
  /** Whose rules a pattern follows where they differ. */
  public enum Syntax {
    ONIGURUMA,
    /**
     * Rust's regex and fancy-regex, which tiktoken uses: {@code ^ $} are the ends of the text,
     * {@code {n,m}+} is possessive, {@code (?s)} lets the dot match all, {@code \p{Script=Han}} is
     * {@code \p{Han}}.
     */
    RUST
  }

  private final Program program;

  private OnigPattern(Node node) {
    program = new Compiler().compile(Expansion.of(node, true));
  }

  /**
   * @throws OnigSyntaxException for what is not a pattern or not supported
   */
  public static OnigPattern compile(String pattern) {
    return compile(pattern, Syntax.ONIGURUMA);
  }

  /**
   * @throws OnigSyntaxException for what is not a pattern or not supported
   */
  public static OnigPattern compile(String pattern, Syntax syntax) {
    return new OnigPattern(OnigParser.parse(pattern, syntax));
  }

  /** The pattern that matches {@code text} as it stands; an empty one is found everywhere. */
  public static OnigPattern literal(String text) {
    List<Node> parts = new ArrayList<>();
    text.codePoints().forEach(c -> parts.add(new Node.Literal(c, false)));
    return new OnigPattern(new Node.Sequence(parts));
  }

  /**
   * {@code text} with {@code content} for every match; an empty text stays empty.
   *
   * @throws IllegalArgumentException where the pattern needs too many steps for this text, or the
   *     result would be more than sixteen times as long and a million characters more
   */
  public String replace(String text, String content) {
    if (text.isEmpty()) {
      return text;
    }
    Matches matches = matches(text);
    if (!matches.find()) {
      return text;
    }
    long most = 16L * text.length() + 1_000_000L;
    StringBuilder out = new StringBuilder(text.length());
    int from = 0;
    do {
      out.append(text, from, matches.start());
      if (out.length() + (long) content.length() > most) {
        throw new IllegalArgumentException(
            "the tokenizer's replacements make more than "
                + most
                + " characters of a text of "
                + text.length());
      }
      out.append(content);
      from = matches.end();
    } while (matches.find());
    return out.append(text, from, text.length()).toString();
  }

  /** The matches in {@code text}, to be asked for one by one. */
  public Matches matches(String text) {
    return new Matches(program, text);
  }
}
