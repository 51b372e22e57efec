package dev.javelin.train.hook;

import dev.javelin.train.eval.Evaluation;
import org.jspecify.annotations.Nullable;

/**
 * Where a run stands after a step.
 *
 * @param step steps done
 * @param tokens target tokens seen, those before a resume included
 * @param seconds since this process began the run, evaluations and checkpoints included
 * @param loss of the step; NaN where the host did not look at it
 * @param evaluation made after this step; {@code null} where there was none
 */
public record Progress(
    long step, long tokens, double seconds, double loss, @Nullable Evaluation evaluation) {}
