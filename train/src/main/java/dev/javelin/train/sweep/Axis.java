package dev.javelin.train.sweep;

import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.Setting;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A setting that differs between the runs of a sweep. */
public sealed interface Axis {
  Setting setting();

  /** A value drawn at random. */
  Object draw(Random random);

  /** One of some values: {@code learning_rate: [1e-3, 3e-4]}. */
  record Choice(Setting setting, List<Object> values) implements Axis {
    public Choice {
      values = List.copyOf(values);
    }

    @Override
    public Object draw(Random random) {
      return values.get(random.nextInt(values.size()));
    }
  }

  /**
   * Any number between two: {@code learning_rate: loguniform(1e-5, 1e-2)}, for which each decade is
   * as likely, or {@code uniform(0, 0.3)}.
   *
   * @param whole whether the setting is a whole number, to which what is drawn is rounded
   */
  record Range(Setting setting, double from, double to, boolean logarithmic, boolean whole)
      implements Axis {
    private static final Pattern FORM =
        Pattern.compile("(log)?uniform\\(([^,]+),([^,]+)\\)", Pattern.CASE_INSENSITIVE);

    public Range {
      if (!(from < to) || logarithmic && !(from > 0) || Double.isInfinite(to)) {
        throw new InputException(
            setting.flag()
                + (logarithmic
                    ? " loguniform(a, b) needs 0 < a < b, got "
                    : " uniform(a, b) needs a < b, got ")
                + from
                + ", "
                + to);
      }
    }

    static boolean isRange(String text) {
      return FORM.matcher(text.strip()).matches();
    }

    static Range parse(Setting setting, String text) {
      Matcher m = FORM.matcher(text.strip());
      Class<?> type = setting.component().getType();
      boolean whole = type == int.class || type == Integer.class || type == long.class;
      boolean number = type == double.class || type == Double.class || type == float.class;
      if (!m.matches() || !whole && !number) {
        throw new InputException(setting.flag() + " is no number, so it cannot be " + text);
      }
      try {
        return new Range(
            setting,
            Double.parseDouble(m.group(2).strip()),
            Double.parseDouble(m.group(3).strip()),
            m.group(1) != null,
            whole);
      } catch (NumberFormatException e) {
        throw new InputException(setting.flag() + " must be of numbers, got " + text, e);
      }
    }

    @Override
    public Object draw(Random random) {
      double u = random.nextDouble();
      double value =
          logarithmic
              ? StrictMath.exp(
                  StrictMath.log(from) + u * (StrictMath.log(to) - StrictMath.log(from)))
              : from + u * (to - from);
      // Three digits: enough to search with, and a value that one would write by hand.
      return whole
          ? (Object) Math.round(value)
          : Double.valueOf(String.format(Locale.ROOT, "%.2e", value));
    }
  }
}
