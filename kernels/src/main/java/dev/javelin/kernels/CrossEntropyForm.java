package dev.javelin.kernels;

/**
 * The form of a cross-entropy.
 *
 * @param ignoreIndex rows with this target have loss and gradient 0
 * @param labelSmoothing share of the target's weight that goes to all classes evenly
 * @param zLoss factor of lse²; 0 for none
 * @param softCap logits become {@code softCap·tanh(logits/softCap)} first; 0 for no cap
 */
public record CrossEntropyForm(int ignoreIndex, float labelSmoothing, float zLoss, float softCap) {}
