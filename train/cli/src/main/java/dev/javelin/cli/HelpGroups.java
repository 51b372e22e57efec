package dev.javelin.cli;

import dev.javelin.train.settings.Names;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/**
 * Options in {@code --help}: under headings, which the hundreds of their {@code order} choose; the
 * first name in the left column, what it does in the right one, then its other names.
 */
final class HelpGroups {
  private static final Map<Integer, String> HEADINGS =
      Map.of(
          1, "Model and data",
          2, "Steps and batches",
          3, "Optimizer and schedule",
          4, "Numbers and device",
          5, "Evaluation and checkpoints",
          6, "Output",
          7, "Spikes and faults",
          8, "This command");
  private static final int LAST_GROUP = 8;
  private static final int LEFT = 34;
  private static final int NARROWEST = 30;

  private HelpGroups() {}

  /** Applies to the command and all its verbs. */
  static void install(CommandLine command) {
    command
        .getHelpSectionMap()
        .put(UsageMessageSpec.SECTION_KEY_OPTION_LIST, HelpGroups::optionList);
    command.getHelpSectionMap().remove(UsageMessageSpec.SECTION_KEY_OPTION_LIST_HEADING);
    command.getSubcommands().values().forEach(HelpGroups::install);
  }

  /** Every name of every option, in kebab-case without dashes, in the order of {@code --help}. */
  static Map<String, OptionSpec> byName(CommandSpec spec) {
    Map<String, OptionSpec> options = new LinkedHashMap<>();
    for (OptionSpec option : inOrder(spec)) {
      for (String name : option.names()) {
        options.put(Names.kebab(name), option);
      }
    }
    return options;
  }

  private static List<OptionSpec> inOrder(CommandSpec spec) {
    List<OptionSpec> options = new ArrayList<>(spec.options());
    options.sort((a, b) -> Integer.compare(group(a), group(b)));
    return options;
  }

  private static int group(OptionSpec option) {
    return option.order() < 100 ? LAST_GROUP * 100 + 99 : option.order();
  }

  private static String optionList(Help help) {
    Map<Integer, List<OptionSpec>> groups = new TreeMap<>();
    for (OptionSpec option : inOrder(help.commandSpec())) {
      if (!option.hidden()) {
        groups.computeIfAbsent(group(option) / 100, g -> new ArrayList<>()).add(option);
      }
    }
    int width = help.commandSpec().usageMessage().width();
    StringBuilder text = new StringBuilder();
    groups.forEach(
        (group, options) -> {
          text.append(System.lineSeparator());
          if (groups.size() > 1) {
            text.append(HEADINGS.getOrDefault(group, "Other")).append(":");
            text.append(System.lineSeparator());
          }
          options.forEach(option -> describe(option, width, text));
        });
    return text.toString();
  }

  private static void describe(OptionSpec option, int width, StringBuilder text) {
    String left = "  " + first(option);
    for (String line : wrapped(description(option), Math.max(NARROWEST, width - LEFT))) {
      if (left.length() > LEFT - 2) {
        text.append(left).append(System.lineSeparator());
        left = "";
      }
      text.append(left).append(" ".repeat(LEFT - left.length())).append(line);
      text.append(System.lineSeparator());
      left = "";
    }
  }

  /** {@code -h, --help}, {@code --data=PATH...}, {@code --recompute}. */
  private static String first(OptionSpec option) {
    String name =
        Arrays.stream(option.names()).filter(n -> n.length() == 2).collect(Collectors.joining());
    String first = (name.isEmpty() ? "" : name + ", ") + longNames(option).findFirst().orElse("");
    boolean several = option.arity().max() > 1;
    if (option.arity().max() == 0 || "true".equals(option.fallbackValue())) {
      return first;
    }
    return option.arity().min() == 0
        ? first + "[=" + option.paramLabel() + "]"
        : first + "=" + option.paramLabel() + (several ? "..." : "");
  }

  private static Stream<String> longNames(OptionSpec option) {
    return Arrays.stream(option.names()).filter(n -> n.length() > 2);
  }

  /** What it does, and its other names. */
  static String description(OptionSpec option) {
    String text =
        String.join(" ", option.description())
            .replace("${DEFAULT-VALUE}", String.valueOf(option.defaultValueString()));
    String aliases = longNames(option).skip(1).collect(Collectors.joining(", "));
    return text
        + (option.required() ? " Required." : "")
        + (aliases.isEmpty() ? "" : " Also: " + aliases + ".");
  }

  private static List<String> wrapped(String text, int width) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : text.split(" ")) {
      if (!line.isEmpty() && line.length() + 1 + word.length() > width) {
        lines.add(line.toString());
        line.setLength(0);
      }
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }
}
