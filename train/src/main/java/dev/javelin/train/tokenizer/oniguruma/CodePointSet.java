package dev.javelin.train.tokenizer.oniguruma;

import java.util.Arrays;
import java.util.Collection;
import java.util.function.IntPredicate;

/**
 * An immutable set of code points. Membership is two array reads: pages of 256 bits, equal pages
 * shared.
 */
final class CodePointSet {
  static final int LIMIT = Character.MAX_CODE_POINT + 1;
  private static final int PAGES = LIMIT >> 8;
  private static final long[] EMPTY_PAGE = new long[4];
  private static final long[] FULL_PAGE = {-1, -1, -1, -1};

  static final CodePointSet NONE = new CodePointSet(filled(EMPTY_PAGE));
  static final CodePointSet ALL = new CodePointSet(filled(FULL_PAGE));

  private final long[][] pages;

  private CodePointSet(long[][] pages) {
    this.pages = pages;
  }

  private static long[][] filled(long[] page) {
    long[][] pages = new long[PAGES][];
    Arrays.fill(pages, page);
    return pages;
  }

  /** The code points for which {@code member} is true. */
  static CodePointSet where(IntPredicate member) {
    long[][] pages = new long[PAGES][];
    for (int p = 0; p < PAGES; p++) {
      long[] page = new long[4];
      for (int i = 0; i < 256; i++) {
        if (member.test(p << 8 | i)) {
          page[i >> 6] |= 1L << i;
        }
      }
      pages[p] = shared(page);
    }
    return new CodePointSet(pages);
  }

  static CodePointSet range(int first, int last) {
    long[][] pages = NONE.pages.clone();
    for (int p = first >> 8; p <= last >> 8; p++) {
      long[] page = new long[4];
      for (int i = 0; i < 256; i++) {
        int c = p << 8 | i;
        page[i >> 6] |= c >= first && c <= last ? 1L << i : 0;
      }
      pages[p] = shared(page);
    }
    return new CodePointSet(pages);
  }

  static CodePointSet of(int c) {
    return range(c, c);
  }

  static CodePointSet of(Collection<Integer> members) {
    long[][] pages = NONE.pages.clone();
    for (int c : members) {
      if (pages[c >> 8] == EMPTY_PAGE) {
        pages[c >> 8] = new long[4];
      }
      pages[c >> 8][c >> 6 & 3] |= 1L << c;
    }
    return new CodePointSet(pages);
  }

  private static long[] shared(long[] page) {
    return Arrays.equals(page, EMPTY_PAGE)
        ? EMPTY_PAGE
        : Arrays.equals(page, FULL_PAGE) ? FULL_PAGE : page;
  }

  boolean contains(int c) {
    return (pages[c >> 8][c >> 6 & 3] >>> c & 1) != 0;
  }

  CodePointSet or(CodePointSet other) {
    return combine(other, false);
  }

  CodePointSet and(CodePointSet other) {
    return combine(other, true);
  }

  private CodePointSet combine(CodePointSet other, boolean and) {
    long[][] result = new long[PAGES][];
    for (int p = 0; p < PAGES; p++) {
      long[] a = pages[p];
      long[] b = other.pages[p];
      if (a == b) {
        result[p] = a;
        continue;
      }
      long[] page = new long[4];
      for (int i = 0; i < 4; i++) {
        page[i] = and ? a[i] & b[i] : a[i] | b[i];
      }
      result[p] = shared(page);
    }
    return new CodePointSet(result);
  }

  CodePointSet not() {
    long[][] result = new long[PAGES][];
    for (int p = 0; p < PAGES; p++) {
      long[] page = new long[4];
      for (int i = 0; i < 4; i++) {
        page[i] = ~pages[p][i];
      }
      result[p] = shared(page);
    }
    return new CodePointSet(result);
  }
}
