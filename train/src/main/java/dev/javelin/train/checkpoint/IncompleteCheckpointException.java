package dev.javelin.train.checkpoint;

import java.nio.file.Path;

/** A checkpoint that lacks a part of what was written, as a copy that was cut off does. */
public final class IncompleteCheckpointException extends RuntimeException {
  private static final long serialVersionUID = 1;

  IncompleteCheckpointException(Path directory, String file, long written, long found) {
    super(
        directory
            + ": "
            + file
            + (found < 0 ? " is missing" : " has " + found + " bytes, " + written + " were written")
            + "; take an earlier checkpoint, or copy this one again");
  }
}
