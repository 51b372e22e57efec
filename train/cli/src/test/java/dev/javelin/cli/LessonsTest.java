package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.javelin.cli.Lesson.Code;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import jdk.jshell.JShell;
import jdk.jshell.Snippet;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis;
import jdk.jshell.SourceCodeAnalysis.CompletionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The chapters of {@code docs/learn}: their scripts run, and their pages show what happens. */
class LessonsTest {
  private static final Path LEARN = Path.of("../../docs/learn");
  private static final Pattern LINK = Pattern.compile("]\\(([^)#\\s]+)[^)\\s]*\\)");

  static List<Lesson> lessons() {
    return Lesson.all(LEARN);
  }

  /**
   * Each snippet in turn; one that says {@code skipped:} leaves its chapter skipped, in the end.
   */
  @ParameterizedTest
  @MethodSource("lessons")
  void runsAndPrintsWhatItsPageShows(Lesson lesson) {
    NavigableMap<Integer, String> printed = run(lesson.script());
    String skipped = "";
    for (Code code : lesson.blocks()) {
      String output = String.join("", printed.subMap(code.from() + 1, code.to() + 1).values());
      String shown = code.output();
      if (code.onCuda() && output.startsWith("skipped: ")) {
        skipped = output;
      } else if (shown != null) {
        assertThat(output)
            .as("what this prints\n%s", code.source())
            .matches(o -> Lesson.shows(shown, o), "what the page shows:\n" + shown);
      }
    }
    assumeThat(skipped).as("parts of %s", lesson).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("lessons")
  void quotesWhatIsThere(Lesson lesson) throws IOException {
    for (Lesson.Quotation quotation : lesson.quotations()) {
      assertThat(Files.readString(quotation.file()))
          .as("%s", quotation.file())
          .matches(f -> Lesson.contains(f, quotation.text()), "contains\n" + quotation.text());
    }
    var links = LINK.matcher(lesson.text());
    while (links.find()) {
      if (!links.group(1).startsWith("http")) {
        assertThat(LEARN.resolve(links.group(1))).exists();
      }
    }
    assertThat(lesson.text().split("<details>", -1)).as("answers to three exercises").hasSize(4);
  }

  @Test
  void eachLeadsToItsNeighbours() {
    List<Lesson> all = lessons();
    for (int i = 0; i < all.size(); i++) {
      String last = all.get(i).text().strip().lines().toList().getLast();
      assertThat(last.contains("Before: [")).isEqualTo(i > 0);
      assertThat(last.contains("Next: [")).isEqualTo(i < all.size() - 1);
      for (int n : new int[] {i - 1, i + 1}) {
        if (n >= 0 && n < all.size()) {
          assertThat(last).contains("(" + all.get(n).name() + ".md)");
        }
      }
    }
  }

  @Test
  void theIndexHasEveryChapter() throws IOException {
    String index = Files.readString(LEARN.resolve("README.md"));
    assertThat(lessons()).isNotEmpty().allMatch(l -> index.contains("(" + l.name() + ".md)"));
  }

  /** What the tests above would not notice, were it broken. */
  @Test
  void aPageThatShowsSomethingElseIsFound() {
    Path page = Path.of("x.md");
    String shown = "```java\nint a = 1;\n```\n```text\n1\n```\n";
    assertThat(Lesson.of(page, shown, "int a = 1;\n").blocks()).hasSize(1);
    assertThatThrownBy(() -> Lesson.of(page, shown, "int a = 2;\n"))
        .isInstanceOf(AssertionError.class);
    assertThatThrownBy(() -> Lesson.of(page, shown + shown, "int a = 1;\n"))
        .isInstanceOf(AssertionError.class);
    assertThat(Lesson.shows("1\n…\n4", "1\n2\n3\n4\n")).isTrue();
    assertThat(Lesson.shows("1\n…\n4", "1\n2\n3\n")).isFalse();
    assertThat(Lesson.contains("  a b;\n    c;\n  d;\n", "a b;\n  c;\n")).isTrue();
    assertThat(Lesson.contains("  a b;\n    c;\n  d;\n", "b;\nc;\n")).isFalse();
    assertThatThrownBy(() -> run("int a = b;")).hasMessageContaining("symbol");
    assertThatThrownBy(() -> run("int[] a = {}; a[1] = 2;")).hasMessageContaining("Index 1");
    assertThat(run("int a = 1;\nIO.println(a + 1);\n")).containsEntry(30, "2\n");
  }

  /**
   * What each snippet of a script printed, by where the snippet ends.
   *
   * @throws AssertionError where one does not compile or throws
   */
  static NavigableMap<Integer, String> run(String script) {
    NavigableMap<Integer, String> printed = new TreeMap<>();
    PrintStream out = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JShell shell =
        JShell.builder()
            .executionEngine(new Script.Here(), Map.of())
            .compilerOptions(Shell.compilerOptions().toArray(new String[0]))
            .build()) {
      System.setOut(new PrintStream(bytes, true, UTF_8));
      SourceCodeAnalysis analysis = shell.sourceCodeAnalysis();
      String rest = script;
      while (!rest.isBlank()) {
        CompletionInfo next = analysis.analyzeCompletion(rest);
        String source = next.completeness().isComplete() ? next.source() : rest;
        rest = next.completeness().isComplete() ? next.remaining() : "";
        for (SnippetEvent event : shell.eval(source)) {
          check(shell, source, event);
        }
        printed.put(script.length() - rest.length(), bytes.toString(UTF_8));
        bytes.reset();
      }
      shell.snippets().forEach(s -> assertThat(shell.status(s)).as(s.source()).isIn(FINE));
    } finally {
      System.setOut(out);
    }
    return printed;
  }

  private static final List<Snippet.Status> FINE =
      List.of(Snippet.Status.VALID, Snippet.Status.OVERWRITTEN, Snippet.Status.DROPPED);

  private static void check(JShell shell, String source, SnippetEvent event) {
    if (event.exception() != null) {
      throw new AssertionError(event.exception().getMessage() + "\n" + source, event.exception());
    }
    if (event.status() == Snippet.Status.REJECTED) {
      List<String> errors =
          shell.diagnostics(event.snippet()).map(d -> d.getMessage(null)).toList();
      throw new AssertionError(String.join("\n", errors) + "\n" + source);
    }
  }
}
