package dev.javelin.train.data;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One of several equal parts of the data, which is kept for validation: {@code 2/5} is the second
 * of five. Training on each fold's rest measures a model on all data, none of which it has seen.
 *
 * @param number from 1 on
 * @param of how many there are, at least 2
 */
public record Fold(int number, int of) {
  private static final Pattern FORM = Pattern.compile("(\\d{1,6}) ?/ ?(\\d{1,6})");

  public Fold {
    if (of < 2 || number < 1 || number > of) {
      throw new InputException(
          "must be K/N with N at least 2 and K from 1 to N, got %d/%d".formatted(number, of));
    }
  }

  /**
   * Reads {@code 2/5}.
   *
   * @throws InputException that goes on from the setting's name
   */
  public static Fold parse(String text) {
    Matcher m = FORM.matcher(text.strip());
    if (!m.matches()) {
      throw new InputException("must be K/N, such as 2/5, got " + text);
    }
    return new Fold(Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2)));
  }

  /** The first of {@code count} pieces that belongs to it. */
  long from(long count) {
    return Math.multiplyExact(count, number - 1L) / of;
  }

  /** The first piece behind it. */
  long to(long count) {
    return Math.multiplyExact(count, (long) number) / of;
  }

  @Override
  public String toString() {
    return number + "/" + of;
  }
}
