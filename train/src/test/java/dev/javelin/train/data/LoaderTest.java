package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
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

  private Tensor ids(int batch, int seqLen) {
    return Tensor.of(cpu.allocate(4L * batch * seqLen), 0, DType.I32, Shape.of(batch, seqLen));
  }

  private static int[] read(Tensor t) {
    return t.segment().toArray(ValueLayout.JAVA_INT);
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

  /** The rule of the design, spelled out: window ((s·A + a)·B + b) mod windows at [w·T, w·T+T]. */
  @Test
  void sequentialBatchesFollowTheRule() {
    int seqLen = 5;
    int batch = 3;
    int accumulation = 2;
    int size = 5 * 7 + 4;
    TokenLoader loader =
        new TokenLoader(
            new Windows(counting(size), seqLen, size),
            WindowOrder.sequential(),
            batch,
            accumulation);
    Tensor tokens = ids(batch, seqLen);
    Tensor targets = ids(batch, seqLen);
    for (int s : new int[] {0, 1, 2, 3, 1000, 1}) {
      for (int a = 0; a < accumulation; a++) {
        loader.fill(s, a, tokens, targets);
        int[] got = read(tokens);
        int[] next = read(targets);
        for (int b = 0; b < batch; b++) {
          int window = ((s * accumulation + a) * batch + b) % 7;
          for (int t = 0; t < seqLen; t++) {
            assertThat(got[b * seqLen + t]).isEqualTo(window * seqLen + t);
            assertThat(next[b * seqLen + t]).isEqualTo(window * seqLen + t + 1);
          }
        }
      }
    }
    assertThat(loader.validTargets(0)).isEqualTo(2 * 3 * 5);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 7, 31, 33, 127, 1000, 1024, 1025})
  void everyEpochHasEveryWindowOnce(long windows) {
    WindowOrder order = WindowOrder.shuffled(42);
    for (int epoch = 0; epoch < 3; epoch++) {
      Set<Long> seen = new HashSet<>();
      for (long i = 0; i < windows; i++) {
        long w = order.window(epoch * windows + i, windows);
        assertThat(w).isBetween(0L, windows - 1);
        seen.add(w);
      }
      assertThat(seen).hasSize((int) windows);
    }
  }

  @Test
  void hugeNumbersOfWindowsNeedNoTable() {
    WindowOrder order = WindowOrder.shuffled(1);
    long windows = (1L << 40) + 12345;
    Set<Long> seen = new HashSet<>();
    for (long i = 0; i < 1000; i++) {
      seen.add(order.window(5 * windows + i, windows));
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
      first[(int) WindowOrder.shuffled(3).window((long) epoch * windows, windows)]++;
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
    WindowOrder order = WindowOrder.shuffled(seed);
    long[] all = new long[windows];
    Arrays.setAll(all, i -> order.window((long) epoch * windows + i, windows));
    return all;
  }

  @Test
  void evaluationReadsAllWindowsAndIgnoresTheRest() {
    int seqLen = 3;
    int batch = 4;
    EvalLoader loader = new EvalLoader(new Windows(counting(20), seqLen, 20), batch);
    Tensor tokens = ids(batch, seqLen);
    Tensor targets = ids(batch, seqLen);
    assertThat(loader.batches()).isEqualTo(2);
    assertThat(loader.fill(0, tokens, targets)).isEqualTo(12);
    assertThat(read(targets)).containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    assertThat(loader.fill(1, tokens, targets)).isEqualTo(6);
    assertThat(read(tokens)).containsExactly(12, 13, 14, 15, 16, 17, 0, 0, 0, 0, 0, 0);
    assertThat(read(targets))
        .containsExactly(13, 14, 15, 16, 17, 18, -100, -100, -100, -100, -100, -100);
  }

  @Test
  void idsOutsideTheVocabularyAreNamedWithTheirPlace() {
    TokenSource source = TokenSource.of("t.bin", 0, 1, 2, 3, -1, 5, 6);
    TokenLoader loader = new TokenLoader(new Windows(source, 2, 3), WindowOrder.sequential(), 1, 1);
    Tensor tokens = ids(1, 2);
    Tensor targets = ids(1, 2);
    loader.fill(0, 0, tokens, targets);
    assertThatThrownBy(() -> loader.fill(1, 0, tokens, targets))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("t.bin: token 3 at position 3 is outside the vocabulary of 3");
    assertThatThrownBy(() -> loader.fill(2, 0, tokens, targets))
        .hasMessageContaining("token 4294967295 at position 4");
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

  @Test
  void tensorsOfTheWrongShapeAreRefused() {
    TokenLoader loader =
        new TokenLoader(new Windows(counting(20), 4, 20), WindowOrder.sequential(), 2, 1);
    assertThatThrownBy(() -> loader.fill(0, 0, ids(2, 4), ids(2, 3)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("targets must be [2, 4]");
  }
}
