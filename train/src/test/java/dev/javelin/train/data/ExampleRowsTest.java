package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Examples in rows: what each row holds, against a plain account of it. */
class ExampleRowsTest {
  private static final int IGNORED = BatchLayout.IGNORED;

  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cpu.close();
  }

  /** Ids and flags of an example. */
  private record Example(int[] ids, boolean[] learned) {
    /** {@code "1 2 3* 4*"}: those with a star are learned. */
    static Example of(String text) {
      String[] words = text.isEmpty() ? new String[0] : text.split(" ");
      int[] ids =
          Arrays.stream(words).mapToInt(w -> Integer.parseInt(w.replace("*", ""))).toArray();
      boolean[] learned = new boolean[ids.length];
      for (int i = 0; i < ids.length; i++) {
        learned[i] = words[i].endsWith("*");
      }
      return new Example(ids, learned);
    }
  }

  private static TokenSource source(List<Example> examples) {
    ExampleBuffer buffer = new ExampleBuffer();
    for (Example e : examples) {
      buffer.begin();
      for (int i = 0; i < e.ids.length; i++) {
        buffer.accept(e.ids[i], e.learned[i]);
      }
    }
    return buffer.finish("chats.jsonl", i -> "chats.jsonl line " + (i + 1));
  }

  private static TokenSource source(String... examples) {
    return source(Arrays.stream(examples).map(Example::of).toList());
  }

  /** All rows of a field. */
  private int[][] read(Rows rows, String field) {
    BatchSource once = BatchSource.once(rows);
    int count = Math.toIntExact(rows.count());
    try (Batch batch = Batch.on(cpu, rows.layout(), count)) {
      batch.load(fields -> IntStream.range(0, count).forEach(r -> trash(fields, r)));
      batch.load(fields -> once.fill(0, count, fields));
      int[] all = batch.get(field).segment().toArray(ValueLayout.JAVA_INT);
      int width = all.length / count;
      int[][] result = new int[count][];
      Arrays.setAll(result, r -> Arrays.copyOfRange(all, r * width, (r + 1) * width));
      return result;
    }
  }

  private static void trash(Fields fields, int row) {
    fields.layout().fields().forEach(f -> fields.row(f.name(), row).fill((byte) 0x7b));
  }

  @Test
  void aPackedRowIsWrittenOut() {
    Rows rows = new PackedExamples(source("1 2 3* 4*", "5 6*", "7* 8* 9*"), 6, 10);
    assertThat(rows.count()).isEqualTo(1);
    assertThat(read(rows, "tokens")[0]).containsExactly(1, 2, 3, 5, 7, 8);
    assertThat(read(rows, "targets")[0]).containsExactly(IGNORED, 3, 4, 6, 8, 9);
    assertThat(read(rows, "positions")[0]).containsExactly(0, 1, 2, 0, 0, 1);
    assertThat(read(rows, "document_starts")[0]).containsExactly(0, 0, 0, 3, 4, 4);
    assertThat(rows.targets(0)).isEqualTo(5);
    assertThat(rows.tokens(0)).isEqualTo(6);
    assertThat(rows.padding(0)).isZero();
    assertThat(rows.notes())
        .containsExactly("chats.jsonl: 3 examples packed into 1 sequences, 0.0 % padding");
  }

  @Test
  void whatFillsARowUpIsADocumentThatTeachesNothing() {
    Rows rows = new PackedExamples(source("1 2* 3*", "4 5*"), 5, 10);
    assertThat(read(rows, "tokens")[0]).containsExactly(1, 2, 4, 0, 0);
    assertThat(read(rows, "targets")[0]).containsExactly(2, 3, 5, IGNORED, IGNORED);
    assertThat(read(rows, "positions")[0]).containsExactly(0, 1, 0, 0, 1);
    assertThat(read(rows, "document_starts")[0]).containsExactly(0, 0, 2, 3, 3);
    assertThat(rows.padding(0)).isEqualTo(2);
    assertThat(rows.notes().getFirst()).endsWith("40.0 % padding");
  }

  @Test
  void paddedExamplesStandAlone() {
    Rows rows = new PaddedExamples(source("1 2 3* 4*", "5 6*"), 4, 10);
    assertThat(read(rows, "tokens")).isDeepEqualTo(new int[][] {{1, 2, 3, 0}, {5, 0, 0, 0}});
    assertThat(read(rows, "targets"))
        .isDeepEqualTo(new int[][] {{IGNORED, 3, 4, IGNORED}, {6, IGNORED, IGNORED, IGNORED}});
    assertThat(rows.padding(1)).isEqualTo(3);
    assertThat(rows.notes().getFirst()).contains("2 examples padded to 1, 2 … 4 tokens");
  }

  /** T of 20 comes in sevenths of 3 tokens; a batch is as wide as its longest example needs. */
  @Test
  void aBatchIsAsWideAsItsLongestExample() {
    List<Example> examples = new ArrayList<>();
    for (int inputs = 1; inputs <= 20; inputs++) {
      boolean[] learned = new boolean[inputs + 1];
      Arrays.fill(learned, true);
      examples.add(new Example(IntStream.rangeClosed(0, inputs).toArray(), learned));
    }
    Rows rows = new PaddedExamples(source(examples), 20, 50);
    assertThat(rows.layouts().stream().map(l -> (int) l.fields().getFirst().row().elements()))
        .containsExactly(3, 6, 9, 12, 15, 18, 20);
    BatchSource places = BatchSource.once(rows);
    try (Batches batches = Batches.on(cpu, places, 3)) {
      for (int place : new int[] {0, 1, 3, 4, 16, 18}) {
        int longest = Math.min(place + 3, 20);
        Batch batch = batches.all().get(batches.load(place));
        int width = batch.get("tokens").dim(1);
        assertThat(width).isBetween(longest, longest + 2);
        int[] targets = read(batch);
        for (int b = 0; b < 3; b++) {
          int inputs = place + b < 20 ? place + b + 1 : 0;
          for (int t = 0; t < width; t++) {
            assertThat(targets[b * width + t]).isEqualTo(t < inputs ? t + 1 : IGNORED);
          }
        }
        int there = Math.min(3, 20 - place);
        assertThat(places.tokens(place, 3) + places.padding(place, 3)).isEqualTo(there * width);
      }
    }
  }

  private static int[] read(Batch batch) {
    return batch.get("targets").segment().toArray(ValueLayout.JAVA_INT);
  }

  /** Every row once an epoch; neighbours alike; another seed, another order. */
  @ParameterizedTest
  @ValueSource(ints = {1, 7, 33, 1023, 1024, 1025, 2500})
  void groupsHaveRowsOfLikeLength(int rows) {
    int[] length = new Random(rows).ints(rows, 1, 100).toArray();
    Order order = Order.grouped(3, row -> length[(int) row]);
    Order other = Order.grouped(3, row -> length[(int) row]);
    for (int epoch = 2; epoch >= 0; epoch--) {
      boolean[] seen = new boolean[rows];
      for (int i = 0; i < rows; i++) {
        long place = (long) epoch * rows + i;
        int row = (int) order.row(place, rows);
        assertThat(seen[row]).isFalse();
        seen[row] = true;
        if (i % 1024 % 32 > 0) {
          assertThat(length[row]).isGreaterThanOrEqualTo(length[(int) order.row(place - 1, rows)]);
        }
        if (i % 97 == 0) { // whatever was asked before
          long jump = (place * 7919) % (3L * rows);
          assertThat(other.row(jump, rows)).isEqualTo(order.row(jump, rows));
        }
      }
    }
    Order seeded = Order.grouped(4, row -> length[(int) row]);
    boolean same =
        IntStream.range(0, rows).allMatch(i -> order.row(i, rows) == seeded.row(i, rows));
    assertThat(same).isEqualTo(rows < 32); // a single stretch
  }

  /** One that is too long, one that has its answer behind the cut, and three that teach nothing. */
  @Test
  void aCutLeavesSomethingToLearnOrSaysWhatItLeavesOut() {
    TokenSource source =
        source("1 2* 3 4 5*", "1 2 3 4 5 6 7* 8* 9", "1* 2 3", "", "1*", "1 2 3 4 5 6 7");
    Rows rows = new PaddedExamples(source, 3, 10);
    assertThat(read(rows, "tokens")).isDeepEqualTo(new int[][] {{1, 2, 3}, {5, 6, 7}});
    assertThat(read(rows, "targets"))
        .isDeepEqualTo(new int[][] {{2, IGNORED, IGNORED}, {IGNORED, 7, 8}});
    assertThat(rows.notes())
        .startsWith(
            "chats.jsonl: 2 of 6 examples are longer than --seq-len 3: cut at the end, 1 at the beginning, since all they have to learn stands behind",
            "chats.jsonl: 4 of 6 examples have nothing to learn and are left out, the first is chats.jsonl line 3");
    assertThatThrownBy(() -> new PackedExamples(source("1 2 3", "4*"), 3, 10))
        .isInstanceOf(InputException.class)
        .hasMessage(
            "chats.jsonl: none of 2 examples has a token to learn: give examples with answers, or learn prompts too");
  }

  @Test
  void anIdOutsideTheVocabularyIsNamed() {
    assertThatThrownBy(() -> new PackedExamples(source("1 2*", "3 11*"), 3, 10))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(
            "chats.jsonl: token 11 at position 3 is outside the vocabulary of 10");
  }

  @Test
  void examplesTakenFromOthersAreTheSame() {
    TokenSource some = source("1 2*", "3 4 5*", "6* 7*").exampleRange("part", 1, 3);
    assertThat(some.name()).isEqualTo("chats.jsonl (part)");
    assertThat(some.size()).isEqualTo(5);
    assertThat(some.isText()).isFalse();
    assertThat(some.exampleStart(1)).isEqualTo(3);
    assertThat(some.exampleStart(2)).isEqualTo(5);
    assertThat(some.exampleName(0)).isEqualTo("chats.jsonl line 2");
    int[][] all = read(new PaddedExamples(some, 2, 10), "targets");
    assertThat(all).isDeepEqualTo(new int[][] {{IGNORED, 5}, {7, IGNORED}});
    assertThatThrownBy(() -> some.read(4, new int[2], 2))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }

  /** Ids and flags beyond a block of either. */
  @Test
  void manyExamplesKeepTheirIdsAndFlags() {
    ExampleBuffer buffer = new ExampleBuffer();
    Random random = new Random(5);
    int size = (1 << 20) + 1234;
    for (int i = 0; i < size; i++) {
      if (i % 100 == 0) {
        buffer.begin();
      }
      buffer.accept(random.nextInt(70_000), random.nextBoolean());
    }
    TokenSource source = buffer.finish("x", i -> "x" + i);
    int[] ids = new int[size];
    boolean[] learned = new boolean[size];
    source.read(0, ids, size);
    source.readLearned(0, learned, size);
    Random again = new Random(5);
    for (int i = 0; i < size; i++) {
      assertThat(ids[i]).isEqualTo(again.nextInt(70_000));
      assertThat(learned[i]).isEqualTo(again.nextBoolean());
    }
    assertThat(source.examples()).isEqualTo((size + 99) / 100);
    assertThatThrownBy(() -> new ExampleBuffer().finish("none", i -> ""))
        .hasMessageContaining("none holds no example");
  }

  /**
   * Rows of random examples hold each of them once, whole, with the targets it has alone, in the
   * same rows whoever asks.
   */
  @ParameterizedTest
  @CsvSource({"1,1", "2,5", "7,31", "33,127", "127,1000"})
  void everyExampleIsPackedOnce(int seqLen, int count) {
    Random random = new Random(31L * seqLen + count);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int length = 2 + random.nextInt(seqLen);
      int[] ids = random.ints(length, 0, 50).toArray();
      boolean[] learned = new boolean[length];
      learned[1 + random.nextInt(length - 1)] = true;
      for (int t = 0; t < length; t++) {
        learned[t] |= random.nextBoolean();
      }
      examples.add(new Example(ids, learned));
    }
    Rows rows = new PackedExamples(source(examples), seqLen, 50);
    int[][] tokens = read(rows, "tokens");
    int[][] targets = read(rows, "targets");
    int[][] positions = read(rows, "positions");
    int[][] starts = read(rows, "document_starts");
    TreeMap<String, Integer> found = new TreeMap<>();
    for (int r = 0; r < tokens.length; r++) {
      int end = Math.toIntExact(rows.tokens(r));
      int counted = 0;
      for (int from = 0; from < end; ) {
        int to = from;
        while (to < end && starts[r][to] == from) {
          assertThat(positions[r][to]).isEqualTo(to - from);
          counted += targets[r][to] == IGNORED ? 0 : 1;
          to++;
        }
        assertThat(to).isGreaterThan(from);
        String key =
            Arrays.toString(Arrays.copyOfRange(tokens[r], from, to))
                + Arrays.toString(Arrays.copyOfRange(targets[r], from, to));
        found.merge(key, 1, Integer::sum);
        from = to;
      }
      assertThat(rows.targets(r)).isEqualTo(counted);
      assertThat(rows.padding(r)).isEqualTo(seqLen - end);
    }
    TreeMap<String, Integer> expected = new TreeMap<>();
    for (Example e : examples) {
      int n = e.ids.length - 1;
      int[] wanted = new int[n];
      Arrays.setAll(wanted, t -> e.learned[t + 1] ? e.ids[t + 1] : IGNORED);
      String key = Arrays.toString(Arrays.copyOf(e.ids, n)) + Arrays.toString(wanted);
      expected.merge(key, 1, Integer::sum);
    }
    assertThat(found).isEqualTo(expected);
    assertThat(read(new PackedExamples(source(examples), seqLen, 50), "tokens"))
        .isDeepEqualTo(tokens);
  }

  /**
   * Against a search through all open rows for the fullest with room; and no two rows would fit
   * into one.
   */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 33, 1000})
  void theFullestRowWithRoomIsTaken(int capacity) {
    Random random = new Random(capacity);
    int[] length = random.ints(300, 1, capacity + 1).toArray();
    BestFit packing = BestFit.of(length.length, i -> length[i], capacity);
    int[] filled = new int[packing.rows()];
    boolean[] seen = new boolean[length.length];
    int first = -1;
    for (int row = 0; row < packing.rows(); row++) {
      assertThat(packing.order()[packing.begin(row)]).isGreaterThan(first);
      first = packing.order()[packing.begin(row)];
      for (int k = packing.begin(row); k < packing.ends()[row]; k++) {
        filled[row] += length[packing.order()[k]];
        assertThat(seen[packing.order()[k]]).isFalse();
        seen[packing.order()[k]] = true;
      }
      assertThat(filled[row]).isLessThanOrEqualTo(capacity);
    }
    assertThat(seen).doesNotContain(false);
    Arrays.sort(filled);
    if (filled.length > 1) {
      assertThat(filled[0] + filled[1]).isGreaterThan(capacity);
    }
    assertThat(filled).isEqualTo(plainBestFit(length, capacity));
  }

  /** How full the rows are, in order. */
  private static int[] plainBestFit(int[] length, int capacity) {
    List<Integer> rows = new ArrayList<>();
    int[] sorted = length.clone();
    Arrays.sort(sorted);
    for (int i = sorted.length - 1; i >= 0; i--) {
      int best = -1;
      for (int r = 0; r < rows.size(); r++) {
        boolean fits = rows.get(r) + sorted[i] <= capacity;
        best = fits && (best < 0 || rows.get(r) > rows.get(best)) ? r : best;
      }
      if (best < 0) {
        rows.add(sorted[i]);
      } else {
        rows.set(best, rows.get(best) + sorted[i]);
      }
    }
    return rows.stream().mapToInt(r -> r).sorted().toArray();
  }
}
