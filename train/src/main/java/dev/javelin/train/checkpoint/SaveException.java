package dev.javelin.train.checkpoint;

/** A checkpoint could not be written; those before it are untouched. */
public final class SaveException extends RuntimeException {
  private static final long serialVersionUID = 1;

  SaveException(String message, Throwable cause) {
    super(message, cause);
  }
}
