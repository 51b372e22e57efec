package dev.javelin.train.tokenizer.oniguruma;

import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads escapes and bracket classes. A class is the union of what it lists, nested classes
 * included; {@code &&} intersects what stands left and right of it; {@code ^} in front negates the
 * whole.
 */
class ClassParser {
  private static final int DEEPEST = 50;
  private static final Set<String> POSIX =
      Set.of(
          "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
          "space", "upper", "xdigit", "word");

  protected final String text;
  protected final OnigPattern.Syntax syntax;
  protected int at;

  ClassParser(String text, OnigPattern.Syntax syntax) {
    this.text = text;
    this.syntax = syntax;
  }

  protected final boolean more() {
    return at < text.length();
  }

  protected final boolean next(String s) {
    boolean found = text.startsWith(s, at);
    at += found ? s.length() : 0;
    return found;
  }

  protected final int take() {
    if (!more()) {
      throw new OnigSyntaxException("the pattern ends too early");
    }
    int c = text.codePointAt(at);
    at += Character.charCount(c);
    return c;
  }

  protected static void deep(int depth) {
    if (depth > DEEPEST) {
      throw new OnigSyntaxException("nesting deeper than " + DEEPEST + " is not supported");
    }
  }

  /** What an escape or a plain character stands for: a set, or where that is null a code point. */
  protected record Item(@Nullable CodePointSet set, int codePoint) {}

  private static Item set(CodePointSet set, boolean negated) {
    return new Item(negated ? set.not() : set, -1);
  }

  /**
   * The rest of an escape, behind its backslash.
   *
   * @param inClass whether it stands in brackets
   */
  protected final Item escape(boolean inClass) {
    int from = at;
    int c = take();
    boolean rust = syntax == OnigPattern.Syntax.RUST;
    return switch (c) {
      case 'w', 'W' ->
          set(
              rust
                  ? UnicodeSets.Words.RUST_WORD
                  : inClass ? UnicodeSets.Words.WORD : UnicodeSets.Words.BARE_WORD,
              c == 'W');
      case 'd', 'D' -> set(UnicodeSets.DIGIT, c == 'D');
      case 's', 'S' -> set(UnicodeSets.SPACE, c == 'S');
      case 'h', 'H' -> {
        if (rust) {
          throw unsupported(from);
        }
        yield set(UnicodeSets.required("xdigit"), c == 'H');
      }
      case 'p', 'P' -> property(from, c == 'P', inClass);
      case 't' -> new Item(null, '\t');
      case 'n' -> new Item(null, '\n');
      case 'r' -> new Item(null, '\r');
      case 'f' -> new Item(null, '\f');
      case 'v' -> new Item(null, 0x0B);
      case 'a' -> new Item(null, 0x07);
      case 'e' -> new Item(null, 0x1B);
      case 'x' -> new Item(null, next("{") ? braced(from, 16, 8) : hex(from));
      case 'u' -> new Item(null, digits(from, 16, 4, 4));
      case 'o' -> new Item(null, next("{") ? braced(from, 8, 11) : 'o');
      case '0', '1', '2', '3', '4', '5', '6', '7' -> {
        at--;
        yield new Item(null, octal(from));
      }
      case 'c', 'C', 'M', 'k', 'g', '8', '9' -> throw unsupported(from);
      default -> new Item(null, c);
    };
  }

  private int octal(int from) {
    int value = digits(from, 8, 1, 3);
    if (value > 0x7F) {
      throw new OnigSyntaxException(
          "the byte " + text.substring(from - 1, at) + " is not supported");
    }
    return value;
  }

  private int hex(int from) {
    int value = digits(from, 16, 1, 2);
    if (value > 0x7F) {
      throw new OnigSyntaxException(
          "the byte " + text.substring(from - 1, at) + " is not supported: write \\x{…}");
    }
    return value;
  }

  private int digits(int from, int radix, int min, int max) {
    long value = 0;
    int n = 0;
    while (n < max
        && more()
        && text.charAt(at) < 128
        && Character.digit(text.charAt(at), radix) >= 0) {
      value = value * radix + Character.digit(text.charAt(at++), radix);
      n++;
    }
    if (n < min || value > Character.MAX_CODE_POINT || value >= 0xD800 && value < 0xE000) {
      throw new OnigSyntaxException(
          "the code point " + text.substring(from - 1, at) + " does not exist");
    }
    return (int) value;
  }

