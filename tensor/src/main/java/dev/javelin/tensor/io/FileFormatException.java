package dev.javelin.tensor.io;

import java.nio.file.Path;

/**
 * A file that is not what it should be: cut short, corrupt, of another shape or kind, or missing.
 * The message is one line, {@code file: what; remedy}, fit to be shown to the user as it is; text
 * taken from the file is shortened and freed of control characters.
 */
public final class FileFormatException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final int LONGEST = 600;

  /**
   * @param file the file, or the directory, at fault
   * @param what what is wrong and where: key, tensor or position, expected and found
   * @param remedy what the user can do about it
   */
  public FileFormatException(Path file, String what, String remedy) {
    super(oneLine(file + ": " + what + "; " + remedy));
  }

  /** The same, with the exception of the parser below. */
  public FileFormatException(Path file, String what, String remedy, Throwable cause) {
    super(oneLine(file + ": " + what + "; " + remedy), cause);
  }

  private static String oneLine(String text) {
    StringBuilder line = new StringBuilder(Math.min(text.length(), LONGEST));
    for (int i = 0; i < text.length() && line.length() < LONGEST; i++) {
      char c = text.charAt(i);
      boolean breaks = Character.isISOControl(c) || c == '\u2028' || c == '\u2029';
      line.append(breaks ? ' ' : c);
    }
    return text.length() > LONGEST ? line + "…" : line.toString();
  }
}
