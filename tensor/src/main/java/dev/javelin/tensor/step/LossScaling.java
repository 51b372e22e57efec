package dev.javelin.tensor.step;

/**
 * How the loss is scaled so that fp16 gradients neither vanish nor overflow. A step with a
 * non-finite gradient is skipped and the scale multiplied by {@code backoffFactor}, down to {@code
 * minScale}; after {@code growthInterval} finite steps in a row it is multiplied by {@code
 * growthFactor}.
 *
 * @param growthInterval 0 for a scale that never changes
 * @see <a href="https://arxiv.org/abs/1710.03740">Mixed precision training</a>
 */
public record LossScaling(
    float initialScale,
    float growthFactor,
    float backoffFactor,
    int growthInterval,
    float minScale) {

  /** No scaling, as fp32 and bf16 want it. */
  public static final LossScaling NONE = new LossScaling(1, 1, 1, 0, 1);

  /**
   * The usual scaling for fp16: from 65536, doubled after 2000 finite steps, halved on overflow.
   */
  public static final LossScaling DYNAMIC = new LossScaling(65536, 2, 0.5f, 2000, 1);

  public LossScaling {
    require(initialScale > 0 && Float.isFinite(initialScale), "initialScale", initialScale);
    require(growthFactor >= 1, "growthFactor", growthFactor);
    require(backoffFactor > 0 && backoffFactor <= 1, "backoffFactor", backoffFactor);
    require(growthInterval >= 0, "growthInterval", growthInterval);
    require(minScale > 0 && minScale <= initialScale, "minScale", minScale);
  }

  private static void require(boolean condition, String name, float value) {
    if (!condition) {
      throw new IllegalArgumentException("loss scaling: " + name + " out of range, got " + value);
    }
  }

  boolean isFixed() {
    return growthInterval == 0;
  }
}
