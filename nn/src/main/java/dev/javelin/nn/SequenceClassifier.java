package dev.javelin.nn;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/** A model that tells of a whole text which class it belongs to. */
public interface SequenceClassifier {

  /** K classes. */
  Labels labels();

  /**
   * The logits of the classes.
   *
   * @param ids I32 [B, T], padded on the right
   * @param lengths I32 [B], how many of each row are no padding
   * @param last I32 [B], where each row's last such token stands among all B·T
   * @param training where dropout finds its key; {@code null} for a run without dropout
   * @return [B, K], of the weights' element type
   */
  Var classLogits(Tape tape, Tensor ids, Tensor lengths, Tensor last, @Nullable StepState training);

  /** What a pass over rows of {@code seqLen} tokens reads besides parameters is computed. */
  default void prepare(int seqLen) {}
}
