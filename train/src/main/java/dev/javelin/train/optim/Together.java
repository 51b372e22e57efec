package dev.javelin.train.optim;

import dev.javelin.tensor.step.StepState;
import java.util.List;

/** Several rules as one, each with parameters of its own. */
record Together(List<Optimizer> rules) implements Optimizer {
  Together {
    rules = List.copyOf(rules);
  }

  @Override
  public void step(StepState state) {
    for (Optimizer rule : rules) {
      rule.step(state);
    }
  }

  @Override
  public List<FlatState> state() {
    return rules.stream().flatMap(rule -> rule.state().stream()).toList();
  }

  @Override
  public void close() {
    rules.forEach(Optimizer::close);
  }
}