  private int braced(int from, int radix, int max) {
    int value = digits(from, radix, 1, max);
    if (!next("}")) {
      throw unsupported(from);
    }
    return value;
  }

  protected final OnigSyntaxException unsupported(int from) {
    int end = Math.min(text.length(), Math.max(at, from));
    return new OnigSyntaxException(text.substring(from - 1, end) + " is not supported");
  }

  /** {@code \p{L}}, {@code \p{^L}}, {@code \P{L}}; in Rust's syntax {@code \pL} too. */
  private Item property(int from, boolean negated, boolean inClass) {
    String name;
    if (next("{")) {
      int end = text.indexOf('}', at);
      if (end < 0) {
        throw new OnigSyntaxException("a property without its closing brace");
      }
      boolean not = next("^");
      negated ^= not;
      name = text.substring(at, end);
      at = end + 1;
    } else if (syntax == OnigPattern.Syntax.RUST) {
      name = Character.toString(take());
    } else {
      return new Item(null, text.charAt(from));
    }
    boolean kind = name.indexOf('=') >= 0 && syntax != OnigPattern.Syntax.RUST;
    CodePointSet set = kind ? null : UnicodeSets.named(name);
    if (set == null) {
      throw new OnigSyntaxException("the property \\p{" + name + "} is not supported");
    }
    return set(!inClass && UnicodeSets.isWord(name) ? UnicodeSets.Words.BARE_WORD : set, negated);
  }

  /** A class whose opening bracket has been read. */
  protected final CodePointSet brackets(int depth, boolean foldCase) {
    deep(depth);
    boolean negated = next("^");
    CodePointSet all = null; // what stands before the last &&
    CodePointSet here = CodePointSet.NONE;
    boolean first = true;
    while (true) {
      if (!more()) {
        throw new OnigSyntaxException("a class without its closing bracket");
      }
      if (text.charAt(at) == ']' && !(first && text.indexOf(']', at + 1) >= 0)) {
        at++;
        break;
      }
      if (next("&&")) {
        all = all == null ? here : all.and(here);
        here = CodePointSet.NONE;
      } else {
        here = here.or(element(depth));
      }
      first = false;
    }
    if (first) {
      throw new OnigSyntaxException("an empty class");
    }
    CodePointSet set = all == null ? here : all.and(here);
    set = foldCase ? CaseFolding.close(set) : set;
    return negated ? set.not() : set;
  }

  private CodePointSet element(int depth) {
    if (next("[:")) {
      return posix();
    }
    if (next("[")) {
      return brackets(depth + 1, false);
    }
    Item low = item();
    boolean range =
        more() && text.charAt(at) == '-' && at + 1 < text.length() && text.charAt(at + 1) != ']';
    if (!range) {
      return low.set() == null ? CodePointSet.of(low.codePoint()) : low.set();
    }
    int from = at;
    at++;
    if (low.set() != null || text.charAt(at) == '[' || text.startsWith("&&", at)) {
      throw new OnigSyntaxException("a range in a class without two ends");
    }
    Item high = item();
    if (high.set() != null || high.codePoint() < low.codePoint()) {
      throw new OnigSyntaxException(
          "the range " + text.substring(Math.max(0, from - 1), at) + " in a class has no members");
    }
    return CodePointSet.range(low.codePoint(), high.codePoint());
  }

  private Item item() {
    int c = take();
    if (c != '\\') {
      return new Item(null, c);
    }
    if (!more()) {
      throw new OnigSyntaxException("the pattern ends with a backslash");
    }
    if (next("b")) {
      return new Item(null, '\b');
    }
    if (syntax == OnigPattern.Syntax.RUST
        && Character.isLetter(text.charAt(at))
        && "wWdDsSpPtnrfvaxu".indexOf(text.charAt(at)) < 0) {
      throw new OnigSyntaxException("\\" + text.charAt(at) + " in a class is not supported");
    }
    return escape(true);
  }

  private CodePointSet posix() {
    boolean negated = next("^");
    int end = text.indexOf(":]", at);
    String name = end < 0 ? "" : text.substring(at, end);
    if (!POSIX.contains(name)) {
      throw new OnigSyntaxException("the bracket [:" + name + ":] is not supported");
    }
    at = end + 2;
    CodePointSet set =
        Objects.requireNonNull(UnicodeSets.named(name.equals("punct") ? "posixpunct" : name));
    return negated ? set.not() : set;
  }
}
