package dev.javelin.train.tokenizer.oniguruma;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Which code points, and which short strings, are equal but for case: Unicode's simple and full
 * case folding, from the case mappings of the Java platform.
 *
 * @see <a href="https://www.unicode.org/Public/UCD/latest/ucd/CaseFolding.txt">CaseFolding.txt</a>
 */
final class CaseFolding {
  /** The longest full folding: three code points, U+0390 for one. */
  static final int LONGEST = 3;

  /** By folded code point: all that fold to it, where they are several. */
  private static final Map<Integer, List<Integer>> EQUAL = new HashMap<>();

  private static final Map<Integer, String> FULL = new HashMap<>();
  private static final Map<String, List<Integer>> FOLDED_TO = new TreeMap<>();

  static {
    for (int c = 0; c < CodePointSet.LIMIT; c++) {
      int folded = simple(c);
      if (folded != c) {
        EQUAL.computeIfAbsent(folded, f -> new ArrayList<>(List.of(f))).add(c);
      }
      String full = fullFolding(c);
      if (full != null) {
        FULL.put(c, full);
        FOLDED_TO.computeIfAbsent(full, f -> new ArrayList<>()).add(c);
      }
    }
  }

  private CaseFolding() {}

  /** The code point that stands for all that differ from {@code c} in case only. */
  static int simple(int c) {
    if (c == 0x130 || c == 0x131) { // the Turkish i with and without a dot equal nothing else
      return c;
    }
    return switch (c) { // three that differ in composition only
      case 0x1FD3 -> 0x390;
      case 0x1FE3 -> 0x3B0;
      case 0xFB05 -> 0xFB06;
      default -> Character.toLowerCase(Character.toUpperCase(c));
    };
  }

  private static @Nullable String fullFolding(int c) {
    if (c == 0x1E9E) {
      return "ss"; // the capital sharp s is its own capital
    }
    if (c == 0x130) {
      return "i\u0307";
    }
    if (!Character.isLetter(c)) {
      return null;
    }
    String upper = Character.toString(c).toUpperCase(Locale.ROOT);
    if (upper.codePointCount(0, upper.length()) < 2) {
      return null;
    }
    StringBuilder folded = new StringBuilder();
    upper.codePoints().map(CaseFolding::simple).forEach(folded::appendCodePoint);
    return folded.toString();
  }

  /** All that equal {@code c}, itself included. */
  static CodePointSet equal(int c) {
    return CodePointSet.of(EQUAL.getOrDefault(simple(c), List.of(c)));
  }

  /** The string of folded code points that equals {@code c}, where there is one. */
  static @Nullable String full(int c) {
    return FULL.get(c);
  }

  /** The single code points that equal a string of folded ones; null where there is none. */
  static @Nullable CodePointSet foldedTo(String folded) {
    List<Integer> all = FOLDED_TO.get(folded);
    return all == null ? null : close(CodePointSet.of(all));
  }

  /** {@code set} and all that equals one of its members. */
  static CodePointSet close(CodePointSet set) {
    List<Integer> more = new ArrayList<>();
    for (List<Integer> equal : EQUAL.values()) {
      if (equal.stream().anyMatch(set::contains)) {
        more.addAll(equal);
      }
    }
    return more.isEmpty() ? set : set.or(CodePointSet.of(more));
  }

  /** The strings that equal a member of {@code set}. */
  static List<String> strings(CodePointSet set) {
    List<String> strings = new ArrayList<>();
    FOLDED_TO.forEach(
        (string, all) -> {
          if (all.stream().anyMatch(set::contains)) {
            strings.add(string);
          }
        });
    return strings;
  }
}
