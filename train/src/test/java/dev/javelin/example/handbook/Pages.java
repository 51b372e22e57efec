package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** Pages of the handbook, which say what errors look like. */
final class Pages {
  static final Path FOLDER = Path.of("../docs/handbook");

  private Pages() {}

  /** The call fails with a message that has these words, and the page has them, too. */
  static void says(String page, String words, ThrowingCallable call) throws IOException {
    assertThat(catchThrowable(call)).hasMessageContaining(words);
    assertThat(Files.readString(FOLDER.resolve(page))).contains(words);
  }
}
