package dev.javelin.train.hook;

import org.jspecify.annotations.Nullable;

/** Ends a run before its last step. It is asked after every step. */
public interface StopRule extends Stateful {
  /** Why the run ends here, in one line; {@code null} where it goes on. */
  @Nullable String reason(Progress now);
}
