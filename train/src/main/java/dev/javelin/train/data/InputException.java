package dev.javelin.train.data;

/**
 * Something the user gave cannot be used: a flag, a key, a file, a directory. The message is one
 * line that names it and the remedy; the command line prints it and exits with code 2.
 */
public final class InputException extends RuntimeException {
  public InputException(String message) {
    super(message);
  }

  public InputException(String message, Throwable cause) {
    super(message, cause);
  }
}
