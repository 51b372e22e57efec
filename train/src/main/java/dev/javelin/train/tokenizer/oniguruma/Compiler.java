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
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** From a tree without groups and folding literals to a {@link Program}. */
final class Compiler {
  private static final int LONGEST_PROGRAM = 1 << 16;

  private static final int MOST_SETS = 4096;

  private int[] code = new int[64];
  private int size;
  private final List<CodePointSet> sets = new ArrayList<>();
  private final List<Program.Choice> choices = new ArrayList<>();
  private int registers;

  Program compile(Node node) {
    emit(node);
    add(Program.MATCH);
    return new Program(
        Arrays.copyOf(code, size),
        sets.toArray(CodePointSet[]::new),
        choices.toArray(Program.Choice[]::new),
        first(node),
        registers);
  }

  private void add(int... words) {
    if (size + words.length > LONGEST_PROGRAM) {
      throw new OnigSyntaxException(
          "a pattern whose counts multiply to more than "
              + LONGEST_PROGRAM
              + " instructions is not supported");
    }
    if (size + words.length > code.length) {
      code = Arrays.copyOf(code, 2 * code.length + words.length);
    }
    for (int word : words) {
      code[size++] = word;
    }
  }

  private int set(CodePointSet set) {
    int known = sets.indexOf(set);
    if (known < 0) {
      if (sets.size() == MOST_SETS) {
        throw new OnigSyntaxException("more than " + MOST_SETS + " classes are not supported");
      }
      sets.add(set);
      known = sets.size() - 1;
    }
    return known;
  }

  private void emit(Node node) {
    switch (node) {
      case Literal literal -> add(Program.CHAR, literal.codePoint());
      case Member member -> add(Program.SET, set(member.set()));
      case Sequence sequence -> sequence.parts().forEach(this::emit);
      case Alternatives alternatives -> alternatives(alternatives.options());
      case Group group -> emit(group.body());
      case Repeat repeat -> repeat(repeat);
      case Atomic atomic -> {
        int at = size;
        add(Program.ATOMIC, 0);
        emit(atomic.body());
        add(Program.MATCH);
        code[at + 1] = size;
      }
      case Look look -> look(look);
      case Anchor anchor -> add(Program.ANCHOR, anchor.ordinal());
    }
  }

  private void alternatives(List<Node> options) {
    if (options.size() > Program.Choice.MOST) {
      int half = options.size() / 2;
      alternatives(
          List.of(
              new Alternatives(options.subList(0, half)),
              new Alternatives(options.subList(half, options.size()))));
      return;
    }
    int choice = choices.size();
    if (choice == MOST_SETS) {
      throw new OnigSyntaxException("more than " + MOST_SETS + " alternatives are not supported");
    }
    choices.add(new Program.Choice(new int[0], new CodePointSet[0], new long[0], 0)); // its place
    add(Program.CHOICE, choice);
    int[] targets = new int[options.size()];
    @Nullable CodePointSet[] firsts = new CodePointSet[options.size()];
    int[] ends = new int[options.size()];
    for (int i = 0; i < targets.length; i++) {
      targets[i] = size;
      firsts[i] = first(options.get(i));
      emit(options.get(i));
      ends[i] = size;
      add(Program.JUMP, 0);
    }
    for (int end : ends) {
      code[end + 1] = size;
    }
    choices.set(choice, Program.Choice.of(targets, firsts));
  }

