package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import jdk.jshell.tool.JavaShellToolBuilder;

/** JShell as the JDK has it, in a Java machine of its own with our class path and flags. */
final class Shell {
  private static final String IMPORTS = "shell.jsh";
  private static final String VECTOR_API = "jdk.incubator.vector";

  private Shell() {}

  /** Reads commands until its user leaves; returns the value of {@code /exit}. */
  static int open(List<String> scripts, List<String> args) throws IOException {
    List<String> flags = new ArrayList<>(compilerOptions());
    for (String flag : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (!flag.startsWith("-agentlib:")) { // a debugger's port is taken
        flags.add("-R" + flag);
      }
    }
    Path start = Files.createTempFile("javelin", ".jsh");
    try {
      Files.writeString(start, imports() + arguments(args));
      flags.addAll(List.of("--startup", start.toString()));
      flags.addAll(scripts);
      return JavaShellToolBuilder.builder().start(flags.toArray(new String[0]));
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException("JShell has failed: " + e.getMessage(), e);
    } finally {
      Files.deleteIfExists(start);
    }
  }

  /** What the compiler has to know to see what this program sees. */
  static List<String> compilerOptions() {
    return List.of(
        "--class-path", System.getProperty("java.class.path"), "--add-modules", VECTOR_API);
  }

  /** The imports, one in a line. */
  static String imports() {
    try (InputStream in = Objects.requireNonNull(Shell.class.getResourceAsStream(IMPORTS))) {
      return new String(in.readAllBytes(), UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The declaration of {@code args}. */
  static String arguments(List<String> args) {
    return args.stream()
        .map(Json::writeCompact)
        .collect(Collectors.joining(", ", "String[] args = {", "};\n"));
  }
}
