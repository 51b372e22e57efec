package dev.javelin.tensor;

import java.nio.file.Path;

/**
 * A file that is not what it should be. The message is one line, {@code file: what; remedy}, fit to
 * be shown to the user as it is.
 */
public final class FileFormatException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * @param file the file at fault
   * @param what what is wrong and where: key or position, expected and found
   * @param remedy what the user can do about it
   */
  public FileFormatException(Path file, String what, String remedy) {
    super(line(file, what, remedy));
  }

  /** The same, with the exception of the parser below. */
  public FileFormatException(Path file, String what, String remedy, Throwable cause) {
    super(line(file, what, remedy), cause);
  }

  private static String line(Path file, String what, String remedy) {
    return (file + ": " + what + "; " + remedy)
        .lines()
        .map(String::strip)
        .reduce("", (a, b) -> a.isEmpty() ? b : a + " " + b);
  }
}
