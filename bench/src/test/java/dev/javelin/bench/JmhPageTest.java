package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.StringWriter;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The benchmark of the handbook compiles, and its two kernels agree. */
class JmhPageTest {
  private static final Path PROJECT = Path.of("src/it/jmh/src/main/java/bench");

  @TempDir Path classes;

  @Test
  void itCompilesAndItsKernelsAgree() throws Exception {
    assertThat(errors()).isEmpty();
    URL[] urls = {classes.toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(urls, getClass().getClassLoader())) {
      Class<?> type = loader.loadClass("bench.ScaleShiftBenchmark");
      Object benchmark = type.getConstructor().newInstance();
      type.getField("rows").setInt(benchmark, 33);
      type.getField("cols").setInt(benchmark, 127);
      type.getField("threads").setInt(benchmark, 2);
      type.getMethod("open").invoke(benchmark); // compares them bit by bit
      assertThat(type.getMethod("vectors").invoke(benchmark).toString()).startsWith("F32[33, 127]");
      type.getMethod("close").invoke(benchmark);
    }
  }

  private String errors() throws IOException {
    JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
    StringWriter said = new StringWriter();
    List<String> options =
        List.of(
            "-d",
            classes.toString(),
            "-proc:none",
            "-XDrawDiagnostics",
            "-nowarn",
            "--add-modules",
            "jdk.incubator.vector",
            "-cp",
            System.getProperty("java.class.path"));
    try (StandardJavaFileManager files = javac.getStandardFileManager(null, null, null);
        Stream<Path> sources = Files.list(PROJECT)) {
      boolean good =
          javac
              .getTask(
                  said,
                  files,
                  null,
                  options,
                  null,
                  files.getJavaFileObjectsFromPaths(sources.sorted().toList()))
              .call();
      return good ? "" : said.toString();
    }
  }
}
