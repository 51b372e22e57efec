package dev.javelin.train.chat.jinja;

import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** Dates as C and Python write them in the English locale. */
final class Strftime {
  private Strftime() {}

  static String format(LocalDateTime time, String format) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%') {
        out.append(c);
        continue;
      }
      boolean bare = i + 2 < format.length() && format.charAt(i + 1) == '-';
      i += bare ? 2 : 1;
      String directive = i < format.length() ? format.substring(i, i + 1) : "";
      if (directive.equals("%")) {
        out.append('%');
      } else {
        String written =
            time.format(DateTimeFormatter.ofPattern(pattern(directive), Locale.ENGLISH));
        out.append(bare ? written.replaceFirst("^0+(?=\\d)", "") : written);
      }
    }
    return out.toString();
  }

  private static String pattern(String directive) {
    return switch (directive) {
      case "d" -> "dd";
      case "e" -> "ppd";
      case "m" -> "MM";
      case "y" -> "yy";
      case "Y" -> "yyyy";
      case "b", "h" -> "MMM";
      case "B" -> "MMMM";
      case "a" -> "EEE";
      case "A" -> "EEEE";
      case "H" -> "HH";
      case "I" -> "hh";
      case "p" -> "a";
      case "M" -> "mm";
      case "S" -> "ss";
      case "j" -> "DDD";
      case "F" -> "yyyy-MM-dd";
      case "T" -> "HH:mm:ss";
      case "D" -> "MM/dd/yy";
      default ->
          throw new TemplateException(
              0, "the date directive '%" + directive + "' is not supported");
    };
  }
}
