package dev.javelin.train.guard;

import java.util.List;

/**
 * What a {@link Guard} calls a spike, and what it does about it.
 *
 * @param policies in the order in which they are tried while an episode lasts
 * @param window W, steps that are learned from
 * @param threshold z from which on a step is a spike
 * @param floor of MAD, as a part of the median
 * @param warmup steps that it only learns from at first, and after it has learned anew
 * @param calm steps without a spike that end an episode
 * @param shrink α, what gradients of embedding and first layers are multiplied by at a spike
 * @param epsilon what ε is multiplied by at a spike
 * @param recovery steps over which both come back to 1
 * @param rollbacks how often it goes back before it gives up
 */
public record GuardConfig(
    List<Policy> policies,
    int window,
    double threshold,
    double floor,
    int warmup,
    int calm,
    double shrink,
    double epsilon,
    int recovery,
    int rollbacks) {
  public GuardConfig {
    policies = List.copyOf(policies);
    if (policies.isEmpty()) {
      throw new IllegalArgumentException("a guard must have a policy");
    }
  }

  /** The policy of the n-th spike of an episode, from 1 on. */
  Policy.Kind policy(int spike) {
    int left = spike;
    for (Policy p : policies) {
      left -= p.steps();
      if (left <= 0) {
        return p.kind();
      }
    }
    return policies.getLast().kind();
  }
}
