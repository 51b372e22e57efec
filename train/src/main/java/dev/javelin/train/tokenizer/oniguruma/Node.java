package dev.javelin.train.tokenizer.oniguruma;

import java.util.List;

/** The parts of a parsed pattern. */
sealed interface Node {
  Node EMPTY = new Sequence(List.of());

  /** One code point as it was written, or one that equals it but for case. */
  record Literal(int codePoint, boolean foldCase) implements Node {}

  /** One code point of a set. */
  record Member(CodePointSet set) implements Node {}

  record Sequence(List<Node> parts) implements Node {}

  /** The first alternative that leads to a match. */
  record Alternatives(List<Node> options) implements Node {}

  /** What parentheses hold; literals do not grow together across them. */
  record Group(Node body) implements Node {}

  enum Mode {
    GREEDY,
    LAZY,
    POSSESSIVE
  }

  /**
   * @param max {@link #UNBOUNDED} or the largest count
   */
  record Repeat(Node body, int min, int max, Mode mode) implements Node {
    static final int UNBOUNDED = Integer.MAX_VALUE;
  }

  /** Takes what its body takes first and never goes back into it. */
  record Atomic(Node body) implements Node {}

  /** Whether the body matches ahead of here, or ends here. */
  record Look(Node body, boolean behind, boolean negative) implements Node {}

  /** A place between two code points. */
  enum Anchor implements Node {
    TEXT_START,
    TEXT_END,
    /** The end, or before the line feed that is the last character. */
    LAST_LINE_END,
    LINE_START,
    LINE_END,
    /** Where the search began. */
    SEARCH_START,
    WORD_BOUNDARY,
    NO_WORD_BOUNDARY
  }
}