  private void repeat(Repeat repeat) {
    CodePointSet single = single(repeat.body());
    if (single != null) {
      add(Program.LOOP, set(single), repeat.min(), repeat.max(), repeat.mode().ordinal());
      return;
    }
    if (repeat.mode() == Mode.POSSESSIVE) {
      emit(new Atomic(new Repeat(repeat.body(), repeat.min(), repeat.max(), Mode.GREEDY)));
      return;
    }
    List<Integer> exits = new ArrayList<>(); // operands that say where the loop ends
    // A round that takes nothing ends the loop, whether or not its count is reached.
    int min = length(repeat.body(), false) == 0 ? Math.min(1, repeat.min()) : repeat.min();
    for (int i = 0; i < min; i++) {
      round(repeat.body(), exits);
    }
    boolean unbounded = repeat.max() == Repeat.UNBOUNDED;
    for (int i = repeat.min(); i < repeat.max(); i++) {
      int split = size;
      boolean lazy = repeat.mode() == Mode.LAZY;
      add(Program.SPLIT, size + 3, size + 3);
      exits.add(split + (lazy ? 1 : 2));
      round(repeat.body(), exits);
      if (unbounded) {
        add(Program.JUMP, split);
        break;
      }
    }
    exits.forEach(exit -> code[exit] = size);
  }

  private void round(Node body, List<Integer> exits) {
    if (length(body, true) > 0) {
      emit(body);
      return;
    }
    int register = registers++;
    add(Program.MARK, register);
    emit(body);
    add(Program.PROGRESS, register, 0);
    exits.add(size - 1);
  }

  private void look(Look look) {
    int at = size;
    int negative = look.negative() ? 1 : 0;
    if (look.behind()) {
      long longest = length(look.body(), false);
      if (longest > Integer.MAX_VALUE / 4) {
        throw new OnigSyntaxException("a lookbehind of unbounded length is not supported");
      }
      add(Program.BEHIND, negative, 0, (int) length(look.body(), true), (int) longest);
      emit(look.body());
      add(Program.BEHIND_END);
    } else {
      add(Program.AHEAD, negative, 0);
      emit(look.body());
      add(Program.MATCH);
    }
    code[at + 2] = size;
  }

  private static @Nullable CodePointSet single(Node node) {
    return switch (node) {
      case Literal literal -> CodePointSet.of(literal.codePoint());
      case Member member -> member.set();
      default -> null;
    };
  }

  /** The fewest or most code points that a match of {@code node} takes. */
  private static long length(Node node, boolean fewest) {
    long length =
        switch (node) {
          case Literal literal -> 1;
          case Member member -> 1;
          case Sequence s -> s.parts().stream().mapToLong(part -> length(part, fewest)).sum();
          case Alternatives a -> {
            var lengths = a.options().stream().mapToLong(option -> length(option, fewest));
            yield (fewest ? lengths.min() : lengths.max()).orElse(0);
          }
          case Group group -> length(group.body(), fewest);
          case Repeat r -> length(r.body(), fewest) * (fewest ? r.min() : r.max());
          case Atomic atomic -> length(atomic.body(), fewest);
          case Look look -> 0;
          case Anchor anchor -> 0;
        };
    return Math.min(length, Integer.MAX_VALUE);
  }

  /** What a match of {@code node} begins with; null where it may be empty. */
  private static @Nullable CodePointSet first(Node node) {
    return length(node, true) == 0 ? null : beginning(node);
  }

  private static CodePointSet beginning(Node node) {
    return switch (node) {
      case Literal literal -> CodePointSet.of(literal.codePoint());
      case Member member -> member.set();
      case Sequence sequence -> {
        CodePointSet all = CodePointSet.NONE;
        for (Node part : sequence.parts()) {
          all = all.or(beginning(part));
          if (length(part, true) > 0) {
            break;
          }
        }
        yield all;
      }
      case Alternatives alternatives ->
          alternatives.options().stream()
              .map(Compiler::beginning)
              .reduce(CodePointSet.NONE, CodePointSet::or);
      case Group group -> beginning(group.body());
      case Repeat repeat -> repeat.max() == 0 ? CodePointSet.NONE : beginning(repeat.body());
      case Atomic atomic -> beginning(atomic.body());
      case Look look -> CodePointSet.NONE;
      case Anchor anchor -> CodePointSet.NONE;
    };
  }
}
