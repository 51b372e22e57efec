package dev.javelin.train.optim;

import dev.javelin.nn.ParameterBuffer;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiFunction;

/** The rules by their names. */
public final class Optimizers {
  private static final Map<String, BiFunction<ParameterBuffer<?>, Constants, Optimizer>> RULES =
      new TreeMap<>(
          Map.of(
              "adamw",
              (p, c) ->
                  new AdamW(
                      p,
                      new AdamWConfig(
                          c.get("beta1", 0.9f), c.get("beta2", 0.95f), c.get("eps", 1e-8f)))));

  private Optimizers() {}

  /** All names, sorted. */
  public static Set<String> names() {
    return RULES.keySet();
  }

  /**
   * A new optimizer, to be closed by the caller.
   *
   * @param constants of the rule, by name; those left out have its defaults
   * @throws IllegalArgumentException where there is no such rule, or it has no such constant
   */
  public static Optimizer create(
      String name, ParameterBuffer<?> parameters, Map<String, Float> constants) {
    var rule = RULES.get(name);
    if (rule == null) {
      throw new IllegalArgumentException(
          "optimizer must be one of " + String.join(", ", names()) + ", got " + name);
    }
    Constants given = new Constants(constants);
    Optimizer optimizer = rule.apply(parameters, given);
    try {
      given.requireAllRead(name);
      return optimizer;
    } catch (RuntimeException e) {
      optimizer.close();
      throw e;
    }
  }

  /** Constants as given, and which of them a rule has asked for. */
  private static final class Constants {
    private final Map<String, Float> given;
    private final Set<String> known = new TreeSet<>();

    Constants(Map<String, Float> given) {
      this.given = given;
    }

    float get(String name, float otherwise) {
      known.add(name);
      return given.getOrDefault(name, otherwise);
    }

    void requireAllRead(String rule) {
      for (String name : new TreeSet<>(given.keySet())) {
        if (!known.contains(name)) {
          throw new IllegalArgumentException(
              rule + " has no constant " + name + ", it has " + String.join(", ", known));
        }
      }
    }
  }
}
