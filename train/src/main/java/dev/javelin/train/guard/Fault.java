package dev.javelin.train.guard;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Something that goes wrong on purpose.
 *
 * @param step of the run, from 1 on, in which it begins
 * @param steps that it lasts; 1 where it has no length
 * @param time that a slow disk takes longer; zero otherwise
 */
public record Fault(Kind kind, long step, int steps, Duration time) {
  private static final int SPIKE_STEPS = 20;

  /** What can go wrong. */
  public enum Kind {
    /** Rows whose targets are all 0: a bad stretch of the data. */
    SPIKE,
    /** A weight that is NaN in the forward pass. */
    NAN_FORWARD,
    /** An element of the gradient that is NaN. */
    NAN_GRADIENT,
    /** An element of the optimizer's state that is NaN. */
    NAN_MOMENT,
    /** An element of the gradient that is infinite. */
    OVERFLOW,
    /** A disk that takes its time for the next checkpoint. */
    SLOW_DISK,
    /** An end without warning behind the step. */
    KILL;

    String label() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  boolean isIn(long number) {
    return number >= step && number < step + steps;
  }

  /**
   * Reads {@code spike@200:20,nan-forward@50,slow-disk@100:2s}.
   *
   * @throws IllegalArgumentException that goes on from the setting's name: {@code must be …}
   */
  public static List<Fault> parse(String text) {
    List<Fault> all = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      all.add(one(part.strip(), text));
    }
    return List.copyOf(all);
  }

  private static Fault one(String part, String text) {
    int at = part.indexOf('@');
    int colon = part.indexOf(':');
    String name = part.substring(0, Math.max(0, at));
    String step = part.substring(at + 1, colon < 0 ? part.length() : Math.max(at + 1, colon));
    String amount = colon < 0 ? "" : part.substring(colon + 1);
    for (Kind kind : Kind.values()) {
      if (kind.label().equals(name) && step.matches("[1-9]\\d{0,8}")) {
        return of(kind, Long.parseLong(step), amount, colon >= 0, text);
      }
    }
    throw wrong(text);
  }

  private static Fault of(Kind kind, long step, String amount, boolean given, String text) {
    return switch (kind) {
      case SPIKE, NAN_FORWARD, NAN_GRADIENT, NAN_MOMENT, OVERFLOW -> {
        if (given && !amount.matches("[1-9]\\d{0,8}")) {
          throw wrong(text);
        }
        int steps = given ? Integer.parseInt(amount) : kind == Kind.SPIKE ? SPIKE_STEPS : 1;
        yield new Fault(kind, step, steps, Duration.ZERO);
      }
      case SLOW_DISK -> {
        if (!amount.matches("\\d{1,6}(s|ms)")) {
          throw wrong(text);
        }
        boolean millis = amount.endsWith("ms");
        long n = Long.parseLong(amount.substring(0, amount.length() - (millis ? 2 : 1)));
        yield new Fault(kind, step, 1, millis ? Duration.ofMillis(n) : Duration.ofSeconds(n));
      }
      case KILL -> {
        if (given) {
          throw wrong(text);
        }
        yield new Fault(kind, step, 1, Duration.ZERO);
      }
    };
  }

  private static IllegalArgumentException wrong(String text) {
    return new IllegalArgumentException(
        "must be some of spike@STEP[:STEPS], nan-forward@STEP[:STEPS], nan-gradient@STEP[:STEPS], nan-moment@STEP[:STEPS], overflow@STEP[:STEPS], slow-disk@STEP:TIME and kill@STEP, such as spike@200:20,slow-disk@100:2s, got "
            + text);
  }
}
