package dev.javelin.nn;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Turn;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import org.jspecify.annotations.Nullable;

/**
 * A decoder that classifies: of the hidden state behind a text's last token {@code score·x}, as
 * {@code LlamaForSequenceClassification} and its like.
 *
 * @param decoder one whose head is the token embedding, so that it has none of its own
 * @param score [K, C], without bias
 */
public record DecoderClassifier(Transformer decoder, Linear score, Labels labels)
    implements SequenceClassifier, NamedInFiles {

  static DecoderClassifier declare(TransformerConfig config, Labels labels, Declare d) {
    return new DecoderClassifier(
        Transformer.declare(headless(config), d),
        Linear.declare(d, labels.count(), config.hidden(), false),
        labels);
  }

  private static TransformerConfig headless(TransformerConfig config) {
    return config.with(b -> b.tied(true));
  }

  /** The same model, its parameters shared, with activations recomputed in the backward pass. */
  public DecoderClassifier withRecompute(Recomputation what) {
    return new DecoderClassifier(decoder.withRecompute(what), score, labels);
  }

  @Override
  public NameTable fileNames() {
    return names(decoder.config(), labels);
  }

  /** Those of the family, its head passed over, and the score's. */
  static NameTable names(TransformerConfig config, Labels labels) {
    return config
        .family()
        .names(headless(config))
        .headless("decoder.")
        .with("score.weight", "score.weight", labels.count());
  }

  @Override
  public Var classLogits(
      Tape tape, Tensor ids, Tensor lengths, Tensor last, @Nullable StepState training) {
    Pass pass = training == null ? Pass.PLAIN : Pass.training(training);
    try (Turn _ = ids.device().turn()) {
      Var hidden = decoder.hidden(tape, ids, pass); // padding stands behind all that is read
      return score.forward(Algebra.rows(hidden, last), pass);
    }
  }

  @Override
  public void prepare(int seqLen) {
    decoder.prepare(seqLen);
  }
}
