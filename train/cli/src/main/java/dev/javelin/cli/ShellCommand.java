package dev.javelin.cli;

import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin shell}: JShell, or scripts for it, with all of Javelin at hand. */
@Command(
    name = "shell",
    mixinStandardHelpOptions = true,
    description = {
      "Opens JShell with everything of Javelin imported, the Vector API and native access enabled.",
      "With files, runs these scripts in one session and ends: with exit code 1 at the first error. What a script finds in the variable args stands behind --: javelin shell lesson.jsh -- 3 words."
    })
final class ShellCommand implements Callable<Integer> {
  private static final String MODULE = "jdk.jshell";

  @Spec private @Nullable CommandSpec spec;

  @Parameters(
      paramLabel = "FILE",
      arity = "0..*",
      description = "Scripts to run; - reads one from standard input. Default: none.")
  private List<String> files = List.of();

  @Option(
      names = "--stay",
      description = "Stay in the shell behind the scripts, which go on at an error.")
  private boolean stay;

  @Override
  public Integer call() throws IOException {
    if (ModuleLayer.boot().findModule(MODULE).isEmpty()) {
      throw new InputException(
          "this Java runtime ("
              + System.getProperty("java.home")
              + ") has no module "
              + MODULE
              + ": run javelin shell with a whole JDK 25, set JAVA_HOME to one");
    }
    CommandLine line = Objects.requireNonNull(spec, "picocli sets it").commandLine();
    List<String> given = line.getParseResult().originalArgs();
    int dashes = given.indexOf("--");
    int behind = dashes < 0 ? 0 : given.size() - dashes - 1;
    List<String> scripts = files.subList(0, files.size() - behind);
    List<String> args = files.subList(files.size() - behind, files.size());
    return scripts.isEmpty() || stay
        ? Shell.open(scripts, args)
        : Script.run(scripts, args, line.getErr());
  }
}
