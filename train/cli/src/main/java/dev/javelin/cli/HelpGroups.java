package dev.javelin.cli;

import dev.javelin.train.settings.Names;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.UsageMessageSpec;

/** Options in {@code --help} under headings, which the hundreds of their {@code order} choose. */
final class HelpGroups {
  private static final Map<Integer, String> HEADINGS =
      Map.of(
          1, "Model and data",
          2, "Steps and batches",
          3, "Optimizer and schedule",
          4, "Numbers and device",
          5, "Evaluation and checkpoints",
          6, "Output",
          7, "This command");

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
    options.sort((a, b) -> Integer.compare(a.order(), b.order()));
    return options;
  }

  private static String optionList(Help help) {
    Map<Integer, List<OptionSpec>> groups = new TreeMap<>();
    for (OptionSpec option : inOrder(help.commandSpec())) {
      if (!option.hidden()) {
        int group = option.order() < 100 ? 7 : option.order() / 100;
        groups.computeIfAbsent(group, g -> new ArrayList<>()).add(option);
      }
    }
    StringBuilder text = new StringBuilder();
    groups.forEach(
        (group, options) -> {
          Help.Layout layout = help.createDefaultLayout();
          layout.addOptions(options, help.createDefaultParamLabelRenderer());
          text.append(System.lineSeparator());
          if (groups.size() > 1) {
            text.append(HEADINGS.getOrDefault(group, "Other")).append(":");
            text.append(System.lineSeparator());
          }
          text.append(layout);
        });
    return text.toString();
  }
}
