package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** Command lines on the pages have verbs and flags that exist. */
class ShellBlocksTest {
  private static final Path ROOT = Path.of("../..");
  private static final Pattern BLOCK =
      Pattern.compile("^```sh\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);
  private static final Pattern COMMAND = Pattern.compile("^(?:\\./)?javelin (.*)$");
  private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|'([^']*)'|(\\S+)");

  @Test
  void commandLinesOnThePagesParse() throws IOException {
    List<String> wrong = new ArrayList<>();
    int seen = 0;
    for (Path page : pages()) {
      Matcher block = BLOCK.matcher(Files.readString(page));
      while (block.find()) {
        for (String line : block.group(1).replace("\\\n", " ").lines().toList()) {
          Matcher command = COMMAND.matcher(line.strip());
          if (command.matches()) {
            seen++;
            String error = error(words(command.group(1)));
            if (error != null) {
              wrong.add(page + ": " + line + ": " + error);
            }
          }
        }
      }
    }
    assertThat(wrong).isEmpty();
    assertThat(seen).isGreaterThan(80);
  }

  @Test
  void aMistakeIsSeen() {
    assertThat(error(List.of("train", "--modle=x"))).contains("--modle");
    assertThat(error(List.of("trian"))).contains("trian");
  }

  private static List<Path> pages() throws IOException {
    try (Stream<Path> docs = Files.walk(ROOT.resolve("docs"))) {
      return Stream.concat(
              Stream.of(ROOT.resolve("README.md")),
              docs.filter(p -> p.toString().endsWith(".md")).sorted())
          .toList();
    }
  }

  /** As a shell cuts them, up to a comment or another command. */
  private static List<String> words(String line) {
    List<String> words = new ArrayList<>();
    Matcher m = WORD.matcher(line);
    while (m.find()) {
      String plain = m.group(3);
      if (plain != null && plain.matches("[#|>&].*|2>.*")) {
        break;
      }
      if ("…".equals(plain)) {
        continue; // what the page leaves out
      }
      words.add(plain != null ? plain : m.group(1) != null ? m.group(1) : m.group(2));
    }
    return words;
  }

  private static @Nullable String error(List<String> words) {
    if (words.getFirst().equals("verify") || words.getFirst().equals("--java-home")) {
      return null; // the launcher's own
    }
    CommandLine javelin = Main.commandLine();
    Arguments arguments = Arguments.of(words, javelin);
    if (arguments.wrong() != null) {
      return arguments.wrong();
    }
    try {
      javelin.parseArgs(arguments.list().toArray(String[]::new));
      return null;
    } catch (CommandLine.ParameterException e) {
      return e.getMessage();
    }
  }
}
