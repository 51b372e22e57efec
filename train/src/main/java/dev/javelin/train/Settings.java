package dev.javelin.train;

import dev.javelin.kernels.VectorNorm;
import dev.javelin.train.data.InputException;
import dev.javelin.train.schedule.Decay;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Settings as YAML. A file is read as the flags it stands for, placed before those of the command
 * line, so that a flag overrides a key, and both are parsed and checked in one place.
 */
public final class Settings {
  private Settings() {}

  /**
   * The flags that a YAML file of {@code snake_case: value} lines stands for.
   *
   * @param except names of options, as {@link Names#kebab} writes them, that are given elsewhere
   */
  public static List<String> arguments(Path file, CommandSpec spec, Set<String> except) {
    Map<String, OptionSpec> options = optionsByName(spec);
    List<String> arguments = new ArrayList<>();
    for (Map.Entry<?, ?> entry : read(file).entrySet()) {
      String key = String.valueOf(entry.getKey());
      OptionSpec option = options.get(Names.kebab(key));
      if (option == null) {
        throw new InputException(
            file + ": unknown key " + key + didYouMean(Names.kebab(key), options, false));
      }
      Object value = entry.getValue();
      if (value == null
          || Arrays.stream(option.names()).map(Names::kebab).anyMatch(except::contains)) {
        continue;
      }
      if (value instanceof Map) {
        throw new InputException(
            file + ": " + key + " must be a single value or a list, got a table");
      }
      String flag = option.longestName();
      if (value instanceof Collection<?> list) {
        if (!option.isMultiValue()) {
          throw new InputException(file + ": " + key + " must be a single value, got a list");
        }
        if (!list.isEmpty()) {
          arguments.add(flag);
          list.forEach(v -> arguments.add(String.valueOf(v)));
        }
      } else {
        arguments.add(flag + "=" + value);
      }
    }
    return arguments;
  }

  /**
   * The whole configuration as YAML that reads back as itself; what is not set is left out.
   *
   * @param except keys to leave out too
   */
  public static String yaml(TrainConfig config, String... except) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (OptionSpec option : inOrder(CommandSpec.forAnnotatedObject(config))) {
      Object value = option.hidden() ? null : plain(option.getValue());
      if (value != null) {
        values.put(Names.snake(firstName(option)), value);
      }
    }
    values.keySet().removeAll(Set.of(except));
    DumpSettings style = DumpSettings.builder().setDefaultFlowStyle(FlowStyle.BLOCK).build();
    return new Dump(style).dumpToString(values);
  }

  /** Reads what {@link #yaml} wrote. */
  public static TrainConfig load(Path file) {
    TrainConfig config = new TrainConfig();
    CommandLine command = configure(new CommandLine(CommandSpec.forAnnotatedObject(config)));
    try {
      command.parseArgs(arguments(file, command.getCommandSpec(), Set.of()).toArray(new String[0]));
    } catch (CommandLine.ParameterException e) {
      throw new InputException(file + ": " + firstLine(e), e);
    }
    return config;
  }

  /** Every name of every option, without dashes. */
  public static Map<String, OptionSpec> optionsByName(CommandSpec spec) {
    Map<String, OptionSpec> options = new LinkedHashMap<>();
    for (OptionSpec option : inOrder(spec)) {
      for (String name : option.names()) {
        options.put(Names.kebab(name), option);
      }
    }
    return options;
  }

  /** The options in the order of {@code --help}. */
  public static List<OptionSpec> inOrder(CommandSpec spec) {
    List<OptionSpec> options = new ArrayList<>(spec.options());
    options.sort((a, b) -> Integer.compare(a.order(), b.order()));
    return options;
  }

  /** The primary name, as against the aliases after it. */
  static String firstName(OptionSpec option) {
    return option.names()[0];
  }

  private static Map<?, ?> read(Path file) {
    Object root;
    try {
      LoadSettings settings = LoadSettings.builder().setLabel(file.toString()).build();
      root = new Load(settings).loadFromString(Files.readString(file));
    } catch (NoSuchFileException e) {
      throw new InputException(file + ": no such file: name an existing YAML file", e);
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + e.getMessage(), e);
    } catch (YamlEngineException e) {
      String what = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new InputException(file + ": not valid YAML: " + what, e);
    }
    if (root == null) {
      return Map.of();
    }
    if (root instanceof Map<?, ?> map) {
      return map;
    }
    throw new InputException(file + ": must hold lines of the form key: value");
  }

  private static @Nullable Object plain(@Nullable Object value) {
    return switch (value) {
      case null -> null;
      case Enum<?> e -> kebabName(e);
      case Path p -> p.toString();
      case Collection<?> c when c.isEmpty() -> null;
      case Collection<?> c -> c.stream().map(Settings::plain).toList();
      case Float f -> Double.valueOf(f.toString());
      default -> value;
    };
  }

  static String kebabName(Enum<?> e) {
    return e.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** {@code : did you mean max-steps?}, or where to look. */
  public static String didYouMean(String wrong, Map<String, OptionSpec> options, boolean asFlag) {
    Optional<String> near = Names.nearest(wrong, options.keySet());
    return near.map(n -> ": did you mean " + (asFlag ? "--" + n : Names.snake(n)) + "?")
        .orElse(": --help lists the known ones");
  }

  public static String firstLine(Exception e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
  }

  /** What every command line of ours has: overriding, and values in every spelling. */
  public static CommandLine configure(CommandLine command) {
    command.setOverwrittenOptionsAllowed(true);
    command.registerConverter(
        TrainConfig.Number.class, new Choices<>(TrainConfig.Number.class, Choices.NUMBERS));
    command.registerConverter(
        TrainConfig.Scheduler.class,
        new Choices<>(TrainConfig.Scheduler.class, Choices.SCHEDULERS));
    command.registerConverter(
        TrainConfig.Order.class, new Choices<>(TrainConfig.Order.class, Map.of()));
    command.registerConverter(VectorNorm.class, new Choices<>(VectorNorm.class, Choices.NORMS));
    command.registerConverter(Decay.class, new Choices<>(Decay.class, Map.of()));
    return command;
  }
}
