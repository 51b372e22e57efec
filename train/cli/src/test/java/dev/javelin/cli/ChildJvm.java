package dev.javelin.cli;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** {@code javelin} in a process of its own, to be killed, interrupted, or run with other flags. */
record ChildJvm(Process process, Path output) {
  private static final long LIMIT_SECONDS = 240;

  /** Starts {@code javelin arguments} with further flags of the Java machine. */
  static ChildJvm start(Path directory, List<String> jvmFlags, List<String> arguments)
      throws IOException {
    return startMain(Main.class, directory, jvmFlags, arguments);
  }

  /** The same, which reads a file as its standard input. */
  static ChildJvm start(Path directory, List<String> jvmFlags, List<String> arguments, Path input)
      throws IOException {
    return start(directory, java(Main.class, jvmFlags, arguments), Redirect.from(input.toFile()));
  }

  /** Starts another program than {@code javelin}. */
  static ChildJvm startMain(
      Class<?> main, Path directory, List<String> jvmFlags, List<String> arguments)
      throws IOException {
    return start(directory, java(main, jvmFlags, arguments));
  }

  /** Starts it from a shell that has run {@code setting} first, such as a limit. */
  static ChildJvm startUnder(String setting, Path directory, List<String> arguments)
      throws IOException {
    List<String> command = new ArrayList<>(List.of("sh", "-c", setting + "; exec \"$@\"", "sh"));
    command.addAll(java(Main.class, List.of("-XX:-UsePerfData"), arguments));
    return start(directory, command);
  }

  private static List<String> java(Class<?> main, List<String> jvmFlags, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--add-modules", "jdk.incubator.vector"));
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx512m"));
    command.addAll(jvmFlags);
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(main.getName());
    command.addAll(arguments);
    return command;
  }

  private static ChildJvm start(Path directory, List<String> command) throws IOException {
    return start(directory, command, Redirect.PIPE);
  }

  private static ChildJvm start(Path directory, List<String> command, Redirect input)
      throws IOException {
    Path output = Files.createTempFile(directory, "child", ".txt");
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectInput(input)
            .redirectOutput(output.toFile())
            .start();
    return new ChildJvm(process, output);
  }

  /** Waits for the end and returns the exit code; 137 after a kill. */
  int join() throws InterruptedException {
    if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new AssertionError("the child has not ended in " + LIMIT_SECONDS + " s");
    }
    return process.exitValue();
  }

  String text() throws IOException {
    return Files.readString(output);
  }

  /** {@code kill -9} */
  void kill() {
    process.destroyForcibly();
  }

  /** {@code kill -SIGNAL} */
  void signal(String signal) throws IOException, InterruptedException {
    new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
  }
}
