package dev.javelin.train.optim;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Trained;
import dev.javelin.train.data.InputException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** The rules by their names. */
public final class Optimizers {
  private static final Map<String, Rule> RULES = new TreeMap<>();

  static {
    add("adafactor", 1e-3, 0.1f, (t, c) -> new Adafactor(t, AdafactorConfig.of(c)));
    add("adagrad", 1e-2, 0, (t, c) -> new AdaGrad(t, AdaGradConfig.of(c)));
    add("adam", 1e-3, 0, (t, c) -> new Adam(t, AdamConfig.of(c)));
    add("adamw", 1e-3, 0.1f, (t, c) -> new AdamW(t, AdamWConfig.of(c)));
    add("adamw8bit", 1e-3, 0.1f, (t, c) -> new AdamW8bit(t, AdamWConfig.of(c)));
    add("lamb", 5e-3, 0.01f, (t, c) -> new Lamb(t, LambConfig.of(c)));
    add("lion", 2e-4, 0.5f, (t, c) -> new Lion(t, LionConfig.of(c)));
    add("muon", 1e-3, 0.1f, (t, c) -> new Muon(t, MuonConfig.of(c)));
    add("rmsprop", 1e-3, 0, (t, c) -> new RmsProp(t, RmsPropConfig.of(c)));
    add("sgd", 0.1, 0, (t, c) -> new Sgd(t, SgdConfig.of(c)));
    add("sophia", 5e-4, 0.2f, (t, c) -> new Sophia(t, SophiaConfig.of(c)));
  }

  private Optimizers() {}

  /** Makes an optimizer of parameters and constants, which it takes by name. */
  private interface Maker {
    Optimizer on(Trained trained, Map<String, Float> constants);
  }

  /**
   * A rule, with what a run has where it says nothing else.
   *
   * @param learningRate the largest of the schedule
   * @param weightDecay of matrices
   */
  private record Rule(Maker maker, double learningRate, float weightDecay) {}

  private static void add(String name, double learningRate, float weightDecay, Maker maker) {
    RULES.put(name, new Rule(maker, learningRate, weightDecay));
  }

  /** All names, sorted. */
  public static Set<String> names() {
    return RULES.keySet();
  }

  /** The learning rate of a run that gives none. */
  public static double learningRate(String name) {
    return rule(name).learningRate;
  }

  /** The weight decay of a run that gives none; a part of the gradient for some rules. */
  public static float weightDecay(String name) {
    return rule(name).weightDecay;
  }

  /**
   * A new optimizer of all trainable parameters, to be closed by the caller.
   *
   * @param constants by name; a rule has defaults for those that are missing, and leaves those of
   *     other rules alone
   * @throws InputException where there is no such rule
   * @throws IllegalArgumentException where a constant is out of its range
   */
  public static Optimizer create(
      String name, ParameterBuffer<?> parameters, Map<String, Float> constants) {
    return create(name, parameters.trained(), constants);
  }

  /** The same for some of them. */
  public static Optimizer create(String name, Trained trained, Map<String, Float> constants) {
    return rule(name).maker.on(trained, constants);
  }

  private static Rule rule(String name) {
    Rule rule = RULES.get(name);
    if (rule == null) {
      throw new InputException(
          "--optimizer must be one of " + String.join(", ", names()) + ", got " + name);
    }
    return rule;
  }
}
