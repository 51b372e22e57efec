package dev.javelin.train.settings;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** Spellings: one name in kebab-case and snake_case, and the nearest of many to a wrong one. */
public final class Names {
  private Names() {}

  /** {@code Max_Steps} and {@code --max_steps} become {@code max-steps}. */
  public static String kebab(String name) {
    int dashes = name.startsWith("--") ? 2 : name.startsWith("-") ? 1 : 0;
    return name.substring(dashes).replace('_', '-').toLowerCase(Locale.ROOT);
  }

  public static String snake(String name) {
    return kebab(name).replace('-', '_');
  }

  /** {@code maxSteps} becomes {@code max_steps}. */
  static String snakeOfCamel(String name) {
    StringBuilder snake = new StringBuilder(); // no pattern: this runs for each setting at a start
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      if ('A' <= c && c <= 'Z') {
        snake.append('_');
      }
      snake.append(c);
    }
    return snake.toString().toLowerCase(Locale.ROOT);
  }

  /**
   * The name with the fewest edits from {@code wrong}, where it needs no more than a third of its
   * length, at least two; an equal beginning counts as near too, and a whole word of it as nearest.
   */
  public static Optional<String> nearest(String wrong, Collection<String> names) {
    Optional<String> begun =
        names.stream()
            .filter(n -> n.startsWith(wrong + "-") || n.startsWith(wrong + "_"))
            .findFirst();
    if (begun.isPresent()) {
      return begun;
    }
    String best = null;
    int bestEdits = Math.max(2, wrong.length() / 3) + 1;
    for (String name : names) {
      int edits = edits(wrong, name);
      if (edits < bestEdits) {
        best = name;
        bestEdits = edits;
      }
    }
    if (best == null && wrong.length() >= 3) {
      return names.stream().filter(n -> n.startsWith(wrong) || wrong.startsWith(n)).findFirst();
    }
    return Optional.ofNullable(best);
  }

  /** Insertions, deletions, replacements and swaps of neighbours that turn {@code a} into b. */
  private static int edits(String a, String b) {
    int[][] d = new int[a.length() + 1][b.length() + 1];
    for (int i = 0; i <= a.length(); i++) {
      for (int j = 0; j <= b.length(); j++) {
        if (i == 0 || j == 0) {
          d[i][j] = i + j;
          continue;
        }
        int replace = d[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        d[i][j] = Math.min(replace, Math.min(d[i - 1][j], d[i][j - 1]) + 1);
        boolean swapped =
            i > 1
                && j > 1
                && a.charAt(i - 1) == b.charAt(j - 2)
                && a.charAt(i - 2) == b.charAt(j - 1);
        if (swapped) {
          d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
        }
      }
    }
    return d[a.length()][b.length()];
  }
}
