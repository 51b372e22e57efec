package dev.javelin.cli;

import dev.javelin.train.settings.Names;
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
 */
record Arguments(List<String> list, CommandLine command, boolean verbose) {
  private static final String TEXT = "TEXT";

  static Arguments of(List<String> given, CommandLine root) {
    List<String> out = new ArrayList<>();
    CommandLine command = root;
    boolean verbose = false;
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
        out.add(argument);
      } else if (equals >= 0) {
        out.add("--" + name + argument.substring(equals));
        i = option.arity().max() > 1 ? list(name, given, i, out) : i;
      } else if (option.arity().max() > 1) {
        int end = list(name, given, i, out);
        if (end == i) {
          out.add("--" + name);
        }
        i = end;
      } else if (i < given.size() && isValue(given.get(i), option)) {
        out.add("--" + name + "=" + given.get(i++));
      } else {
        out.add("--" + name);
      }
    }
    return new Arguments(out, command, verbose);
  }

  /** Every name of every option, in kebab-case without dashes. */
  static Map<String, OptionSpec> options(CommandLine command) {
    return HelpGroups.byName(command.getCommandSpec());
  }

  private static int list(String name, List<String> given, int from, List<String> out) {
    int i = from;
    while (i < given.size() && !isFlag(given.get(i))) {
      out.add("--" + name + "=" + given.get(i++));
    }
    return i;
  }

  private static boolean isValue(String next, OptionSpec option) {
    if (option.arity().max() == 0) {
      return false;
    }
    if (option.arity().min() == 1) {
      return option.paramLabel().equals(TEXT) || !isFlag(next);
    }
    boolean isSwitch = "true".equals(fallback(option));
    return isSwitch
        ? next.equalsIgnoreCase("true") || next.equalsIgnoreCase("false")
        : !isFlag(next);
  }

  private static @Nullable String fallback(OptionSpec option) {
    return option.fallbackValue();
  }

  /** A number may begin with a dash, and a file be called so with {@code ./} before it. */
  private static boolean isFlag(String argument) {
    return argument.equals("--") || argument.matches("(?s)--?[A-Za-z].*");
  }
}
