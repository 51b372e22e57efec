package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A length of time, written as {@code 90m}, {@code 1h30m}, {@code 2d} or {@code 45s}. */
public record TimeSpan(long seconds) {
  private static final Pattern FORM =
      Pattern.compile("(?:(\\d{1,6})d)?(?:(\\d{1,6})h)?(?:(\\d{1,6})m)?(?:(\\d{1,9})s?)?");
  private static final long[] UNITS = {86_400, 3_600, 60, 1};
  private static final String NAMES = "dhms";

  public TimeSpan {
    if (seconds < 1) {
      throw new InputException("must be at least 1s, got " + seconds + "s");
    }
  }

  /**
   * @throws InputException that goes on from the setting's name
   */
  static TimeSpan parse(String text) {
    Matcher m = FORM.matcher(text.strip());
    if (text.isBlank() || !m.matches()) {
      throw new InputException("must be a time such as 90m, 1h30m, 2d or 45s, got " + text);
    }
    long seconds = 0;
    for (int i = 0; i < UNITS.length; i++) {
      String number = m.group(i + 1);
      seconds += number == null ? 0 : Long.parseLong(number) * UNITS[i];
    }
    return new TimeSpan(seconds);
  }

  /** {@code 1h30m} for 5400 seconds. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    long rest = seconds;
    for (int i = 0; i < UNITS.length; i++) {
      if (rest >= UNITS[i]) {
        text.append(rest / UNITS[i]).append(NAMES.charAt(i));
        rest %= UNITS[i];
      }
    }
    return text.toString();
  }
}
