package dev.javelin.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ArchitecturePictureTest {
  private static final Path PICTURE = Path.of("../docs/architecture.svg");

  /** {@code -Djavelin.draw} draws it anew. */
  @Test
  void thePictureInTheDocsIsThatOfTheCode() throws IOException {
    String drawn =
        ArchitecturePicture.draw(
            ArchitectureTest.ALL,
            ArchitectureTest.MODULES.subList(0, ArchitectureTest.MODULES.size() - 1),
            Path.of(".."));
    if (System.getProperty("javelin.draw") != null) {
      Files.writeString(PICTURE, drawn);
    }
    assertThat(Files.exists(PICTURE) ? Files.readString(PICTURE) : "")
        .as(
            "docs/architecture.svg: draw it anew with -Djavelin.draw -Dtest=ArchitecturePictureTest")
        .isEqualTo(drawn);
  }
}
