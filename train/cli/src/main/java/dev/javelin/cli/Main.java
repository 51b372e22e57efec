package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import dev.javelin.train.Devices;
import dev.javelin.train.Names;
import dev.javelin.train.Settings;
import dev.javelin.train.TrainConfig;
import dev.javelin.train.checkpoint.IncompleteCheckpointException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.run.RunDirectory;
import java.io.PrintWriter;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
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
    List<String> arguments = new ArrayList<>(Arrays.asList(args));
    boolean verbose = arguments.remove("--verbose");
    CommandLine command = commandLine();
    command.setParameterExceptionHandler((e, a) -> report(e.getCommandLine(), e, verbose));
    command.setExecutionExceptionHandler((e, c, r) -> report(c, e, verbose));
    if (arguments.isEmpty()) {
      command.usage(command.getOut());
      return OK;
    }
    try {
      return command.execute(expand(arguments, command).toArray(new String[0]));
    } catch (InputException e) {
      return report(command, e, verbose);
    } catch (OutOfMemoryError e) {
      return report(command, e, verbose);
    }
  }

  private static CommandLine commandLine() {
    CommandLine command = Settings.configure(new CommandLine(new Main()));
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
    if (threads < 1 || threads > TrainConfig.MOST_THREADS) {
      throw new InputException(
          "--threads must lie between 1 and " + TrainConfig.MOST_THREADS + ", got " + threads);
    }
    return Devices.open(name, threads, model, Precision.FP32, Devices.Use.INFERENCE).device();
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

  /**
   * Turns {@code --max_steps} into {@code --max-steps}, and files of settings into the flags they
   * stand for: first those the resumed run was started with, then those of {@code --config}. What
   * the command line gives itself is left out of both.
   */
  private static List<String> expand(List<String> arguments, CommandLine command) {
    List<String> flags = new ArrayList<>();
    Map<String, String> given = new LinkedHashMap<>();
    for (int i = 0; i < arguments.size(); i++) {
      String argument = arguments.get(i);
      if (!argument.startsWith("--") || argument.length() == 2) {
        flags.add(argument);
        continue;
      }
      int equals = argument.indexOf('=');
      String name = Names.kebab(equals < 0 ? argument : argument.substring(0, equals));
      boolean valueNext =
          equals < 0 && i + 1 < arguments.size() && !arguments.get(i + 1).startsWith("-");
      given.put(
          name,
          equals >= 0 ? argument.substring(equals + 1) : valueNext ? arguments.get(i + 1) : "");
      flags.add("--" + name + (equals < 0 ? "" : argument.substring(equals)));
    }
    CommandLine verb = command.getSubcommands().get(flags.getFirst());
    if (verb != null && verb.getCommand() instanceof TrainCommand) {
      flags.addAll(1, fromFiles(given, verb.getCommandSpec()));
    }
    return flags;
  }

  private static List<String> fromFiles(Map<String, String> given, CommandSpec train) {
    Set<String> except = new HashSet<>(given.keySet());
    List<String> flags = new ArrayList<>();
    String config = given.get("config");
    if (config != null && !config.isEmpty()) {
      flags.addAll(checked(Path.of(config), train, except));
    }
    String resume = given.getOrDefault("resume", given.get("resume-from-checkpoint"));
    if (resume != null) {
      String output = given.getOrDefault("output-dir", given.get("out-dir"));
      Path run = RunDirectory.locate(output == null ? null : Path.of(output), resume);
      Path settings = run.resolve(RunDirectory.CONFIG_FILE);
      if (Files.isRegularFile(settings)) {
        except.addAll(List.of("output-dir", "resume"));
        flags.addAll(0, checked(settings, train, except));
      }
    }
    return flags;
  }

  /** What a file stands for, once it is known to be understood: a wrong value names the file. */
  private static List<String> checked(Path file, CommandSpec train, Set<String> except) {
    List<String> flags = Settings.arguments(file, train, except);
    CommandLine alone = Settings.configure(new CommandLine(new TrainCommand()));
    try {
      alone.parseArgs(flags.toArray(new String[0]));
    } catch (ParameterException e) {
      throw new InputException(file + ": " + message(e), e);
    }
    return flags;
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
      case ParameterException p -> withFirstNames(Settings.firstLine(p), p.getCommandLine());
      case NoSuchFileException n -> n.getMessage() + ": no such file or directory";
      case InputException i -> String.valueOf(i.getMessage());
      default ->
          e.getMessage() == null
              ? e.getClass().getSimpleName() + " (run again with --verbose for details)"
              : e.getMessage();
    };
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
          + Settings.didYouMean(Names.kebab(name), Settings.optionsByName(spec), true);
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
