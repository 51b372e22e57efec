package dev.javelin.cli;

import dev.javelin.train.settings.Names;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A command line in the form that leaves picocli nothing to guess: flags in kebab-case, each value
 * joined to its flag as {@code --flag=value}. So a value is taken as it is, whatever it begins
 * with, and what stands where a flag must stand is a flag, known or not.
 *
 * <p>The argument behind an option of text (label {@code TEXT}) is its value in any case; behind
 * another option, and in a list, what looks like a flag is one. Behind {@code --} nothing is.
 *
 * @param command the verb
 * @param verbose whether {@code --verbose} was among them
 * @param wrong what is wrong with the first flag that the verb does not have, or that lacks its
 *     value
 */
record Arguments(List<String> list, CommandLine command, boolean verbose, @Nullable String wrong) {
  private static final String HIDDEN = "\0"; // in no argument, since the system ends them by it
  private static final String TEXT = "TEXT";

  static Arguments of(List<String> given, CommandLine root) {
    List<String> out = new ArrayList<>();
    CommandLine command = root;
    boolean verbose = false;
    String wrong = null;
    int i = 0;
    while (i < given.size()) {
      String argument = given.get(i++);
      if (argument.equals("--")) {
        out.add(argument);
        out.addAll(given.subList(i, given.size()));
        break;
      }
      if (!argument.startsWith("--")) {
        out.add(argument);
        command = command.getSubcommands().getOrDefault(argument, command);
        continue;
      }
      int equals = argument.indexOf('=');
      String name = Names.kebab(equals < 0 ? argument : argument.substring(0, equals));
      OptionSpec option = options(command).get(name);
      if (name.equals("verbose") && equals < 0) {
        verbose = true;
      } else if (option == null) {
        wrong = wrong == null ? Report.unknownFlag(command, argument) : wrong;
      } else {
        int before = out.size();
        if (equals >= 0) {
          out.add(joined(name, argument.substring(equals + 1), option));
        }
        boolean list = option.arity().max() > 1;
        while (i < given.size()
            && (list || out.size() == before)
            && isValue(given.get(i), option)) {
          out.add(joined(name, given.get(i++), option));
        }
        if (out.size() == before) {
          out.add("--" + name);
          if (wrong == null && option.arity().min() > 0) {
            wrong = "--" + name + " needs a value: " + option.paramLabel();
          }
        }
      }
    }
    return new Arguments(out, command, verbose, wrong);
  }

  /** Picocli takes a value for an option where it looks like one, even behind {@code =}. */
  private static String joined(String name, String value, OptionSpec option) {
    Class<?> type = option.isMultiValue() ? option.auxiliaryTypes()[0] : option.type();
    boolean hide = value.startsWith("-") && (type == String.class || type == Path.class);
    return "--" + name + "=" + (hide ? HIDDEN : "") + value;
  }

  /** Teaches picocli to read what {@link #of} has written. */
  static void install(CommandLine command) {
    command.registerConverter(String.class, Arguments::shown);
    command.registerConverter(Path.class, value -> Path.of(shown(value)));
  }

  private static String shown(String value) {
    return value.startsWith(HIDDEN) ? value.substring(HIDDEN.length()) : value;
  }

  /** Every name of every option, in kebab-case without dashes. */
  static Map<String, OptionSpec> options(CommandLine command) {
    return HelpGroups.byName(command.getCommandSpec());
  }

  private static boolean isValue(String next, OptionSpec option) {
    if (option.arity().max() == 0) {
      return false;
    }
    if (option.arity().min() == 1) {
      return option.paramLabel().equals(TEXT) || !isFlag(next);
    }
    return "true".equals(option.fallbackValue())
        ? next.equalsIgnoreCase("true") || next.equalsIgnoreCase("false")
        : !isFlag(next);
  }

  /** A number may begin with a dash, and a file be called so with {@code ./} before it. */
  private static boolean isFlag(String argument) {
    return argument.equals("--") || argument.matches("(?s)--?[A-Za-z].*");
  }
}
