package dev.javelin.train.tokenizer.oniguruma;

import java.util.Arrays;

/**
 * The matches of a pattern in one text, from left to right, without overlap. An empty match right
 * behind a match does not count. Work is bounded: a match that would take too many steps back ends
 * with an exception, as it does in Oniguruma. For one thread.
 */
public final class Matches {
  /** Steps back in an attempt at one place; Oniguruma's limit. */
  private static final long MOST_STEPS = 10_000_000;

  /** Steps back from one match to the next. */
  private static final long MOST_STEPS_OF_ALL = 1_000_000_000;

  private static final int LARGEST_STACK = 3 << 22;
  private static final Node.Mode[] MODES = Node.Mode.values();
  private static final Node.Anchor[] ANCHORS = Node.Anchor.values();

  private final Program program;
  private final int[] code;
  private final String text;
  private final int[] registers;

  /** Places to go back to: instruction, position, and what the instruction left there. */
  private int[] stack = new int[48];

  private int top;
  private long steps;
  private int searchStart;
  private int start;
  private int end;
  private boolean any;

  Matches(Program program, String text) {
    this.program = program;
    this.code = program.code();
    this.text = text;
    this.registers = new int[program.registers()];
  }

  /** Where the match found last begins. */
  public int start() {
    return start;
  }

  /** Where the match found last ends. */
  public int end() {
    return end;
  }

  /**
   * Finds the next match.
   *
   * @throws IllegalArgumentException where the pattern needs too many steps for this text
   */
  public boolean find() {
    boolean before = any;
    int last = end;
    searchStart = end;
    long all = 0;
    int at = end;
    while (at <= text.length()) {
      if (program.first() != null) {
        at = candidate(at);
        if (at == text.length()) {
          return false;
        }
      }
      steps = 0;
      top = 0;
      int to = run(0, at, 0);
      if (to >= 0 && !(before && to == at && to == last)) {
        start = at;
        end = to;
        any = true;
        return true;
      }
      all += steps;
      if (all > MOST_STEPS_OF_ALL) {
        throw tooMany(MOST_STEPS_OF_ALL);
      }
      if (to >= 0) {
        searchStart = next(at); // the search begins again behind an empty match
      }
      at = next(at);
    }
    return false;
  }

  private int candidate(int from) {
    CodePointSet first = program.first();
    int at = from;
    while (at < text.length() && first != null && !first.contains(text.codePointAt(at))) {
      at = next(at);
    }
    return at;
  }

  private int next(int at) {
    return at < text.length() ? at + Character.charCount(text.codePointAt(at)) : at + 1;
  }

  private IllegalArgumentException tooMany(long most) {
    return new IllegalArgumentException(
        "the tokenizer's split pattern needs more than "
            + most
            + " steps at character "
            + searchStart
            + " of a text of "
            + text.length());
  }

  private void push(int instruction, int position, int extra) {
    if (top + 3 > stack.length) {
      if (stack.length >= LARGEST_STACK) {
        throw tooMany(LARGEST_STACK / 3);
      }
      stack = Arrays.copyOf(stack, 2 * stack.length);
    }
    stack[top++] = instruction;
    stack[top++] = position;
    stack[top++] = extra;
  }

  /**
   * Runs from an instruction to MATCH.
   *
   * @param target where a lookbehind must end
   * @return where the match ends, or -1; the stack is as it was
   */
  private int run(int instruction, int position, int target) {
    int base = top;
    int pc = instruction;
    int at = position;
    while (true) {
      boolean matched = true;
      switch (code[pc]) {
        case Program.MATCH -> {
          top = base;
          return at;
        }
        case Program.BEHIND_END -> {
          if (at == target) {
            top = base;
            return at;
          }
          matched = false;
        }
        case Program.CHAR -> {
          int c = code[pc + 1];
          matched = at < text.length() && text.codePointAt(at) == c;
          at += Character.charCount(c);
          pc += 2;
        }
        case Program.SET -> {
          matched = at < text.length();
          if (matched) {
            int c = text.codePointAt(at);
            matched = program.sets()[code[pc + 1]].contains(c);
            at += Character.charCount(c);
            pc += 2;
          }
        }
        case Program.SPLIT -> {
          push(pc, at, 0);
          pc = code[pc + 1];
        }
        case Program.JUMP -> pc = code[pc + 1];
        case Program.LOOP -> {
          at = loop(pc, at);
          matched = at >= 0;
          pc += 5;
        }
        case Program.ANCHOR -> {
          matched = anchor(ANCHORS[code[pc + 1]], at);
          pc += 2;
        }
        case Program.AHEAD -> {
          matched = run(pc + 3, at, 0) >= 0 == (code[pc + 1] == 0);
          pc = code[pc + 2];
        }
        case Program.BEHIND -> {
          matched = behind(pc, at) == (code[pc + 1] == 0);
          pc = code[pc + 2];
        }
        case Program.ATOMIC -> {
          at = run(pc + 2, at, 0);
          matched = at >= 0;
          pc = code[pc + 1];
        }
        case Program.CHOICE -> {
          int option = option(pc, at, 0);
          matched = option >= 0;
          pc = matched ? option : pc;
        }
        case Program.MARK -> {
          int register = code[pc + 1];
          push(pc, registers[register], register);
          registers[register] = at;
          pc += 2;
        }
        case Program.PROGRESS -> pc = registers[code[pc + 1]] == at ? code[pc + 2] : pc + 3;
        default -> throw new AssertionError(code[pc]);
      }
      while (!matched) {
        if (top == base) {
          return -1;
        }
        if (++steps > MOST_STEPS) {
          throw tooMany(MOST_STEPS);
        }
        top -= 3;
        pc = stack[top];
        at = stack[top + 1];
        switch (code[pc]) {
          case Program.SPLIT -> {
            pc = code[pc + 2];
            matched = true;
          }
          case Program.LOOP -> {
            at = again(pc, at, stack[top + 2]);
            pc += 5;
            matched = at >= 0;
          }
          case Program.CHOICE -> {
            int option = option(pc, at, stack[top + 2]);
            matched = option >= 0;
            pc = option;
          }
          case Program.MARK -> registers[stack[top + 2]] = at;
          default -> throw new AssertionError(code[pc]);
        }
      }
    }
  }

