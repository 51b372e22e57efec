package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import dev.javelin.train.Devices;
import dev.javelin.train.checkpoint.IncompleteCheckpointException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.DeviceSpec;
import dev.javelin.train.settings.Names;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/**
 * {@code javelin VERB}. Exit code 0 on success, 2 for wrong usage or input (one line, no stack
 * trace without {@code --verbose}), 1 for a failure, 130 after Ctrl-C with a checkpoint saved.
 */
@Command(
    name = "javelin",
    version = "Javelin 0.1.0",
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "VERB",
    description = "Trains and runs transformer language models on this machine.",
    subcommands = {
      TrainCommand.class,
      EvalCommand.class,
      GenerateCommand.class,
      PrepareCommand.class,
      TokenizerCommand.class,
      DoctorCommand.class,
    })
public final class Main {
  static final int OK = 0;
  static final int FAILURE = 1;
  static final int USAGE = 2;
  static final int INTERRUPTED = 130;

  private Main() {}

  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs one command line and returns its exit code. */
  public static int run(String... args) {
    CommandLine command = commandLine();
    Arguments arguments = Arguments.of(List.of(args), command);
    boolean verbose = arguments.verbose();
    command.setParameterExceptionHandler((e, a) -> report(e.getCommandLine(), e, verbose));
    command.setExecutionExceptionHandler((e, c, r) -> report(c, e, verbose));
    if (arguments.list().isEmpty()) {
      command.usage(command.getOut());
      return OK;
    }
    try {
      return command.execute(arguments.list().toArray(new String[0]));
    } catch (OutOfMemoryError e) {
      return report(arguments.command(), e, verbose);
    }
  }

  private static CommandLine commandLine() {
    CommandLine command = new CommandLine(new Main());
    Objects.requireNonNull(command.getSubcommands().get("train"))
        .getCommandSpec()
        .addMixin("settings", TrainOptions.mixin());
    command.setOverwrittenOptionsAllowed(true);
    command.setUnmatchedOptionsAllowedAsOptionParameters(false);
    command.setExpandAtFiles(false);
    command.setUsageHelpAutoWidth(true);
    command.setUsageHelpLongOptionsMaxWidth(48);
    HelpGroups.install(command);
    return command;
  }

  /** The device of a model that is read, not trained: the value of {@code --device}. */
  static Device device(String name, int threads, TransformerConfig model) {
    if (!Devices.isName(name)) {
      throw new InputException("--device must be one of " + Devices.NAMES + ", got " + name);
    }
    if (threads < 1 || threads > DeviceSpec.MOST_THREADS) {
      throw new InputException(
          "--threads must lie between 1 and " + DeviceSpec.MOST_THREADS + ", got " + threads);
    }
    return Devices.open(name, threads, model).device();
  }

  static void atLeast(int least, String flag, int value) {
    if (value < least) {
      throw new InputException(flag + " must be at least " + least + ", got " + value);
    }
  }

  /** Where a verb prints its answer. */
  static PrintWriter out(@Nullable CommandSpec spec) {
    return Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
  }

  /** What the user should know of the data, on standard error: the answer stays alone. */
  static void notes(@Nullable CommandSpec spec, List<String> notes) {
    PrintWriter err = Objects.requireNonNull(spec, "picocli sets it").commandLine().getErr();
    notes.forEach(note -> err.println("javelin: " + Printable.line(note)));
    err.flush();
  }

  /** One line on standard error, and the exit code that goes with the exception. */
  private static int report(CommandLine command, Throwable e, boolean verbose) {
    PrintWriter err = command.getErr();
    boolean input =
        e instanceof ParameterException
            || e instanceof InputException
            || e instanceof IllegalArgumentException
            || e instanceof NoSuchFileException
            || e instanceof FileAlreadyExistsException
            || e instanceof FileFormatException
            || e instanceof IncompleteCheckpointException;
    err.println("javelin: " + message(e));
    if (verbose) {
      e.printStackTrace(err);
    }
    err.flush();
    return input ? USAGE : FAILURE;
  }

  private static String message(Throwable e) {
    return switch (e) {
      case OutOfMemoryError o ->
          "out of memory: "
              + o.getMessage()
              + ": a smaller --batch-size or --seq-len, or --recompute, needs less";
      // A misspelt flag is why a required one is missing.
      case ParameterException p when !p.getCommandLine().getUnmatchedArguments().isEmpty() ->
          unmatched(p.getCommandLine());
      case ParameterException p -> withFirstNames(firstLine(p), p.getCommandLine());
      case NoSuchFileException n -> n.getMessage() + ": no such file or directory";
      case InputException i -> String.valueOf(i.getMessage());
      default ->
          e.getMessage() == null
              ? e.getClass().getSimpleName() + " (run again with --verbose for details)"
              : e.getMessage();
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
  private static String unmatched(CommandLine command) {
    String argument = command.getUnmatchedArguments().getFirst();
    CommandSpec spec = command.getCommandSpec();
    if (argument.startsWith("-")) {
      String name = argument.replaceFirst("=.*", "");
      return "unknown flag "
          + name
          + Names.nearest(Names.kebab(name), HelpGroups.byName(spec).keySet())
              .map(n -> ": did you mean --" + n + "?")
              .orElse(": --help lists the known ones");
    }
    if (spec.parent() == null) {
      Optional<String> verb = Names.nearest(argument, spec.subcommands().keySet());
      return "unknown verb "
          + argument
          + verb.map(v -> ": did you mean " + v + "?")
              .orElse(": the verbs are " + String.join(", ", spec.subcommands().keySet()));
    }
    return "unexpected argument "
        + argument
        + ": javelin "
        + spec.name()
        + " --help lists the flags";
  }
}
