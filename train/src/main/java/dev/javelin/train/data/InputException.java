package dev.javelin.train.data;

import dev.javelin.tensor.io.Printable;

/**
 * Something the user gave cannot be used: a flag, a key, a file, a directory. The message is one
 * line that names it and the remedy; the command line prints it and exits with code 2. Characters
 * of a file or an argument that would steer the terminal stand in it as escapes ({@link
 * Printable}).
 */
public final class InputException extends RuntimeException {
  public InputException(String message) {
    super(Printable.line(message));
  }

  public InputException(String message, Throwable cause) {
    super(Printable.line(message), cause);
  }

  /** Where data are too large for the memory that Java may use. */
  public static InputException outOfMemory(String name, String remedy, OutOfMemoryError e) {
    long mib = Runtime.getRuntime().maxMemory() >> 20;
    return new InputException(
        "%s does not fit into the %d MiB that Java may use: %s, or allow more with JAVELIN_JVM=-Xmx4g"
            .formatted(name, mib, remedy),
        e);
  }
}
