package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LadderPictureTest {
  static Stream<Ladder.Rung> rungs() {
    return Stream.of("matmul", "attention").flatMap(l -> Ladder.rungs(l).stream());
  }

  /** With the constants of its source. {@code -Djavelin.draw} draws it anew. */
  @ParameterizedTest
  @MethodSource("rungs")
  void thePictureIsThatOfTheRung(Ladder.Rung rung) throws IOException {
    Path file = Ladder.FOLDER.resolve(rung + ".svg");
    String drawn = LadderPicture.draw(rung);
    if (System.getProperty("javelin.draw") != null) {
      Files.writeString(file, drawn);
    }
    assertThat(Files.exists(file) ? Files.readString(file) : "")
        .as(file + ": draw it anew with -Djavelin.draw -Dtest=LadderPictureTest")
        .isEqualTo(drawn);
    String page = Files.readString(Ladder.FOLDER.resolve(rung.ladder() + ".md"));
    assertThat(page).contains("(" + rung + ".svg)", "(" + rung + ".cu)");
  }
}
