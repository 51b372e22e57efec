package dev.javelin.train.optim;

import dev.javelin.nn.Grouping;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.train.data.InputException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Learning rate, weight decay, freeze and rule of each parameter: those of the run, changed by
 * {@link ParameterGroup}s in their order, of which later ones win.
 *
 * @param rule of parameters that no group gives another
 * @param weightDecay of the run; {@code null} for what each rule has
 * @param decayAll whether vectors decay too, where no group says so
 */
public record ParameterGroups(
    String rule, @Nullable Float weightDecay, boolean decayAll, List<ParameterGroup> groups)
    implements Grouping {
  private static final int SHOWN = 3; // names in a message

  public ParameterGroups {
    groups = List.copyOf(groups);
  }

  /** What the groups make of a parameter. */
  private record Values(String rule, float lr, float decay, boolean frozen) {}

  private Values values(Collection<String> names, Shape shape) {
    String own = rule;
    float lr = 1;
    Float decay = null;
    boolean frozen = false;
    for (ParameterGroup group : groups) {
      if (names.stream().anyMatch(group::matches)) {
        own = group.optimizer() == null ? own : group.optimizer();
        lr = group.lr() == null ? lr : group.lr();
        decay = group.decay() == null ? decay : group.decay();
        frozen = group.freeze();
      }
    }
    float standard = weightDecay == null ? Optimizers.weightDecay(own) : weightDecay;
    boolean decays = decayAll || shape.rank() >= 2;
    return new Values(own, lr, decay != null ? decay : decays ? standard : 0, frozen);
  }

  @Override
  public Group of(String name, Shape shape) {
    return group(values(List.of(name), shape));
  }

  private Group group(Values v) {
    String name = v.frozen ? "frozen" : v.decay > 0 ? "decay" : "no-decay";
    return v.frozen
        ? new Group(name, 0, 0, true)
        : new Group(v.rule.equals(rule) ? name : name + " by " + v.rule, v.lr, v.decay, false);
  }

  /**
   * The same for a model with names in files.
   *
   * @throws InputException where a group matches no parameter, or a part of one
   */
  @Override
  public Grouping in(NameTable table) {
    for (ParameterGroup group : groups) {
      requireWhole(group, table);
    }
    return (name, shape) -> group(values(table.namesOf(name), shape));
  }

  private static void requireWhole(ParameterGroup group, NameTable table) {
    Set<String> found = new TreeSet<>();
    table
        .places()
        .forEach(
            (name, place) -> {
              if (group.matches(name)) {
                found.add(place.parameter());
              }
            });
    if (found.isEmpty()) {
      throw new InputException(
          "--group %s matches no parameter; %s"
              .formatted(group.pattern(), near(group.pattern(), table.places().keySet())));
    }
    for (String parameter : found) {
      List<String> names = table.namesOf(parameter);
      List<String> others = names.stream().filter(n -> !group.matches(n)).toList();
      if (!others.isEmpty()) {
        throw new InputException(
            "--group %s matches %s without %s, which are updated together with it: match all of them"
                .formatted(
                    group.pattern(),
                    names.stream().filter(group::matches).findFirst().orElseThrow(),
                    String.join(" and ", others)));
      }
    }
  }

  /** The names with the most in common with a pattern. */
  private static String near(String pattern, Collection<String> names) {
    String wanted = pattern.replaceAll("[*?]", "");
    List<String> nearest =
        names.stream()
            .sorted(Comparator.comparingInt(name -> -common(wanted, name)))
            .limit(SHOWN)
            .toList();
    return "names are such as " + String.join(", ", nearest);
  }

  /** Length of the longest run of characters that two texts share. */
  private static int common(String a, String b) {
    int best = 0;
    int[] before = new int[b.length() + 1];
    for (int i = 1; i <= a.length(); i++) {
      int[] now = new int[b.length() + 1];
      for (int j = 1; j <= b.length(); j++) {
        now[j] = a.charAt(i - 1) == b.charAt(j - 1) ? before[j - 1] + 1 : 0;
        best = Math.max(best, now[j]);
      }
      before = now;
    }
    return best;
  }

  /**
   * The rule of each parameter, as one; to be closed by the caller.
   *
   * @param constants as {@link Optimizers#create} takes them
   */
  public Optimizer create(ParameterBuffer<?> parameters, Map<String, Float> constants) {
    NameTable table = NameTable.of(parameters);
    SequencedMap<String, Set<Parameter>> byRule = new LinkedHashMap<>();
    for (Parameter p : parameters.named().values()) {
      if (!p.group().frozen()) {
        byRule
            .computeIfAbsent(
                values(table.namesOf(p.name()), p.shape()).rule, r -> new LinkedHashSet<>())
            .add(p);
      }
    }
    List<Optimizer> rules = new ArrayList<>();
    try {
      byRule.forEach(
          (name, some) ->
              rules.add(Optimizers.create(name, parameters.trained(some::contains), constants)));
    } catch (RuntimeException | OutOfMemoryError e) {
      rules.forEach(Optimizer::close);
      throw e;
    }
    return rules.size() == 1 ? rules.getFirst() : new Together(rules);
  }

  /** A line for each group: its pattern, how many parameters, its values. */
  public List<String> describe(ParameterBuffer<?> parameters) {
    NameTable table = NameTable.of(parameters);
    List<String> lines = new ArrayList<>();
    for (ParameterGroup group : groups) {
      List<Parameter> some =
          parameters.named().values().stream()
              .filter(p -> table.namesOf(p.name()).stream().anyMatch(group::matches))
              .toList();
      lines.add(
          String.format(
              Locale.ROOT,
              "group %s: %d tensor%s with %,d parameters: %s",
              group.pattern(),
              some.size(),
              some.size() == 1 ? "" : "s",
              some.stream().mapToLong(p -> p.shape().elements()).sum(),
              group.values()));
    }
    return lines;
  }
}
