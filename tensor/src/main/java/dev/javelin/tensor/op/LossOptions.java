package dev.javelin.tensor.op;

import dev.javelin.kernels.CrossEntropyForm;

/**
 * The form of a cross-entropy.
 *
 * @param ignoreIndex rows with this target have loss and gradient 0
 * @param labelSmoothing share of the target's weight that goes to all classes evenly, in [0, 1)
 * @param zLoss factor of lse², which keeps the logits from drifting; 0 for none
 * @param softCap logits become {@code softCap·tanh(logits/softCap)} first; 0 for no cap
 */
public record LossOptions(int ignoreIndex, float labelSmoothing, float zLoss, float softCap) {
  /** PyTorch's mark for a position without a target. */
  public static final int IGNORED = -100;

  public static final LossOptions PLAIN = new LossOptions(IGNORED, 0, 0, 0);

  public LossOptions {
    if (!(labelSmoothing >= 0 && labelSmoothing < 1 && zLoss >= 0 && softCap >= 0)) {
      throw new IllegalArgumentException(
          "cross-entropy: labelSmoothing must lie in [0, 1), zLoss and softCap must not be negative,"
              + " got "
              + labelSmoothing
              + ", "
              + zLoss
              + ", "
              + softCap);
    }
  }

  public LossOptions withLabelSmoothing(float share) {
    return new LossOptions(ignoreIndex, share, zLoss, softCap);
  }

  public LossOptions withZLoss(float factor) {
    return new LossOptions(ignoreIndex, labelSmoothing, factor, softCap);
  }

  public LossOptions withSoftCap(float cap) {
    return new LossOptions(ignoreIndex, labelSmoothing, zLoss, cap);
  }

  CrossEntropyForm form() {
    return new CrossEntropyForm(ignoreIndex, labelSmoothing, zLoss, softCap);
  }
}
