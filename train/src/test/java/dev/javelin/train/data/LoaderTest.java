package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.tensor.Shape;
import dev.javelin.train.data.BatchLayout.Field;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LoaderTest {
  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cpu.close();
  }

  private Batch batch(BatchSource source, int rows) {
    return Batch.on(cpu, source.layout(), rows);
  }

  private static int[] read(Batch batch, String field) {
    return batch.get(field).segment().toArray(ValueLayout.JAVA_INT);
  }

  private static TokenSource counting(int size) {
    return TokenSource.of("counting", IntStream.range(0, size).toArray());
  }

  @Test
  void windowsShareOneTokenAndALeftoverIsNotUsed() {
    assertThat(new Windows(counting(8), 7, 8).count()).isEqualTo(1);
    assertThat(new Windows(counting(14), 7, 14).count()).isEqualTo(1);
    assertThat(new Windows(counting(15), 7, 15).count()).isEqualTo(2);
  }

  /** Place p reads window p mod windows at [w·T, w·T+T], wherever the stream is cut. */
  @Test
  void sequentialBatchesFollowTheRule() {
    int seqLen = 5;
    int rows = 3;
    int size = 5 * 7 + 4;
    BatchSource source =
        BatchSource.endless(new Windows(counting(size), seqLen, size), Order.sequential());
    try (Batch batch = batch(source, rows)) {
      for (int place : new int[] {0, 1, 2, 3, 4, 6, 1000, 1}) {
        batch.load(fields -> source.fill(place, rows, fields));
        int[] got = read(batch, "tokens");
        int[] next = read(batch, "targets");
        for (int b = 0; b < rows; b++) {
          int window = (place + b) % 7;
          for (int t = 0; t < seqLen; t++) {
            assertThat(got[b * seqLen + t]).isEqualTo(window * seqLen + t);
            assertThat(next[b * seqLen + t]).isEqualTo(window * seqLen + t + 1);
          }
        }
      }
      assertThat(source.targets(0, 2 * rows)).isEqualTo(2 * 3 * 5);
      assertThat(source.size()).isEqualTo(Long.MAX_VALUE);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 7, 31, 33, 127, 1000, 1024, 1025})
  void everyEpochHasEveryWindowOnce(long windows) {
    Order order = Order.shuffled(42);
    for (int epoch = 0; epoch < 3; epoch++) {
      Set<Long> seen = new HashSet<>();
      for (long i = 0; i < windows; i++) {
        long w = order.row(epoch * windows + i, windows);
        assertThat(w).isBetween(0L, windows - 1);
        seen.add(w);
      }
      assertThat(seen).hasSize((int) windows);
    }
  }

  @Test
  void hugeNumbersOfWindowsNeedNoTable() {
    Order order = Order.shuffled(1);
    long windows = (1L << 40) + 12345;
    Set<Long> seen = new HashSet<>();
    for (long i = 0; i < 1000; i++) {
      seen.add(order.row(5 * windows + i, windows));
    }
    assertThat(seen).hasSize(1000).allMatch(w -> w >= 0 && w < windows);
  }

  /**
   * Where a window goes is uniform: over 2000 epochs, each of 10 windows should stand first 200
   * times with a standard deviation of √(2000·0.1·0.9) ≈ 13.4; five of them are allowed.
   */
  @Test
  void epochsAndSeedsAreShuffledAnew() {
    int windows = 10;
    int[] first = new int[windows];
    for (int epoch = 0; epoch < 2000; epoch++) {
      first[(int) Order.shuffled(3).row((long) epoch * windows, windows)]++;
    }
    assertThat(Arrays.stream(first).boxed()).allMatch(n -> Math.abs(n - 200) < 5 * 13.5);
    assertThat(order(1, 0, 100)).isNotEqualTo(order(2, 0, 100)).isNotEqualTo(order(1, 1, 100));
    assertThat(order(1, 0, 100)).isEqualTo(order(1, 0, 100));
  }

  /** Neighbours in the order are no neighbours in the text: as many rises as falls, about. */
  @Test
  void theOrderHasNoTrend() {
    long[] order = order(9, 0, 10_001);
    int rises = 0;
    for (int i = 0; i + 1 < order.length; i++) {
      rises += order[i + 1] > order[i] ? 1 : 0;
    }
    // Rises of a random permutation: mean n/2, variance (n+2)/12; five deviations are 145.
    assertThat(rises).isBetween(5000 - 145, 5000 + 145);
  }

  private static long[] order(long seed, int epoch, int windows) {
    Order order = Order.shuffled(seed);
    long[] all = new long[windows];
    Arrays.setAll(all, i -> order.row((long) epoch * windows + i, windows));
    return all;
  }

  @Test
  void evaluationReadsAllWindowsAndIgnoresTheRest() {
    BatchSource source = BatchSource.once(new Windows(counting(20), 3, 20));
    assertThat(source.size()).isEqualTo(6);
    try (Batch batch = batch(source, 4)) {
      batch.load(fields -> source.fill(0, 4, fields));
      assertThat(source.targets(0, 4)).isEqualTo(12);
      assertThat(read(batch, "targets")).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
      batch.load(fields -> source.fill(4, 4, fields));
      assertThat(source.targets(4, 4)).isEqualTo(6);
      assertThat(read(batch, "tokens")).containsExactly(12, 13, 14, 15, 16, 17, 0, 0, 0, 0, 0, 0);
      assertThat(read(batch, "targets"))
          .containsExactly(13, 14, 15, 16, 17, 18, -100, -100, -100, -100, -100, -100);
      assertThat(source.targets(8, 4)).isZero();
    }
  }

  @Test
  void idsOutsideTheVocabularyAreNamedWithTheirPlace() {
    TokenSource tokens = TokenSource.of("t.bin", 0, 1, 2, 3, -1, 5, 6);
    assertThatThrownBy(() -> new Windows(tokens, 2, 3))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("t.bin: token 3 at position 3 is outside the vocabulary of 3");
    assertThatThrownBy(() -> new Windows(tokens, 2, 4))
        .hasMessageContaining("token 4294967295 at position 4");
  }

  @Test
  void idsThatTurnUpLaterAreNamedWhenTheyAreRead() {
    TokenSource tokens = lookedThroughLater(TokenSource.of("t.bin", 0, 1, 2, 3, -1, 5, 6));
    BatchSource source = BatchSource.endless(new Windows(tokens, 2, 3), Order.sequential());
    try (Batch batch = batch(source, 1)) {
      batch.load(fields -> source.fill(0, 1, fields));
      assertThatThrownBy(() -> batch.load(fields -> source.fill(1, 1, fields)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("t.bin: token 3 at position 3 is outside the vocabulary of 3");
      assertThatThrownBy(() -> batch.load(fields -> source.fill(2, 1, fields)))
          .hasMessageContaining("token 4294967295 at position 4");
    }
  }

  /** As a large file is. */
  private static TokenSource lookedThroughLater(TokenSource source) {
    return new TokenSource() {
      @Override
      public String name() {
        return source.name();
      }

      @Override
      public long size() {
        return source.size();
      }

      @Override
      public void read(long from, int[] into, int count) {
        source.read(from, into, count);
      }

      @Override
      public void requireBelow(int vocabSize) {}

      @Override
      public void close() {}
    };
  }

  @Test
  void tooFewTokensForAWindowAreRefused() {
    assertThatThrownBy(() -> new Windows(counting(1), 8, 10))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "counting holds 1 token, a window of length 8 needs 9: give more data or a smaller"
                + " --seq-len");
    assertThatThrownBy(() -> new Windows(counting(8), 8, 10)).hasMessageContaining("8 tokens");
  }

  /** Fields of every type and shape lie apart, and a row of each is a stretch of memory. */
  @Test
  void aBatchHasTheFieldsOfItsLayout() {
    BatchLayout layout =
        BatchLayout.of(
            Field.ints("ids", 3).blank(-1),
            Field.ints("length"),
            Field.floats("weights", 2, 2).blank(5));
    try (Batch batch = Batch.on(cpu, layout, 2)) {
      batch.load(
          fields -> {
            fields.row("ids", 0).copyFrom(MemorySegment.ofArray(new int[] {7, 8, 9}));
            fields.row("length", 0).set(ValueLayout.JAVA_INT, 0, 3);
            fields.row("weights", 0).copyFrom(MemorySegment.ofArray(new float[] {1, 2, 3, 4}));
            fields.blank(1);
          });
      assertThat(batch.get("ids").shape()).isEqualTo(Shape.of(2, 3));
      assertThat(batch.get("length").shape()).isEqualTo(Shape.of(2));
      assertThat(batch.get("weights").shape()).isEqualTo(Shape.of(2, 2, 2));
      assertThat(read(batch, "ids")).containsExactly(7, 8, 9, -1, -1, -1);
      assertThat(read(batch, "length")).containsExactly(3, 0);
      assertThat(batch.get("weights").segment().toArray(ValueLayout.JAVA_FLOAT))
          .containsExactly(1, 2, 3, 4, 5, 5, 5, 5);
      assertThatThrownBy(() -> batch.get("labels"))
          .hasMessage("a batch has no field labels, it has ids, length, weights");
    }
    assertThatThrownBy(() -> BatchLayout.of(Field.ints("a"), Field.floats("a")))
        .hasMessageContaining("two fields of a batch are called a");
  }
}
