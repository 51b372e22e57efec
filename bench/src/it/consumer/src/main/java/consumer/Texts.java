package consumer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

/** Sentences to learn from. */
final class Texts {
  private static final List<String> WHO =
      List.of("The fox", "A heron", "My neighbour", "The clock");
  private static final List<String> DOES = List.of("crosses", "watches", "leaves", "knows");
  private static final List<String> WHAT = List.of("the river", "an old bridge", "the market");

  private Texts() {}

  static Path write(Path file, int sentences) throws IOException {
    SplittableRandom random = new SplittableRandom(11);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < sentences; i++) {
      text.append(pick(WHO, random)).append(' ').append(pick(DOES, random)).append(' ');
      text.append(pick(WHAT, random)).append(".\n");
    }
    Files.createDirectories(file.toAbsolutePath().getParent());
    return Files.writeString(file, text);
  }

  private static String pick(List<String> words, SplittableRandom random) {
    return words.get(random.nextInt(words.size()));
  }
}
