package dev.javelin.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A chapter of {@code docs/learn}: the page {@code NN-name.md} and the script {@code NN-name.jsh}.
 * Of a page's fenced blocks,
 *
 * <ul>
 *   <li>{@code java} stands word for word in the script, in the page's order;
 *   <li>{@code text} is what the java block before it prints; {@code …} in a line of its own stands
 *       for lines left out, and {@code text cuda} is printed only where there is a CUDA device;
 *   <li>one behind a line that begins with {@code From [} is a quotation from the file that the
 *       line links to; {@code …} stands for lines left out here, too.
 * </ul>
 *
 * @param page the file
 * @param blocks in the page's order, quotations left out
 */
record Lesson(
    Path page, String text, String script, List<Code> blocks, List<Quotation> quotations) {
  private static final Pattern SOURCE = Pattern.compile("From \\[.*]\\(([^)#]+)[^)]*\\).*");
  private static final String GAP = "…";

  /**
   * A block of the script.
   *
   * @param from where it stands in the script, the last character at {@code to - 1}
   * @param output what the page shows of its output
   */
  record Code(String source, int from, int to, @Nullable String output, boolean onCuda) {}

  /** Lines of another file, without the indentation that they have in common. */
  record Quotation(Path file, String text) {}

  private record Fence(String info, String text, String before) {}

  static List<Lesson> all(Path directory) {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(f -> f.getFileName().toString().matches("\\d\\d-.*\\.md"))
          .sorted()
          .map(Lesson::read)
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Lesson read(Path page) {
    try {
      String text = Files.readString(page);
      Path script = page.resolveSibling(page.getFileName().toString().replace(".md", ".jsh"));
      return of(page, text, Files.readString(script));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * @throws AssertionError where the page shows what is not in the script
   */
  static Lesson of(Path page, String text, String script) {
    List<Code> blocks = new ArrayList<>();
    List<Quotation> quotations = new ArrayList<>();
    int at = 0;
    for (Fence fence : fences(text)) {
      Matcher source = SOURCE.matcher(fence.before());
      if (source.matches()) {
        Path file = page.resolveSibling(source.group(1)).normalize();
        quotations.add(new Quotation(file, fence.text()));
      } else if (fence.info().equals("java")) {
        int from = script.indexOf(fence.text(), at);
        if (from < 0) {
          throw new AssertionError(
              page + ": this block is not in the script, or not in this order:\n" + fence.text());
        }
        at = from + fence.text().length();
        blocks.add(new Code(fence.text(), from, at, null, false));
      } else if (fence.info().startsWith("text")) {
        if (blocks.isEmpty() || blocks.getLast().output() != null) {
          throw new AssertionError(page + ": output of no java block:\n" + fence.text());
        }
        Code code = blocks.removeLast();
        boolean onCuda = fence.info().equals("text cuda");
        blocks.add(new Code(code.source(), code.from(), code.to(), fence.text(), onCuda));
      }
    }
    return new Lesson(page, text, script, blocks, quotations);
  }

  private static List<Fence> fences(String text) {
    List<Fence> fences = new ArrayList<>();
    List<String> lines = text.lines().toList();
    String before = "";
    for (int i = 0; i < lines.size(); i++) {
      if (!lines.get(i).startsWith("```")) {
        before = lines.get(i).isBlank() ? before : lines.get(i);
        continue;
      }
      String info = lines.get(i).substring(3);
      StringBuilder block = new StringBuilder();
      for (i++; !lines.get(i).equals("```"); i++) {
        block.append(lines.get(i)).append('\n');
      }
      fences.add(new Fence(info, block.toString(), before));
      before = "";
    }
    return fences;
  }

  String name() {
    return page.getFileName().toString().replace(".md", "");
  }

  /** Whether the lines are those that are shown, with whatever in place of {@code …}. */
  static boolean shows(String shown, String lines) {
    return Pattern.matches(pattern(shown.strip()), lines.strip());
  }

  /** Whether a file contains a quotation, indented by whatever. */
  static boolean contains(String file, String quotation) {
    Pattern quoted = Pattern.compile("(?:^|\n)" + pattern(level(quotation)) + "(?:\n|$)");
    return quoted.matcher(level(file)).find();
  }

  private static String level(String lines) {
    return String.join("\n", lines.lines().map(String::strip).toList()).strip();
  }

  private static String pattern(String shown) {
    List<String> lines = new ArrayList<>();
    for (String line : shown.lines().toList()) {
      lines.add(line.strip().equals(GAP) ? "(?s:.*?)" : Pattern.quote(line));
    }
    return String.join("\n", lines);
  }

  @Override
  public String toString() {
    return name();
  }
}
