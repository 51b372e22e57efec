package dev.javelin.train.tokenizer.oniguruma;

import dev.javelin.train.tokenizer.oniguruma.Node.Alternatives;
import dev.javelin.train.tokenizer.oniguruma.Node.Anchor;
import dev.javelin.train.tokenizer.oniguruma.Node.Atomic;
import dev.javelin.train.tokenizer.oniguruma.Node.Group;
import dev.javelin.train.tokenizer.oniguruma.Node.Literal;
import dev.javelin.train.tokenizer.oniguruma.Node.Look;
import dev.javelin.train.tokenizer.oniguruma.Node.Member;
import dev.javelin.train.tokenizer.oniguruma.Node.Repeat;
import dev.javelin.train.tokenizer.oniguruma.Node.Sequence;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Replaces literals whose case does not count by what they match: one code point by the set of its
 * equals, and where Unicode folds to several ({@code ß} to {@code ss}) by both forms. A run of
 * literals is read from the left, the longest such string first; inside a lookbehind only single
 * code points are equal. What remains has no {@link Group} and no folding {@link Literal}.
 */
final class Expansion {
  private final boolean strings;

  private Expansion(boolean strings) {
    this.strings = strings;
  }

  /**
   * @param strings whether a code point may equal a string of several
   */
  static Node of(Node node, boolean strings) {
    return new Expansion(strings).expand(node);
  }

  private Node expand(Node node) {
    return switch (node) {
      case Literal literal -> expand(List.of(literal));
      case Member member -> member;
      case Sequence sequence -> expand(sequence.parts());
      case Alternatives a -> new Alternatives(a.options().stream().map(this::expand).toList());
      case Group group -> expand(group.body());
      case Repeat r -> new Repeat(expand(r.body()), r.min(), r.max(), r.mode());
      case Atomic atomic -> new Atomic(expand(atomic.body()));
      case Look look ->
          new Look(of(look.body(), strings && !look.behind()), look.behind(), look.negative());
      case Anchor anchor -> anchor;
    };
  }

  private Node expand(List<Node> parts) {
    List<Node> result = new ArrayList<>();
    for (int i = 0; i < parts.size(); ) {
      if (!(parts.get(i) instanceof Literal literal) || !literal.foldCase()) {
        Node part = parts.get(i++);
        result.add(part instanceof Literal ? part : expand(part));
        continue;
      }
      int taken = strings ? string(parts, i, result) : 0;
      if (taken == 0) {
        result.add(new Member(CaseFolding.equal(literal.codePoint())));
        taken = 1;
      }
      i += taken;
    }
    return result.size() == 1 ? result.getFirst() : new Sequence(result);
  }

  /** Adds what the literals at {@code from} match where a full folding is among them. */
  private static int string(List<Node> parts, int from, List<Node> result) {
    String alone = CaseFolding.full(((Literal) parts.get(from)).codePoint());
    if (alone != null) {
      result.add(both(alone));
      return 1;
    }
    for (int n = CaseFolding.LONGEST; n > 1; n--) {
      String folded = folded(parts, from, n);
      if (folded != null && CaseFolding.foldedTo(folded) != null) {
        result.add(both(folded));
        return n;
      }
    }
    return 0;
  }

  private static @Nullable String folded(List<Node> parts, int from, int n) {
    StringBuilder folded = new StringBuilder();
    for (int i = from; i < from + n; i++) {
      if (i >= parts.size() || !(parts.get(i) instanceof Literal l) || !l.foldCase()) {
        return null;
      }
      folded.appendCodePoint(CaseFolding.simple(l.codePoint()));
    }
    return folded.toString();
  }

  private static Node both(String folded) {
    List<Node> spelled = new ArrayList<>();
    folded.codePoints().forEach(c -> spelled.add(new Member(CaseFolding.equal(c))));
    CodePointSet single = CaseFolding.foldedTo(folded);
    Node sequence = new Sequence(spelled);
    return single == null
        ? sequence
        : new Alternatives(List.of(sequence, new Member(CaseFolding.close(single))));
  }
}
