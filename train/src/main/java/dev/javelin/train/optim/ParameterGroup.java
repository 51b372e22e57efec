package dev.javelin.train.optim;

import dev.javelin.train.data.InputException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Parameters that are updated otherwise than the rest, by a pattern of their names: {@code embed*:
 * lr=0.1, decay=0}, {@code layers.0.*: freeze}, {@code *norm*: optimizer=sgd}.
 *
 * @param pattern of names in files: {@code *} stands for any characters, {@code ?} for one; a name
 *     matches whole, or from behind one of its dots on
 * @param lr factor on the learning rate; {@code null} for 1
 * @param decay weight decay; {@code null} for the run's
 * @param freeze whether they stay as they are
 * @param optimizer the rule; {@code null} for the run's
 */
public record ParameterGroup(
    String pattern,
    @Nullable Float lr,
    @Nullable Float decay,
    boolean freeze,
    @Nullable String optimizer) {
  private static final String FORM =
      "--group must be PATTERN: lr=F, decay=W, optimizer=NAME or freeze, got ";

  /**
   * Reads one.
   *
   * @throws InputException where it is not of that form
   */
  public static ParameterGroup parse(String text) {
    int colon = text.indexOf(':');
    String pattern = colon < 0 ? "" : text.substring(0, colon).strip();
    if (pattern.isEmpty()) {
      throw new InputException(FORM + text);
    }
    Float lr = null;
    Float decay = null;
    String optimizer = null;
    boolean freeze = false;
    for (String part : text.substring(colon + 1).split(",", -1)) {
      String[] value = part.strip().split("\\s*=\\s*", 2);
      switch (value.length == 1 ? value[0] : value[0] + "=") {
        case "freeze" -> freeze = true;
        case "lr=" -> lr = number(text, value[1]);
        case "decay=" -> decay = number(text, value[1]);
        case "optimizer=" -> {
          optimizer = value[1];
          if (!Optimizers.names().contains(optimizer)) {
            throw new InputException(
                "--group %s: optimizer must be one of %s, got %s"
                    .formatted(pattern, String.join(", ", Optimizers.names()), optimizer));
          }
        }
        default -> throw new InputException(FORM + text);
      }
    }
    if (freeze && (lr != null || decay != null || optimizer != null)) {
      throw new InputException("--group %s: what is frozen has no other values".formatted(pattern));
    }
    return new ParameterGroup(pattern, lr, decay, freeze, optimizer);
  }

  private static float number(String text, String value) {
    try {
      float number = Float.parseFloat(value);
      if (number >= 0 && number < Float.POSITIVE_INFINITY) {
        return number;
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw new InputException(
        "--group %s: lr and decay must be 0 or more, and finite, got %s".formatted(text, value));
  }

  /** Whether it is about the parameter of that name in files. */
  boolean matches(String name) {
    StringBuilder regex = new StringBuilder("(?:.*\\.)?");
    for (char c : pattern.toCharArray()) {
      regex.append(
          switch (c) {
            case '*' -> ".*";
            case '?' -> ".";
            default -> Pattern.quote(String.valueOf(c));
          });
    }
    return Pattern.matches(regex.toString(), name);
  }

  /** Its values: {@code learning rate × 0.1, weight decay 0}. */
  String values() {
    if (freeze) {
      return "frozen";
    }
    List<String> values = new ArrayList<>();
    if (optimizer != null) {
      values.add(optimizer);
    }
    if (lr != null) {
      values.add("learning rate × " + brief(lr));
    }
    if (decay != null) {
      values.add("weight decay " + brief(decay));
    }
    return String.join(", ", values);
  }

  private static String brief(float value) {
    return String.format(Locale.ROOT, value == Math.rint(value) ? "%.0f" : "%s", value);
  }
}
