package dev.javelin.train.tokenizer.oniguruma;

import dev.javelin.train.tokenizer.oniguruma.Node.Alternatives;
import dev.javelin.train.tokenizer.oniguruma.Node.Anchor;
import dev.javelin.train.tokenizer.oniguruma.Node.Atomic;
import dev.javelin.train.tokenizer.oniguruma.Node.Group;
import dev.javelin.train.tokenizer.oniguruma.Node.Literal;
import dev.javelin.train.tokenizer.oniguruma.Node.Look;
import dev.javelin.train.tokenizer.oniguruma.Node.Member;
import dev.javelin.train.tokenizer.oniguruma.Node.Mode;
import dev.javelin.train.tokenizer.oniguruma.Node.Repeat;
import dev.javelin.train.tokenizer.oniguruma.Node.Sequence;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Recursive descent over a pattern; options hold to the end of the group they stand in. */
final class OnigParser extends ClassParser {
  /** Oniguruma's own limit of a count. */
  private static final int LARGEST_COUNT = 100_000;

  private static final int LONGEST = 10_000;

  private record Options(boolean ignoreCase, boolean dotAll, boolean extended) {}

  private Options options = new Options(false, false, false);
  private int depth;
  private int lookbehinds;

  private OnigParser(String text, OnigPattern.Syntax syntax) {
    super(text, syntax);
  }

  static Node parse(String pattern, OnigPattern.Syntax syntax) {
    if (pattern.length() > LONGEST) {
      throw new OnigSyntaxException("a pattern above " + LONGEST + " characters is not supported");
    }
    OnigParser parser = new OnigParser(pattern, syntax);
    Node node = parser.alternatives();
    if (parser.more()) {
      throw new OnigSyntaxException("an unmatched )");
    }
    return node;
  }

  private boolean rust() {
    return syntax == OnigPattern.Syntax.RUST;
  }

  /** Up to the closing parenthesis or the end, neither of which is read. */
  private Node alternatives() {
    deep(++depth);
    Options outside = options;
    List<Node> all = new ArrayList<>();
    do {
      all.add(sequence());
    } while (next("|"));
    options = outside;
    depth--;
    return all.size() == 1 ? all.getFirst() : new Alternatives(all);
  }

  private Node sequence() {
    List<Node> parts = new ArrayList<>();
    while (more() && text.charAt(at) != '|' && text.charAt(at) != ')') {
      if (options.extended() && skipped()) {
        continue;
      }
      Node atom = atom();
      if (atom != null) {
        Node part = quantified(atom);
        if (part instanceof Sequence s) {
          parts.addAll(s.parts()); // (?:s)s is the string ss
        } else {
          parts.add(part);
        }
      }
    }
    return parts.size() == 1 ? parts.getFirst() : new Sequence(parts);
  }

  /** White space and comments, which {@code (?x)} leaves out. */
  private boolean skipped() {
    char c = text.charAt(at);
    if (c == '#') {
      int end = text.indexOf('\n', at);
      at = end < 0 ? text.length() : end + 1;
      return true;
    }
    boolean space = c == ' ' || c >= '\t' && c <= '\r';
    at += space ? 1 : 0;
    return space;
  }

  private @Nullable Node atom() {
    int c = take();
    return switch (c) {
      case '(' -> group();
      case '[' -> bracketed();
      case '.' -> new Member(options.dotAll() ? CodePointSet.ALL : UnicodeSets.NEWLINE.not());
      case '^' -> rust() ? Anchor.TEXT_START : Anchor.LINE_START;
      case '$' -> rust() ? Anchor.TEXT_END : Anchor.LINE_END;
      case '*', '+', '?' -> throw new OnigSyntaxException("a quantifier with nothing to repeat");
      case '\\' -> escaped();
      default -> new Literal(c, options.ignoreCase());
    };
  }

  private Node bracketed() {
    boolean negated = more() && text.charAt(at) == '^';
    CodePointSet set = brackets(0, options.ignoreCase());
    if (!options.ignoreCase() || negated || rust()) {
      return new Member(set);
    }
    List<Node> all = new ArrayList<>();
    all.add(new Member(set));
    for (String string : CaseFolding.strings(set)) {
      // Grouped, so that the literals do not fold again into what they came from.
      all.add(new Sequence(string.codePoints().mapToObj(this::equal).toList()));
    }
    return all.size() == 1 ? all.getFirst() : new Alternatives(all);
  }

  private Node equal(int c) {
    return new Member(CaseFolding.equal(c));
  }

  private Node escaped() {
    int from = at;
    int c = take();
    switch (c) {
      case 'A':
        return Anchor.TEXT_START;
      case 'z':
        return Anchor.TEXT_END;
      case 'b':
        return Anchor.WORD_BOUNDARY;
      case 'B':
        return Anchor.NO_WORD_BOUNDARY;
      case 'Z', 'G', 'R', 'N', 'O':
        if (c == 'R' && lookbehinds > 0) {
          throw new OnigSyntaxException("\\R in a lookbehind is not supported");
        }
        if (!rust()) {
          return oniguruma(c);
        }
        throw unsupported(from);
      case 'K', 'X', 'y', 'Y', '1', '2', '3', '4', '5', '6', '7':
        if (c > '7' || !more() || text.charAt(at) < '0' || text.charAt(at) > '7') {
          throw unsupported(from);
        }
        break; // two octal digits or more
      default:
        break;
    }
    at = from;
    Item item = escape(false);
    return item.set() == null
        ? new Literal(item.codePoint(), options.ignoreCase())
        : new Member(item.set());
  }

