package dev.javelin.tensor.io;

/**
 * Text of unknown origin made fit for a message: one line, on any terminal, showing what is there.
 *
 * <p>Whatever a message takes from a file, a file name or a response goes through {@link #line} or
 * {@link #brief}. {@link FileFormatException} does it with its whole message; exceptions of other
 * types that quote such text call it in their constructor. Applying it twice changes nothing more.
 * Thread-safe: it holds nothing.
 */
public final class Printable {
  private Printable() {}

  /**
   * {@code text} with every character that would steer a terminal, break the line, reverse the
   * order of reading or be invisible written as an escape: {@code \n}, {@code \r}, {@code \t},
   * otherwise a backslash, {@code u} and four hexadecimal digits. These are Unicode's control and
   * format characters, its line and paragraph separators and unpaired surrogates.
   */
  public static String line(CharSequence text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); ) {
      int c = Character.codePointAt(text, i);
      i += Character.charCount(c);
      switch (c) {
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (shows(c)) {
            out.appendCodePoint(c);
          } else {
            for (char unit : Character.toChars(c)) {
              out.append(String.format("\\u%04x", (int) unit));
            }
          }
        }
      }
    }
    return out.toString();
  }

  /**
   * {@link #line} of at most {@code max} characters; where something was cut off an ellipsis
   * follows. A surrogate pair is not cut in two.
   */
  public static String brief(CharSequence text, int max) {
    // no character becomes shorter: a little more than max is enough, however long the text
    String line = line(text.length() > max ? text.subSequence(0, max + 1) : text);
    if (line.length() <= max) {
      return line;
    }
    int end = max > 0 && Character.isHighSurrogate(line.charAt(max - 1)) ? max - 1 : max;
    return line.substring(0, end) + "…";
  }

  private static boolean shows(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SURROGATE ->
          false;
      default -> true;
    };
  }
}
