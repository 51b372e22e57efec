package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A number of bytes, written as {@code 5GB}, {@code 500MB} or {@code 4GiB}: units of 1000, those
 * with an i of 1024.
 */
public record ByteSize(long bytes) {
  private static final Pattern FORM =
      Pattern.compile("(\\d{1,15}) ?(|K|M|G|T)(I?)B?", Pattern.CASE_INSENSITIVE);
  private static final String UNITS = "KMGT";

  public ByteSize {
    if (bytes < 1) {
      throw new InputException("must be at least 1 byte, got " + bytes);
    }
  }

  /**
   * @throws InputException that goes on from the setting's name
   */
  public static ByteSize parse(String text) {
    Matcher m = FORM.matcher(text.strip());
    if (!m.matches() || m.group(2).isEmpty() && !m.group(3).isEmpty()) {
      throw new InputException("must be a size such as 500MB or 5GB, got " + text);
    }
    int power = m.group(2).isEmpty() ? 0 : 1 + UNITS.indexOf(m.group(2).toUpperCase(Locale.ROOT));
    double unit = Math.pow(m.group(3).isEmpty() ? 1000 : 1024, power);
    double bytes = Long.parseLong(m.group(1)) * unit;
    if (bytes > 1e18) {
      throw new InputException("is out of range, got " + text);
    }
    return new ByteSize((long) bytes);
  }

  /** In the largest unit of 1000 that divides it: {@code 5GB}. */
  @Override
  public String toString() {
    long n = bytes;
    int power = 0;
    while (n % 1000 == 0 && power < UNITS.length()) {
      n /= 1000;
      power++;
    }
    return power == 0 ? n + "B" : n + "" + UNITS.charAt(power - 1) + "B";
  }
}