  private static Node oniguruma(int escape) {
    return switch (escape) {
      case 'Z' -> Anchor.LAST_LINE_END;
      case 'G' -> Anchor.SEARCH_START;
      case 'N' -> new Member(UnicodeSets.NEWLINE.not());
      case 'O' -> new Member(CodePointSet.ALL);
      default -> { // R: a line break of any kind, \r\n as one
        CodePointSet breaks =
            CodePointSet.range('\n', '\r')
                .or(CodePointSet.of(0x85))
                .or(CodePointSet.range(0x2028, 0x2029));
        Node pair = new Sequence(List.of(new Literal('\r', false), new Literal('\n', false)));
        yield new Atomic(new Alternatives(List.of(pair, new Member(breaks))));
      }
    };
  }

  /** What an opening parenthesis begins; null for options and comments. */
  private @Nullable Node group() {
    if (!next("?")) {
      if (more() && text.charAt(at) == '*') {
        throw new OnigSyntaxException("(* is not supported");
      }
      return new Group(body());
    }
    int from = at;
    if (next("#")) {
      int end = text.indexOf(')', at);
      if (end < 0) {
        throw new OnigSyntaxException("a comment without its end");
      }
      at = end + 1;
      return null;
    }
    if (next(":")) {
      return body();
    }
    if (next("=")) {
      return new Look(body(), false, false);
    }
    if (next("!")) {
      return new Look(body(), false, true);
    }
    if (next(">")) {
      return new Atomic(body());
    }
    if (next("<=") || next("<!")) {
      boolean negative = text.charAt(at - 1) == '!';
      lookbehinds++;
      Node body = body();
      lookbehinds--;
      return new Look(body, true, negative);
    }
    if (next(rust() ? "P<" : "<") || !rust() && next("'")) {
      name(text.charAt(at - 1) == '<' ? '>' : '\'');
      return new Group(body());
    }
    return optionGroup(from);
  }

  private void name(char end) {
    int from = at;
    while (more() && (Character.isLetterOrDigit(text.charAt(at)) || text.charAt(at) == '_')) {
      at++;
    }
    if (at == from || Character.isDigit(text.charAt(from)) || !more() || text.charAt(at) != end) {
      throw new OnigSyntaxException("a group with an invalid name");
    }
    at++;
  }

  private Node body() {
    Node body = alternatives();
    if (!next(")")) {
      throw new OnigSyntaxException("a group without its closing parenthesis");
    }
    return body;
  }

  /** {@code (?im-x:…)}, or {@code (?im-x)}, which holds to the end of the group around it. */
  private Node optionGroup(int from) {
    Options before = options;
    boolean on = true;
    while (true) {
      int c = take();
      switch (c) {
        case '-' -> on = false;
        case 'i' -> options = new Options(on, options.dotAll(), options.extended());
        case 'x' -> options = new Options(options.ignoreCase(), options.dotAll(), on);
        case ':' -> {
          Node body = new Group(body());
          options = before;
          return body;
        }
        case ')' -> {
          // What follows, alternatives and all, is inside: a(?i)b|c is a(?i:b|c).
          return new Group(alternatives());
        }
        default -> {
          if (c != (rust() ? 's' : 'm')) {
            throw new OnigSyntaxException(
                "the group (?" + text.substring(from, at) + " is not supported");
          }
          options = new Options(options.ignoreCase(), on, options.extended());
        }
      }
    }
  }

  private Node quantified(Node atom) {
    Node node = atom;
    while (more()) {
      if (options.extended() && skipped()) {
        continue;
      }
      Node repeated = repeated(node);
      if (repeated == null) {
        break;
      }
      node = repeated;
    }
    return node;
  }

  private @Nullable Node repeated(Node node) {
    int from = at;
    int min = 0;
    int max = Repeat.UNBOUNDED;
    boolean interval = false;
    if (next("+")) {
      min = 1;
    } else if (next("?")) {
      max = 1;
    } else if (!next("*")) {
      int[] counts = interval();
      if (counts == null) {
        return null;
      }
      interval = true;
      min = counts[0];
      max = counts[1];
    }
    if (node instanceof Anchor || node instanceof Look) {
      throw new OnigSyntaxException(
          "a repeated place between characters is not supported: " + text.substring(from, at));
    }
    boolean exact = interval && min == max;
    if (next("?")) {
      // {n}? is {n}, or nothing: to Oniguruma an exact count has no lazy form.
      return exact && !rust()
          ? new Repeat(new Repeat(node, min, max, Mode.GREEDY), 0, 1, Mode.GREEDY)
          : new Repeat(node, min, max, Mode.LAZY);
    }
    if ((!interval || rust()) && next("+")) {
      return new Repeat(node, min, max, Mode.POSSESSIVE);
    }
    return new Repeat(node, min, max, Mode.GREEDY);
  }

  /** The bounds of {@code {n}}, {@code {n,}}, {@code {n,m}}, {@code {,m}}; null for plain text. */
  private int @Nullable [] interval() {
    int from = at;
    if (!next("{")) {
      return null;
    }
    int min = count();
    int max = min;
    if (next(",")) {
      max = count();
      if (min < 0 && max < 0) {
        at = from;
        return null;
      }
      max = max < 0 ? Repeat.UNBOUNDED : max;
      min = Math.max(0, min);
    }
    if (min < 0 || !next("}")) {
      at = from;
      return null;
    }
    if (max < min) {
      throw new OnigSyntaxException(text.substring(from, at) + " is not supported");
    }
    return new int[] {min, max};
  }

  /** A number, or -1. */
  private int count() {
    int from = at;
    int value = 0;
    while (more() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
      value = Math.min(LARGEST_COUNT + 1, 10 * value + text.charAt(at++) - '0');
    }
    if (value > LARGEST_COUNT) {
      throw new OnigSyntaxException("a count above " + LARGEST_COUNT + " is not supported");
    }
    return at == from ? -1 : value;
  }
}
