package dev.javelin.train.data;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * A text a row, in its frame, cut to T tokens and padded behind its end, with the number of its
 * class.
 *
 * <p>Safe for several threads at once.
 */
public final class LabelledRows implements Rows {
  /** Ids, I32 [B, T]. */
  public static final String TOKENS = BatchLayout.TOKENS;

  /** How many of each row are no padding, I32 [B]. */
  public static final String LENGTHS = "lengths";

  /** Where each row's last such token stands among all B·T, I32 [B]. */
  public static final String LAST = "last";

  /** The class of each row, I32 [B]. */
  public static final String LABELS = "labels";

  private final LabelledTexts texts;
  private final TextFrame frame;
  private final int seqLen;
  private final int[] labels;
  private final BatchLayout layout;
  private final List<String> notes = new ArrayList<>();

  /**
   * @param longest tokens that a row may have; rows are no longer than the longest text
   * @param vocab of the model
   * @param labelIndex the number of a class by its label; negative for one that is not known
   * @throws InputException where the frame fills a row, or a label is not known
   */
  public LabelledRows(
      LabelledTexts texts,
      TextFrame frame,
      int longest,
      int vocab,
      ToIntFunction<String> labelIndex) {
    this.texts = texts;
    this.frame = frame;
    if (longest <= frame.length()) {
      throw new InputException(
          "--seq-len %d leaves no room for text: the tokenizer adds %d tokens"
              .formatted(longest, frame.length()));
    }
    int most = 0;
    int cut = 0;
    this.labels = new int[texts.examples().size()];
    for (int i = 0; i < labels.length; i++) {
      LabelledTexts.Example e = texts.examples().get(i);
      labels[i] = labelIndex.applyAsInt(e.label());
      if (labels[i] < 0) {
        throw new InputException(
            "%s has the label %s, which the model does not know: correct it, or train with it"
                .formatted(e.source(), e.label()));
      }
      int length = e.ids().length + frame.length();
      most = Math.max(most, length);
      cut += length > longest ? 1 : 0;
      for (int id : e.ids()) {
        if (id < 0 || id >= vocab) {
          throw Ids.outside(e.source(), 0, id, vocab);
        }
      }
    }
    this.seqLen = Math.min(longest, most);
    if (cut > 0) {
      notes.add(
          "%s: %d of %d texts are longer than --seq-len %d: cut at the end"
              .formatted(texts.name(), cut, labels.length, longest));
    }
    this.layout =
        BatchLayout.of(
            BatchLayout.Field.ints(TOKENS, seqLen),
            BatchLayout.Field.ints(LENGTHS),
            BatchLayout.Field.ints(LAST),
            BatchLayout.Field.ints(LABELS).blank(BatchLayout.IGNORED));
  }

  @Override
  public BatchLayout layout() {
    return layout;
  }

  @Override
  public long count() {
    return labels.length;
  }

  /** T. */
  public int seqLen() {
    return seqLen;
  }

  /** The number of a row's class. */
  public int label(int row) {
    return labels[row];
  }

  @Override
  public long targets(long row) {
    return 1;
  }

  @Override
  public long tokens(long row) {
    return Math.min(seqLen, texts.examples().get((int) row).ids().length + frame.length());
  }

  @Override
  public long padding(long row) {
    return seqLen - tokens(row);
  }

  @Override
  public List<String> notes() {
    return List.copyOf(notes);
  }

  @Override
  public String origin(long row) {
    return texts.examples().get(Math.toIntExact(row)).source();
  }

  @Override
  public void read(long row, Fields into, int at) {
    int[] ids = texts.examples().get((int) row).ids();
    int length = (int) tokens(row);
    int[] before = frame.before();
    int[] behind = frame.behind();
    int body = length - frame.length();
    MemorySegment tokens = into.row(TOKENS, at);
    tokens.fill((byte) 0);
    MemorySegment.copy(before, 0, tokens, JAVA_INT, 0, before.length);
    MemorySegment.copy(ids, 0, tokens, JAVA_INT, 4L * before.length, body);
    MemorySegment.copy(behind, 0, tokens, JAVA_INT, 4L * (before.length + body), behind.length);
    into.row(LENGTHS, at).set(JAVA_INT, 0, length);
    into.row(LAST, at).set(JAVA_INT, 0, at * seqLen + length - 1);
    into.row(LABELS, at).set(JAVA_INT, 0, labels[(int) row]);
  }
}
