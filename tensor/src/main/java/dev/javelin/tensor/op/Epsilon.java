package dev.javelin.tensor.op;

import dev.javelin.kernels.EpsilonPlacement;

/**
 * Adam's ε: where it stands, and how it moves with the applied steps {@code t}: geometrically from
 * its start to its end,
 *
 * <pre>
 * ε(t) = start · (end/start)^min(1, (t-1)/steps)
 * </pre>
 *
 * A large ε at first damps elements whose second moment is not known yet; a small one later leaves
 * Adam to itself.
 *
 * @param start of the first step; may be 0 where it is constant, and safe to be only where it is
 *     {@link EpsilonPlacement#ZERO_SAFE}
 * @param end of all steps after {@code steps}
 * @param steps 0 for a constant, {@code start}
 */
public record Epsilon(EpsilonPlacement placement, float start, float end, int steps) {
  public Epsilon {
    boolean none = start == 0 && steps == 0;
    require(none || isPositive(start), "epsilon must be more than 0, got " + start);
    require(steps >= 0, "steps of epsilon must be 0 or more, got " + steps);
    require(steps == 0 || isPositive(end), "the last epsilon must be more than 0, got " + end);
  }

  /** A constant outside of the root. */
  public static Epsilon of(float epsilon) {
    return new Epsilon(EpsilonPlacement.OUTSIDE, epsilon, epsilon, 0);
  }

  /** That of a step. */
  public float at(int appliedSteps) {
    double part = steps == 0 ? 0 : Math.min(1, (appliedSteps - 1) / (double) steps);
    return part == 0 ? start : (float) (start * StrictMath.pow((double) end / start, part));
  }

  private static boolean isPositive(float x) {
    return x > 0 && x < Float.POSITIVE_INFINITY;
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }
}
