package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.io.Printable;
import dev.javelin.train.Devices;
import dev.javelin.train.data.InputException;
import dev.javelin.train.run.Version;
import dev.javelin.train.settings.DeviceSpec;
import java.io.PrintWriter;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * {@code javelin VERB}. Exit code 0 on success, 2 for wrong usage or input (one line, no stack
 * trace without {@code --verbose}), 1 for a failure, 130 after Ctrl-C with a checkpoint saved, 75
 * after the signal of a batch system.
 */
@Command(
    name = "javelin",
    version = "Javelin " + Version.NUMBER,
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "VERB",
    description = "Trains and runs transformer language models on this machine.")
public final class Main {
  static final int OK = 0;
  static final int FAILURE = 1;
  static final int USAGE = 2;
  static final int INTERRUPTED = 130;
  private static final String UTF_8 = "UTF-8";
  private static final char UNDECODED = '\ufffd';

  private static final SequencedMap<String, Supplier<Callable<Integer>>> VERBS = verbs();

  private @Nullable Interrupt interrupt;

  private Main() {}

  public static void main(String[] args) {
    System.exit(run(args));
  }

  /** Runs one command line and returns its exit code. */
  public static int run(String... args) {
    Main main = new Main();
    String verb = args.length > 0 && VERBS.containsKey(args[0]) ? args[0] : null;
    CommandLine command = main.command(verb == null ? VERBS.sequencedKeySet() : Set.of(verb));
    Arguments arguments = Arguments.of(List.of(args), command);
    boolean verbose = arguments.verbose();
    command.setParameterExceptionHandler((e, a) -> Report.write(e.getCommandLine(), e, verbose));
    command.setExecutionExceptionHandler((e, c, r) -> Report.write(c, e, verbose));
    Interrupt interrupt = new Interrupt();
    main.interrupt = interrupt;
    int exit = FAILURE;
    try {
      exit = execute(command, arguments);
    } catch (InputException | Error e) {
      exit = Report.write(arguments.command(), e, verbose);
    } finally {
      interrupt.finished(exit);
    }
    return exit;
  }

  private static int execute(CommandLine command, Arguments arguments) {
    if (arguments.wrong() != null) {
      throw new InputException(arguments.wrong());
    }
    if (arguments.list().isEmpty()) {
      command.usage(command.getOut());
      return OK;
    }
    if (arguments.list().stream().anyMatch(a -> a.indexOf(UNDECODED) >= 0)
        && !localeRemedy().isEmpty()) {
      throw new InputException("an argument is not plain ASCII" + localeRemedy());
    }
    return command.execute(arguments.list().toArray(new String[0]));
  }

  /** Where the names of files are not UTF-8, which the system's locale decides: what to do. */
  static String localeRemedy() {
    String names = System.getProperty("sun.jnu.encoding", UTF_8);
    return names.equalsIgnoreCase(UTF_8)
        ? ""
        : ", which the locale's encoding (" + names + ") cannot carry: set LC_ALL=C.UTF-8";
  }

  /** All verbs, without running any. */
  static CommandLine commandLine() {
    return new Main().command(VERBS.sequencedKeySet());
  }

  private static SequencedMap<String, Supplier<Callable<Integer>>> verbs() {
    SequencedMap<String, Supplier<Callable<Integer>>> verbs = new LinkedHashMap<>();
    verbs.put("train", TrainCommand::new);
    verbs.put("estimate", EstimateCommand::new);
    verbs.put("eval", EvalCommand::new);
    verbs.put("generate", GenerateCommand::new);
    verbs.put("chat", ChatCommand::new);
    verbs.put("prepare", PrepareCommand::new);
    verbs.put("preview", PreviewCommand::new);
    verbs.put("samples", SamplesCommand::new);
    verbs.put("convert", ConvertCommand::new);
    verbs.put("tokenizer", TokenizerCommand::new);
    verbs.put("merge", MergeCommand::new);
    verbs.put("average", AverageCommand::new);
    verbs.put("sweep", SweepCommand::new);
    verbs.put("xray", XrayCommand::new);
    verbs.put("kernel", KernelCommand::new);
    verbs.put("report", ReportCommand::new);
    verbs.put("compare", CompareCommand::new);
    verbs.put("doctor", DoctorCommand::new);
    verbs.put("shell", ShellCommand::new);
    return verbs;
  }

  /** With these verbs; picocli takes a second of a cold start for all of them. */
  private CommandLine command(Collection<String> verbs) {
    CommandLine command = new CommandLine(this);
    for (String name : verbs) {
      CommandLine verb = new CommandLine(Objects.requireNonNull(VERBS.get(name)).get());
      if (verb.getCommand() instanceof TrainCommand
          || verb.getCommand() instanceof EstimateCommand) {
        verb.getCommandSpec().addMixin("settings", TrainOptions.mixin());
      }
      command.addSubcommand(name, verb);
    }
    command.setOverwrittenOptionsAllowed(true);
    command.setExpandAtFiles(false);
    command.setUsageHelpAutoWidth(true);
    command.setOut(new PrintWriter(System.out, true, System.out.charset()));
    command.setErr(new PrintWriter(System.err, true, System.err.charset()));
    Arguments.install(command);
    HelpGroups.install(command);
    addVerbose(command);
    return command;
  }

  /** {@link Arguments} takes it out of every command line; here it is for {@code --help}. */
  private static void addVerbose(CommandLine command) {
    command
        .getCommandSpec()
        .addOption(
            OptionSpec.builder("--verbose")
                .type(boolean.class)
                .arity("0")
                .description("Print the stack trace of an error too.")
                .build());
    command.getSubcommands().values().forEach(Main::addVerbose);
  }

  /** From now on Ctrl-C waits for the verb to end. */
  static void stopBy(@Nullable CommandSpec spec, Runnable request) {
    Object main = Objects.requireNonNull(spec, "picocli sets it").root().userObject();
    Objects.requireNonNull(((Main) main).interrupt, "made by run").stopBy(request);
  }

  /** The device of a model that is read, not trained: the value of {@code --device}. */
  static Device device(String name, int threads, TransformerConfig model) {
    return device(name, threads, model.headDim());
  }

  /** The same for a model of which that is the width of a head. */
  static Device device(String name, int threads, int headDim) {
    if (!Devices.isName(name)) {
      throw new InputException("--device must be one of " + Devices.NAMES + ", got " + name);
    }
    if (threads < 1 || threads > DeviceSpec.MOST_THREADS) {
      throw new InputException(
          "--threads must lie between 1 and " + DeviceSpec.MOST_THREADS + ", got " + threads);
    }
    return Devices.open(name, threads, headDim).device();
  }

  /** The value of {@code --dtype}. */
  static Precision precision(String dtype) {
    return switch (dtype) {
      case "fp32", "bf16", "fp16" -> Precision.named(dtype);
      default -> throw new InputException("--dtype must be fp32, bf16 or fp16, got " + dtype);
    };
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
}
