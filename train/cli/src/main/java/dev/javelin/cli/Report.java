package dev.javelin.cli;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import dev.javelin.train.checkpoint.IncompleteCheckpointException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.estimate.NotEnoughMemoryException;
import dev.javelin.train.settings.Names;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.util.Optional;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * What went wrong, in one line that is fit for any terminal, and the exit code that goes with it.
 */
final class Report {
  private Report() {}

  /** Writes the line to standard error, with the stack trace behind it where that is wanted. */
  static int write(CommandLine command, Throwable e, boolean verbose) {
    PrintWriter err = command.getErr();
    boolean input =
        e instanceof ParameterException
            || e instanceof InputException
            || e instanceof IllegalArgumentException
            || e instanceof NoSuchFileException
            || e instanceof FileAlreadyExistsException
            || e instanceof FileFormatException
            || e instanceof IncompleteCheckpointException
            || e instanceof NotEnoughMemoryException n && n.getCause() == null;
    if (e instanceof NotEnoughMemoryException n) {
      err.print(n.details());
    }
    err.println("javelin: " + Printable.line(message(command, e)));
    if (verbose) {
      e.printStackTrace(err);
    }
    err.flush();
    return input ? Main.USAGE : Main.FAILURE;
  }

  private static String message(CommandLine command, Throwable e) {
    return switch (e) {
      case OutOfMemoryError o -> "out of memory: " + o.getMessage() + ": " + needsLess(command, o);
      case InternalError i ->
          "a file became shorter while it was read: start again once it is complete ("
              + i.getMessage()
              + ")";
      // A misspelt flag is why a required one is missing.
      case ParameterException p when !p.getCommandLine().getUnmatchedArguments().isEmpty() ->
          unmatched(p.getCommandLine());
      case ParameterException p -> withFirstNames(firstLine(p), p.getCommandLine());
      case NoSuchFileException n -> n.getMessage() + ": no such file or directory";
      case InvalidPathException p ->
          p.getInput() + " is not a valid path: " + p.getReason() + Main.localeRemedy();
      default ->
          e.getMessage() == null
              ? e.getClass().getSimpleName() + " (run again with --verbose for details)"
              : e.getMessage();
    };
  }

  /** What the verb has that takes less memory: of the heap, or of what lies outside. */
  private static String needsLess(CommandLine command, OutOfMemoryError e) {
    if (String.valueOf(e.getMessage()).contains("heap")) {
      return "give Java a larger heap, such as JAVELIN_JVM=-Xmx4g"
          + (command.getCommand() instanceof TrainCommand
              ? ", or train on a token file, which javelin prepare makes of a text"
              : "");
    }
    return switch ((Object) command.getCommand()) {
      case TrainCommand train -> train.needsLess();
      case EvalCommand eval -> eval.needsLess();
      default -> "close other programs, or choose a smaller model";
    };
  }

  private static String firstLine(Exception e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
  }

  /** Picocli speaks of an option by its longest name; {@code --help} puts the first one first. */
  private static String withFirstNames(String message, CommandLine command) {
    String text = message;
    for (OptionSpec option : command.getCommandSpec().options()) {
      text = text.replaceAll(Pattern.quote(option.longestName()) + "(?![\\w-])", option.names()[0]);
    }
    return text;
  }

  /** {@code unknown flag --lerning-rate: did you mean --learning-rate?} */
  static String unknownFlag(CommandLine command, String argument) {
    CommandSpec spec = command.getCommandSpec();
    String name = argument.replaceFirst("(?s)=.*", "").replace('_', '-');
    return "unknown flag "
        + name
        + Names.nearest(Names.kebab(name), HelpGroups.byName(spec).keySet())
            .map(n -> ": did you mean --" + n + "?")
            .orElse(": javelin " + verb(spec) + "--help lists the known ones");
  }

  private static String unmatched(CommandLine command) {
    String argument = command.getUnmatchedArguments().getFirst();
    CommandSpec spec = command.getCommandSpec();
    if (argument.startsWith("-")) {
      return unknownFlag(command, argument);
    }
    if (!spec.subcommands().isEmpty()) {
      Optional<String> verb = Names.nearest(argument, spec.subcommands().keySet());
      return "unknown verb "
          + argument
          + verb.map(v -> ": did you mean " + v + "?")
              .orElse(": the verbs are " + String.join(", ", spec.subcommands().keySet()));
    }
    return "unexpected argument " + argument + ": javelin " + verb(spec) + "--help lists the flags";
  }

  /** {@code tokenizer encode }, empty for the root. */
  private static String verb(CommandSpec spec) {
    CommandSpec parent = spec.parent();
    return parent == null ? "" : verb(parent) + spec.name() + " ";
  }
}
