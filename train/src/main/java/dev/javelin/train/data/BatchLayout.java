package dev.javelin.train.data;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The fields that the batches of a run have. A field is a tensor [B, …], a row of it for each row
 * of the batch: tokens and targets, lengths, labels, weights.
 */
public record BatchLayout(List<Field> fields) {
  /** Ids of the tokens, I32 [B, T], in batches of text. */
  public static final String TOKENS = "tokens";

  /** The id behind each token, I32 [B, T]; {@link #IGNORED} where there is none. */
  public static final String TARGETS = "targets";

  /** Where each token stands in its document, I32 [B, T], in batches of packed documents. */
  public static final String POSITIONS = "positions";

  /**
   * The place in its row where each token's document begins, I32 [B, T], in batches of packed
   * documents.
   */
  public static final String STARTS = "document_starts";

  /** The target that does not count. */
  public static final int IGNORED = -100;

  private static final long ALIGNMENT = 256;

  /**
   * A field.
   *
   * @param type I32 or F32
   * @param row shape of one row; [] for one number
   * @param blank what all elements of a row are that fills a batch up and does not count
   */
  public record Field(String name, DType type, Shape row, int blank) {
    public Field {
      if (type != DType.I32 && type != DType.F32) {
        throw new IllegalArgumentException("field " + name + " must be I32 or F32, not " + type);
      }
    }

    /** Whole numbers; 0 in blank rows. */
    public static Field ints(String name, int... row) {
      return new Field(name, DType.I32, Shape.of(row), 0);
    }

    /** Numbers; 0 in blank rows. */
    public static Field floats(String name, int... row) {
      return new Field(name, DType.F32, Shape.of(row), 0);
    }

    /** The same with another value in blank rows. */
    public Field blank(int value) {
      return new Field(name, type, row, value);
    }
  }

  public BatchLayout {
    fields = List.copyOf(fields);
    Set<String> names = new HashSet<>();
    for (Field f : fields) {
      if (!names.add(f.name)) {
        throw new IllegalArgumentException("two fields of a batch are called " + f.name);
      }
    }
  }

  public static BatchLayout of(Field... fields) {
    return new BatchLayout(List.of(fields));
  }

  /** Tokens and their targets. */
  public static BatchLayout text(int seqLen) {
    return of(Field.ints(TOKENS, seqLen), Field.ints(TARGETS, seqLen).blank(IGNORED));
  }

  /** Tokens and their targets, in documents of which each sees itself alone. */
  public static BatchLayout packed(int seqLen) {
    return of(
        Field.ints(TOKENS, seqLen),
        Field.ints(TARGETS, seqLen).blank(IGNORED),
        Field.ints(POSITIONS, seqLen),
        Field.ints(STARTS, seqLen));
  }

  /** Whether there is a field of that name. */
  public boolean has(String name) {
    return fields.stream().anyMatch(f -> f.name.equals(name));
  }

  /** Bytes of a batch of so many rows, every field aligned. */
  public long bytes(int rows) {
    return fields.stream().mapToLong(f -> bytes(f, rows)).sum();
  }

  /** Bytes that a field takes with what aligns the next. */
  static long bytes(Field f, int rows) {
    return Math.ceilDiv(f.type.bytes(rows * f.row.elements()), ALIGNMENT) * ALIGNMENT;
  }

  static Shape shape(Field f, int rows) {
    int[] dims = new int[f.row.rank() + 1];
    dims[0] = rows;
    System.arraycopy(f.row.toArray(), 0, dims, 1, f.row.rank());
    return Shape.of(dims);
  }
}
