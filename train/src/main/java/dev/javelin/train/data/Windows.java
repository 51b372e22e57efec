package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The windows of a token sequence: window w reads tokens [w·T, w·T+T], T+1 of them, as T inputs and
 * T next-token targets; neighbours share one token. A rest that fills no window is not used.
 * Targets that the sequence does not call learned are {@link BatchLayout#IGNORED}.
 *
 * <p>Safe for several threads at once.
 */
public final class Windows implements Rows {
  private final TokenSource source;
  private final int seqLen;
  private final int vocabSize;
  private final BatchLayout layout;
  private final ThreadLocal<int[]> ids;

  /**
   * @param seqLen T
   * @param vocabSize of the model; a larger id is refused where it is found
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
    this.layout = BatchLayout.text(seqLen);
    this.ids = ThreadLocal.withInitial(() -> new int[seqLen + 1]);
    source.requireBelow(vocabSize);
  }

  @Override
  public BatchLayout layout() {
    return layout;
  }

  /** How many whole windows there are: ⌊(tokens − 1) / T⌋. */
  @Override
  public long count() {
    return (source.size() - 1) / seqLen;
  }

  @Override
  public long targets(long row) {
    if (source.allLearned()) {
      return seqLen;
    }
    int count = 0;
    for (boolean one : learned(row)) {
      count += one ? 1 : 0;
    }
    return count;
  }

  @Override
  public String origin(long row) {
    return "tokens %d to %d of %s".formatted(row * seqLen, (row + 1) * seqLen, source.name());
  }

  @Override
  public void read(long row, Fields into, int at) {
    int[] window = ids.get();
    source.read(row * seqLen, window, seqLen + 1);
    for (int i = 0; i <= seqLen; i++) {
      if (window[i] < 0 || window[i] >= vocabSize) {
        throw Ids.outside(source.name(), row * seqLen + i, window[i], vocabSize);
      }
    }
    boolean[] learned = source.allLearned() ? null : learned(row);
    MemorySegment.copy(window, 0, into.row(TOKENS, at), ValueLayout.JAVA_INT, 0, seqLen);
    for (int i = 0; learned != null && i < seqLen; i++) {
      window[i + 1] = learned[i] ? window[i + 1] : IGNORED;
    }
    MemorySegment.copy(window, 1, into.row(TARGETS, at), ValueLayout.JAVA_INT, 0, seqLen);
  }

  /** Which of the window's targets are to be learned: those of the ids one further on. */
  private boolean[] learned(long row) {
    boolean[] learned = new boolean[seqLen];
    source.readLearned(row * seqLen + 1, learned, seqLen);
    return learned;
  }
}
