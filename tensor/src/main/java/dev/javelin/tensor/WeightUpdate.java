package dev.javelin.tensor;

/**
 * How weights of a half type take an update that is smaller than their last place. Weights in fp32
 * take it as it is.
 */
public enum WeightUpdate {
  /** By fp32 masters beside them: exact, for four bytes a weight. */
  MASTERS,

  /**
   * Rounded up or down by chance, bf16 only: right in the mean of many steps, without masters.
   *
   * @see <a href="https://arxiv.org/abs/2010.06192">Zamirai et al. 2020, Revisiting bfloat16
   *     training</a>
   */
  STOCHASTIC,

  /** Rounded to nearest: updates below half a last place are lost. For comparison. */
  NEAREST
}
