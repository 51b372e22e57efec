package dev.javelin.train.hook;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Ends a run before its last step. It is asked after every step, and before the first step of a run
 * that goes on, with no loss and no evaluation.
 */
public interface StopRule extends Stateful {
  /** Why the run ends here, in one line; {@code null} where it goes on. */
  @Nullable String reason(Progress now);

  /** The reason of the first of some rules that has one; each is asked. */
  static @Nullable String first(List<StopRule> rules, Progress now) {
    String first = null;
    for (StopRule rule : rules) {
      String reason = rule.reason(now);
      first = first == null ? reason : first;
    }
    return first;
  }
}
