package dev.javelin.train.data;

import dev.javelin.device.DType;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The windows of a token sequence: window w reads tokens [w·T, w·T+T], T+1 of them, as T inputs and
 * T next-token targets; neighbours share one token. A rest that fills no window is not used.
 *
 * <p>Not for several threads at once: it holds one row.
 */
public final class Windows {
  private final TokenSource source;
  private final int seqLen;
  private final int vocabSize;
  private final int[] row;

  /**
   * @param vocabSize of the model; a larger id is refused where it is met
   * @throws InputException where the tokens do not fill one window
   */
  public Windows(TokenSource source, int seqLen, int vocabSize) {
    if (source.size() < seqLen + 1L) {
      throw new InputException(
          source.name()
              + " holds "
              + source.size()
              + (source.size() == 1 ? " token" : " tokens")
              + ", a window of length "
              + seqLen
              + " needs "
              + (seqLen + 1L)
              + ": give more data or a smaller --seq-len");
    }
    this.source = source;
    this.seqLen = seqLen;
    this.vocabSize = vocabSize;
    this.row = new int[seqLen + 1];
  }

  /** How many whole windows there are: ⌊(tokens − 1) / T⌋. */
  public long count() {
    return (source.size() - 1) / seqLen;
  }

  /** T. */
  public int seqLen() {
    return seqLen;
  }

  /** Checks that a pair of tensors can take {@code [batch, T]} ids. */
  void check(Tensor tokens, Tensor targets, int batch) {
    Check.that("tokens")
        .shape("tokens", tokens, Shape.of(batch, seqLen))
        .shape("targets", targets, Shape.of(batch, seqLen))
        .dtype("tokens", tokens, DType.I32)
        .dtype("targets", targets, DType.I32)
        .contiguous("tokens", tokens)
        .contiguous("targets", targets);
  }

  /** Writes window {@code w} into row {@code r} of tokens and targets. */
  void read(long w, MemorySegment tokens, MemorySegment targets, int r) {
    source.read(w * seqLen, row, seqLen + 1);
    for (int i = 0; i <= seqLen; i++) {
      if (row[i] < 0 || row[i] >= vocabSize) {
        throw outside(w * seqLen + i, row[i]);
      }
    }
    long offset = 4L * r * seqLen;
    MemorySegment.copy(row, 0, tokens, ValueLayout.JAVA_INT, offset, seqLen);
    MemorySegment.copy(row, 1, targets, ValueLayout.JAVA_INT, offset, seqLen);
  }

  private InputException outside(long position, int id) {
    return new InputException(
        source.name()
            + ": token "
            + Integer.toUnsignedString(id)
            + " at position "
            + position
            + " is outside the vocabulary of "
            + vocabSize
            + ": prepare the data with the model's tokenizer");
  }
}
