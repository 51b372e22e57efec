package dev.javelin.train.optim;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.train.data.InputException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** The rules by their names. */
public final class Optimizers {
  private static final Map<String, Rule> RULES =
      new TreeMap<>(
          Map.of(
              "adafactor", (p, c) -> new Adafactor(p, AdafactorConfig.of(c)),
              "adamw", (p, c) -> new AdamW(p, AdamWConfig.of(c)),
              "adamw8bit", (p, c) -> new AdamW8bit(p, AdamWConfig.of(c)),
              "muon", (p, c) -> new Muon(p, MuonConfig.of(c))));

  private Optimizers() {}

  /** Makes an optimizer of parameters and constants, which it takes by name. */
  private interface Rule {
    Optimizer on(ParameterBuffer<?> parameters, Map<String, Float> constants);
  }

  /** All names, sorted. */
  public static Set<String> names() {
    return RULES.keySet();
  }

  /**
   * A new optimizer, to be closed by the caller.
   *
   * @param constants by name; a rule has defaults for those that are missing, and leaves those of
   *     other rules alone
   * @throws InputException where there is no such rule
   * @throws IllegalArgumentException where a constant is out of its range
   */
  public static Optimizer create(
      String name, ParameterBuffer<?> parameters, Map<String, Float> constants) {
    Rule rule = RULES.get(name);
    if (rule == null) {
      throw new InputException(
          "--optimizer must be one of " + String.join(", ", names()) + ", got " + name);
    }
    return rule.on(parameters, constants);
  }
}
