package dev.javelin.cli;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Java on the pages of docs/ compiles. Lessons and the handbook show programs that run, and have
 * tests of their own; what other pages show is put into what stands around it in
 * snippets/around.txt. An ellipsis is what the page leaves out.
 */
class SnippetTest {
  private static final Path DOCS = Path.of("../../docs");
  private static final Pattern BLOCK =
      Pattern.compile("^```java\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);
  private static final Pattern TYPE =
      Pattern.compile("\\b(?:class|record|interface) (\\w+)", Pattern.MULTILINE);
  private static final String HERE = "//BLOCK\n";

  /** In the order of scripts: a package that comes first wins. */
  private static final List<String> IMPORTS =
      List.of(
          "java.io.*",
          "java.lang.foreign.MemorySegment",
          "java.nio.charset.StandardCharsets",
          "java.nio.file.*",
          "java.util.*",
          "dev.javelin.autograd.*",
          "dev.javelin.device.*",
          "dev.javelin.kernels.*",
          "dev.javelin.nn.*",
          "dev.javelin.tensor.*",
          "dev.javelin.tensor.op.LossOptions",
          "dev.javelin.tensor.step.*",
          "dev.javelin.train.*",
          "dev.javelin.train.data.*",
          "dev.javelin.train.data.format.*",
          "dev.javelin.train.inference.*",
          "dev.javelin.train.objective.*",
          "dev.javelin.train.optim.*",
          "dev.javelin.train.settings.*",
          "org.jspecify.annotations.Nullable",
          "org.junit.jupiter.params.ParameterizedTest",
          "org.junit.jupiter.params.provider.CsvSource");

  @TempDir Path dir;

  @Test
  void whatPagesShowCompiles() throws IOException {
    Map<String, String> around = around();
    Map<String, String> blocks = blocks();
    assertThat(blocks).hasSizeGreaterThan(10);
    assertThat(around.keySet()).as("snippets/around.txt").isEqualTo(blocks.keySet());
    List<Source> sources = new ArrayList<>();
    blocks.forEach(
        (where, block) -> sources.add(Source.of(requireNonNull(around.get(where)), whole(block))));
    assertThat(errors(sources)).isEmpty();
  }

  @Test
  void aMistakeIsSeen() throws IOException {
    String around = requireNonNull(around().get("docs/cuda.md 1"));
    String block =
        requireNonNull(blocks().get("docs/cuda.md 1")).replace(".synchronize()", ".synchronise()");
    assertThat(errors(List.of(Source.of(around, block)))).contains("synchronise");
  }

  /** Blocks by page and number. */
  private static Map<String, String> blocks() throws IOException {
    Map<String, String> blocks = new TreeMap<>();
    try (Stream<Path> pages = Files.walk(DOCS)) {
      for (Path page : pages.filter(p -> p.toString().endsWith(".md")).sorted().toList()) {
        String name = "docs/" + DOCS.relativize(page).toString().replace('\\', '/');
        if (name.matches("docs/learn/\\d\\d-.*") || name.startsWith("docs/handbook/")) {
          continue;
        }
        Matcher m = BLOCK.matcher(Files.readString(page));
        for (int i = 1; m.find(); i++) {
          blocks.put(name + " " + i, m.group(1));
        }
      }
    }
    return blocks;
  }

  private static Map<String, String> around() throws IOException {
    Map<String, String> around = new LinkedHashMap<>();
    try (var in = SnippetTest.class.getResourceAsStream("/snippets/around.txt")) {
      String all = new String(in.readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
      for (String part : all.split("(?m)^== ")) {
        int end = part.indexOf('\n');
        if (end > 0) {
          around.put(part.substring(0, end), part.substring(end + 1));
        }
      }
    }
    return new TreeMap<>(around);
  }

  private static String whole(String block) {
    return block.replace("{ … }", "{ throw new AssertionError(); }");
  }

  private String errors(List<Source> sources) {
    JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    StringWriter said = new StringWriter();
    List<String> options =
        List.of(
            "-d",
            dir.toString(),
            "-proc:none",
            "-nowarn",
            "-XDrawDiagnostics",
            "--add-modules",
            "jdk.incubator.vector",
            "-cp",
            System.getProperty("java.class.path"));
    boolean good = javac.getTask(said, null, null, options, null, sources).call();
    return good ? "" : said.toString();
  }

  private static final class Source extends SimpleJavaFileObject {
    private final String text;

    private Source(String name, String text) {
      super(URI.create("string:///" + name + ".java"), Kind.SOURCE);
      this.text = text;
    }

    static Source of(String around, String block) {
      String text = around.replace(HERE, block);
      int end = text.indexOf(";\n") + 2; // of the package
      StringBuilder imports = new StringBuilder();
      IMPORTS.forEach(i -> imports.append("import ").append(i).append(";\n"));
      Matcher type = TYPE.matcher(text.replaceAll("(?s)/\\*.*?\\*/", ""));
      String name = type.find() ? type.group(1) : "Snippet";
      return new Source(
          text.substring("package ".length(), end - 2).replace('.', '/') + "/" + name,
          text.substring(0, end) + imports + text.substring(end));
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }
}
