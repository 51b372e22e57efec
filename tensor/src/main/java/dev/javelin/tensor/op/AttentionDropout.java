package dev.javelin.tensor.op;

import dev.javelin.tensor.step.StepState;

/**
 * Random zeros among the weights of attention, after the softmax: {@code w = softmax(s) · m / (1 −
 * p)} with each element of m 0 with probability p, else 1. The mask is a pure function of (seed,
 * step, index of the sequence in the step's batch, site, head, query, key), the last two as they
 * are counted in q and k, so none is kept, and it is the same on each device, in a recomputed
 * block, in a replayed micro-batch and on another split of the batch.
 *
 * @param p in [0, 1)
 * @param site a number of the model's own for each of its dropouts
 * @param state holds seed, step and the batch's first sequence
 * @see <a href="https://arxiv.org/abs/1706.03762">Vaswani et al. 2017</a>
 */
public record AttentionDropout(float p, int site, StepState state) {
  public AttentionDropout {
    if (!(p >= 0 && p < 1)) {
      throw new IllegalArgumentException("p must lie in [0, 1), got " + p);
    }
  }
}
