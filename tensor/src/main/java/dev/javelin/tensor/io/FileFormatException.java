package dev.javelin.tensor.io;

import java.nio.file.Path;

/**
 * A file that is not what it should be: cut short, corrupt, of another shape or kind, or missing.
 * The message is one line, {@code file: what; remedy}, fit to be shown to the user as it is: {@link
 * Printable#brief} has been applied to it.
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
    super(Printable.brief(file + ": " + what + "; " + remedy, LONGEST));
  }

  /** The same, with the exception of the parser below. */
  public FileFormatException(Path file, String what, String remedy, Throwable cause) {
    super(Printable.brief(file + ": " + what + "; " + remedy, LONGEST), cause);
  }
}
