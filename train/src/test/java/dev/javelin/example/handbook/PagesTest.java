package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the pages show stands in the programs that they link to. */
class PagesTest {
  private static final Pattern PROGRAM =
      Pattern.compile("]\\(([^)]+(?:\\.(?:java|cu|cuh|xml)|Dockerfile))\\)");
  private static final Pattern BLOCK =
      Pattern.compile(
          "^```(?:java|c|xml|dockerfile)\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);

  static List<Path> pages() throws IOException {
    try (Stream<Path> all = Files.list(Pages.FOLDER)) {
      return all.filter(p -> p.toString().endsWith(".md")).sorted().toList();
    }
  }

  private static List<String> all(Pattern pattern, String text) {
    return pattern.matcher(text).results().map((MatchResult r) -> r.group(1)).toList();
  }

  private static String withoutIndent(String text) {
    return text.lines().map(String::strip).reduce("", (a, b) -> a + b + "\n");
  }

  @ParameterizedTest
  @MethodSource("pages")
  void aPageShowsItsProgramsAsTheyAre(Path page) throws IOException {
    String text = Files.readString(page);
    StringBuilder programs = new StringBuilder();
    for (String link : all(PROGRAM, text)) {
      Path file = Pages.FOLDER.resolve(link.replaceFirst("#.*", ""));
      assertThat(file).as("linked from %s", page).exists();
      programs.append(withoutIndent(Files.readString(file)));
    }
    for (String block : all(BLOCK, text)) {
      assertThat(programs.toString()).as("shown on %s", page).contains(withoutIndent(block));
    }
  }

  @Test
  void theIndexHasEveryPage() throws IOException {
    String index = Files.readString(Pages.FOLDER.resolve("README.md"));
    for (Path page : pages()) {
      if (!page.endsWith("README.md")) {
        assertThat(index).contains("(" + page.getFileName() + ")");
      }
    }
  }
}
