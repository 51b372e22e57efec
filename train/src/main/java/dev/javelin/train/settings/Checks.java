package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import org.jspecify.annotations.Nullable;

/** What the constructors of the specs share. */
final class Checks {
  private Checks() {}

  static void require(boolean holds, String message) {
    if (!holds) {
      throw new InputException(message);
    }
  }

  /** A number that is not given passes. */
  static void atLeast(int least, String flag, @Nullable Integer value) {
    if (value != null && value < least) {
      throw new InputException(
          flag
              + (least == 0 ? " must be 0 or more, got " : " must be at least " + least + ", got ")
              + value);
    }
  }

  static <T> T or(@Nullable T value, T otherwise) {
    return value == null ? otherwise : value;
  }
}