  /** Where the first alternative from {@code from} on begins that is worth a try, or -1. */
  private int option(int pc, int at, int from) {
    Program.Choice choice = program.choices()[code[pc + 1]];
    long mask =
        (at < text.length() ? choice.worthTrying(text.codePointAt(at)) : choice.atEnd())
            & -1L << from;
    if (mask == 0) {
      return -1;
    }
    int option = Long.numberOfTrailingZeros(mask);
    if ((mask & mask - 1) != 0) {
      push(pc, at, option + 1);
    }
    return choice.targets()[option];
  }

  /** Takes a run of a set; where its end may be reconsidered, that goes on the stack. */
  private int loop(int pc, int from) {
    CodePointSet set = program.sets()[code[pc + 1]];
    int min = code[pc + 2];
    int max = code[pc + 3];
    Node.Mode mode = MODES[code[pc + 4]];
    int wanted = mode == Node.Mode.LAZY ? min : max;
    int at = from;
    int least = min == 0 ? from : -1; // the shortest end that is allowed
    int length = text.length();
    for (int n = 0; n < wanted && at < length; ) {
      int c = text.charAt(at);
      if (Character.isSurrogate((char) c)) {
        c = text.codePointAt(at);
      }
      if (!set.contains(c)) {
        break;
      }
      at += c >= Character.MIN_SUPPLEMENTARY_CODE_POINT ? 2 : 1;
      if (++n == min) {
        least = at;
      }
    }
    if (least < 0) {
      return -1;
    }
    if (mode == Node.Mode.POSSESSIVE) {
      steps += at - from;
    } else if (mode == Node.Mode.LAZY) {
      if (max > min) {
        push(pc, at, max - min);
      }
    } else if (at > least) {
      push(pc, at, least);
    }
    return at;
  }

  /** The next end of a run: one shorter, or for a lazy one longer; -1 if there is none. */
  private int again(int pc, int at, int extra) {
    if (MODES[code[pc + 4]] == Node.Mode.LAZY) {
      if (at >= text.length()) {
        return -1;
      }
      int c = text.codePointAt(at);
      if (!program.sets()[code[pc + 1]].contains(c)) {
        return -1;
      }
      int longer = at + Character.charCount(c);
      if (extra == Node.Repeat.UNBOUNDED || extra > 1) {
        push(pc, longer, extra == Node.Repeat.UNBOUNDED ? extra : extra - 1);
      }
      return longer;
    }
    int shorter = at - Character.charCount(text.codePointBefore(at));
    if (shorter > extra) {
      push(pc, shorter, extra);
    }
    return shorter;
  }

  private boolean behind(int pc, int at) {
    int from = at;
    int max = code[pc + 4];
    for (int n = 0; n <= max; n++) {
      if (n >= code[pc + 3] && run(pc + 5, from, at) >= 0) {
        return true;
      }
      if (from == 0) {
        break;
      }
      from -= Character.charCount(text.codePointBefore(from));
    }
    return false;
  }

  private boolean anchor(Node.Anchor anchor, int at) {
    int length = text.length();
    return switch (anchor) {
      case TEXT_START -> at == 0;
      case TEXT_END -> at == length;
      case LAST_LINE_END -> at == length || at == length - 1 && text.charAt(at) == '\n';
      case LINE_START -> at == 0 || at < length && text.charAt(at - 1) == '\n';
      case LINE_END -> at == length || text.charAt(at) == '\n';
      case SEARCH_START -> at == searchStart;
      case WORD_BOUNDARY -> boundary(at);
      case NO_WORD_BOUNDARY -> !boundary(at);
    };
  }

  private boolean boundary(int at) {
    boolean before = at > 0 && UnicodeSets.Words.BARE_WORD.contains(text.codePointBefore(at));
    boolean after =
        at < text.length() && UnicodeSets.Words.BARE_WORD.contains(text.codePointAt(at));
    return before != after;
  }
}
