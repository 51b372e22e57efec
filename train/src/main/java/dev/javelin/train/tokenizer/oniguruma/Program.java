package dev.javelin.train.tokenizer.oniguruma;

import org.jspecify.annotations.Nullable;

/**
 * A compiled pattern: instructions with their operands in a row, and the sets they name.
 *
 * @param first every match begins with one of these; null where a match may be empty
 * @param registers how many places of loops are to be remembered
 */
@SuppressWarnings("ArrayRecordComponent")
record Program(
    int[] code,
    CodePointSet[] sets,
    Choice[] choices,
    @Nullable CodePointSet first,
    int registers) {

  /** The end of the pattern, or of the body of a lookahead or atomic group. */
  static final int MATCH = 0;

  /** {@code c}: one code point. */
  static final int CHAR = 1;

  /** {@code set}: one code point of a set. */
  static final int SET = 2;

  /** {@code first second}: go on at the first, and if that fails at the second. */
  static final int SPLIT = 3;

  /** {@code to}. */
  static final int JUMP = 4;

  /** {@code set min max mode}: a run of code points of a set. */
  static final int LOOP = 5;

  /** {@code ordinal} of the {@link Node.Anchor}. */
  static final int ANCHOR = 6;

  /** {@code negative next}: the body follows and ends with MATCH. */
  static final int AHEAD = 7;

  /** {@code negative next min max}: the body follows and ends with BEHIND_END. */
  static final int BEHIND = 8;

  static final int BEHIND_END = 9;

  /** {@code next}: the body follows and ends with MATCH. */
  static final int ATOMIC = 10;

  /** {@code choice}: the alternatives that can begin with the next code point, in order. */
  static final int CHOICE = 11;

  /** {@code register}: remembers where a round of a loop begins. */
  static final int MARK = 12;

  /** {@code register next}: a round that took nothing ends the loop. */
  static final int PROGRESS = 13;

  /**
   * Alternatives and what they begin with, so that most are never tried.
   *
   * @param targets where each begins
   * @param firsts the sets they begin with; null for one that may be empty
   * @param ascii the alternatives worth a try, bit i for the i-th, by the next character
   * @param atEnd those worth a try at the end of the text
   */
  record Choice(int[] targets, @Nullable CodePointSet[] firsts, long[] ascii, long atEnd) {
    static final int MOST = 64;

    static Choice of(int[] targets, @Nullable CodePointSet[] firsts) {
      long[] ascii = new long[128];
      long atEnd = 0;
      for (int i = 0; i < targets.length; i++) {
        CodePointSet first = firsts[i];
        for (int c = 0; c < ascii.length; c++) {
          ascii[c] |= first == null || first.contains(c) ? 1L << i : 0;
        }
        atEnd |= first == null ? 1L << i : 0;
      }
      return new Choice(targets, firsts, ascii, atEnd);
    }

    /** Bit i where alternative i can begin with {@code c}. */
    long worthTrying(int c) {
      if (c < ascii.length) {
        return ascii[c];
      }
      long mask = 0;
      for (int i = 0; i < firsts.length; i++) {
        CodePointSet first = firsts[i];
        mask |= first == null || first.contains(c) ? 1L << i : 0;
      }
      return mask;
    }
  }
}
