package dev.javelin.train.guard;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * An answer to a spike, and how many steps of an episode it is given before the next one is tried.
 *
 * @param steps at least 1; the last policy of a list has all that follow
 */
public record Policy(Kind kind, int steps) {
  /** What can be done about a spike. */
  public enum Kind {
    /** Say it. The step is applied. */
    LOG,
    /** Leave the step out. */
    SKIP,
    /** Shrink the gradients of embedding and first layers, from this step on. */
    SHRINK,
    /** Lower Adam's ε, from this step on. */
    EPSILON,
    /** Leave the step out, go back to a checkpoint, and on behind the rows that were read. */
    ROLLBACK;

    String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  public Policy {
    if (steps < 1) {
      throw new IllegalArgumentException("a policy must have at least 1 step, got " + steps);
    }
  }

  /**
   * Reads {@code log,skip:5,rollback}.
   *
   * @throws IllegalArgumentException that goes on from the setting's name: {@code must be …}
   */
  public static List<Policy> parse(String text) {
    List<Policy> all = new ArrayList<>();
    Set<Kind> seen = new HashSet<>();
    for (String part : text.split(",", -1)) {
      String[] of = part.strip().split(":", 2);
      Kind kind = kind(of[0], text);
      if (!seen.add(kind)) {
        throw new IllegalArgumentException("must name each policy once, got " + text);
      }
      all.add(new Policy(kind, of.length == 1 ? 1 : steps(of[1], text)));
    }
    return List.copyOf(all);
  }

  private static Kind kind(String name, String text) {
    for (Kind kind : Kind.values()) {
      if (kind.label().equals(name)) {
        return kind;
      }
    }
    throw new IllegalArgumentException(
        "must be some of log, skip, shrink, epsilon, rollback, each with :STEPS or without, got "
            + text);
  }

  private static int steps(String number, String text) {
    if (!number.matches("[1-9]\\d{0,8}")) {
      throw new IllegalArgumentException(
          "must have whole numbers of steps behind colons, such as skip:5, got " + text);
    }
    return Integer.parseInt(number);
  }
}
