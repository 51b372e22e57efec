package dev.javelin.train.tokenizer;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * Takes a text apart for {@link Tokenizer#encode(String, BitSet, int...)}: what stands between
 * added tokens is encoded as ever; a place inside it is found by encoding what stands before the
 * place too, and looking how far the ids agree.
 */
final class MixedText implements AddedTokens.Pieces {
  /** More places in one stretch are not looked for but cut at, so that time stays linear. */
  private static final int MOST_IN_A_PIECE = 64;

  /** Encodes text between added tokens. */
  interface Plain {
    /**
     * @param start where it begins in the whole text
     */
    void encode(String piece, int start, IntConsumer out);
  }

  private final Plain plain;
  private final int[] places;
  private final int[] before;
  private final int[] upTo;
  private final IntStream.Builder ids = IntStream.builder();
  private int count;
  private int next;

  /**
   * @param places ascending
   */
  MixedText(Plain plain, int... places) {
    this.plain = plain;
    this.places = places;
    this.before = new int[places.length];
    this.upTo = new int[places.length];
  }

  /** Special tokens count where they hold no character of {@code data}. */
  static AddedTokens.Special outside(BitSet data) {
    return (start, end) -> {
      int first = data.nextSetBit(start);
      return first < 0 || first >= end;
    };
  }

  @Override
  public void text(String piece, int start) {
    passed(start);
    int end = start + piece.length();
    int inside = next;
    while (inside < places.length && places[inside] < end) {
      inside++;
    }
    if (inside - next > MOST_IN_A_PIECE) {
      int from = 0;
      for (; next < inside; next++) {
        int to = places[next] - start;
        add(encoded(piece.substring(from, to), start + from));
        before[next] = count;
        upTo[next] = count;
        from = to;
      }
      add(encoded(piece.substring(from), start + from));
      return;
    }
    int[] whole = encoded(piece, start);
    for (; next < inside; next++) {
      int[] part = encoded(piece.substring(0, places[next] - start), start);
      int same = Arrays.mismatch(whole, part);
      int agree = same < 0 ? whole.length : same;
      before[next] = count + agree;
      upTo[next] = count + (agree == part.length ? agree : agree + 1);
    }
    add(whole);
  }

  private int[] encoded(String piece, int start) {
    IntStream.Builder out = IntStream.builder();
    if (!piece.isEmpty()) {
      plain.encode(piece, start, out);
    }
    return out.build().toArray();
  }

  private void add(int... more) {
    for (int id : more) {
      ids.add(id);
    }
    count += more.length;
  }

  @Override
  public void token(int id, int start, int end) {
    passed(start);
    ids.add(id);
    for (; next < places.length && places[next] < end; next++) {
      before[next] = count;
      upTo[next] = count + 1;
    }
    count++;
  }

  /** The places up to {@code position} lie between what was and what comes. */
  private void passed(int position) {
    for (; next < places.length && places[next] <= position; next++) {
      before[next] = count;
      upTo[next] = count;
    }
  }

  Encoded finish() {
    passed(Integer.MAX_VALUE);
    return new Encoded(ids.build().toArray(), before, upTo);
  }
}
