package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenSourceTest {
  /** Questions and answers, of which the answers are learned: 1 2 | 3, and 4 | 5 6. */
  private static final class Answers implements TokenSource {
    private static final int[] IDS = {1, 2, 3, 4, 5, 6};
    private static final boolean[] LEARNED = {false, false, true, false, true, true};

    @Override
    public String name() {
      return "answers";
    }

    @Override
    public long size() {
      return IDS.length;
    }

    @Override
    public void read(long from, int[] into, int count) {
      System.arraycopy(IDS, (int) from, into, 0, count);
    }

    @Override
    public void readLearned(long from, boolean[] into, int count) {
      System.arraycopy(LEARNED, (int) from, into, 0, count);
    }

    @Override
    public boolean allLearned() {
      return false;
    }

    @Override
    public long examples() {
      return 2;
    }

    @Override
    public long exampleStart(long example) {
      return example * 3;
    }

    @Override
    public void close() {}
  }

  @Test
  void runningTextIsOneExampleThatIsLearnedWhole() {
    TokenSource text = TokenSource.of("text", 7, 8);
    boolean[] learned = new boolean[2];
    text.readLearned(0, learned, 2);
    assertThat(learned).containsExactly(true, true);
    assertThat(text.allLearned()).isTrue();
    assertThat(text.examples()).isEqualTo(1);
    assertThat(text.exampleStart(0)).isEqualTo(0);
    assertThat(text.exampleStart(1)).isEqualTo(2);
    assertThat(text.exampleName(0)).isEqualTo("text");
    assertThatThrownBy(() -> text.exampleStart(2)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void aSourceOfAUsersOwnSaysWhatIsLearned() {
    TokenSource part = new Answers().part("tail", 2, 6);
    boolean[] learned = new boolean[3];
    part.readLearned(1, learned, 3);
    assertThat(learned).containsExactly(false, true, true);
    assertThat(part.allLearned()).isFalse();
    assertThat(new Answers().exampleName(1)).isEqualTo("answers example 1");
    assertThatThrownBy(() -> part.readLearned(2, learned, 3))
        .isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> part.requireBelow(6))
        .hasMessageContaining("answers: token 6 at position 5 is outside the vocabulary of 6");
  }

  /** Windows of two: 1 2 3, then 3 4 5; the first learns 3, the second 5. */
  @Test
  void whatIsNotLearnedIsIgnoredInWindows() {
    Windows windows = new Windows(new Answers(), 2, 10);
    assertThat(windows.count()).isEqualTo(2);
    assertThat(windows.targets(0)).isEqualTo(1);
    assertThat(windows.targets(1)).isEqualTo(1);
    BatchSource source = BatchSource.once(windows);
    try (Device cpu = Cpu.open(1);
        Batch batch = Batch.on(cpu, windows.layout(), 2)) {
      batch.load(fields -> source.fill(0, 2, fields));
      assertThat(batch.get(BatchLayout.TOKENS).segment().toArray(ValueLayout.JAVA_INT))
          .containsExactly(1, 2, 3, 4);
      assertThat(batch.get(BatchLayout.TARGETS).segment().toArray(ValueLayout.JAVA_INT))
          .containsExactly(-100, 3, -100, 5);
    }
  }

  /** Ids of two bytes, and of four from the first that needs them. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 65_535, 65_536, 65_537, 131_072, 200_000})
  void idsInMemoryAreWhatWasPutThere(int wideFrom) {
    int[] ids = new int[200_001];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = i >= wideFrom ? -1 - i : i & 0xFFFF;
    }
    TokenSource source = TokenSource.of("x", ids);
    assertThat(source.size()).isEqualTo(ids.length);
    int[] all = new int[ids.length];
    source.read(0, all, all.length);
    assertThat(all).isEqualTo(ids);
    int[] some = new int[10];
    source.read(65_530, some, 10);
    assertThat(some).isEqualTo(Arrays.copyOfRange(ids, 65_530, 65_540));
    assertThatThrownBy(() -> source.read(199_995, some, 10))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
