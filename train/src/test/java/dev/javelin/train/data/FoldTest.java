package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Folds: each token or example is held out once, and the rest is the rest, wherever it is read. */
class FoldTest {

  private static List<Integer> all(TokenSource source) {
    int[] ids = new int[(int) source.size()];
    source.read(0, ids, ids.length);
    return IntStream.of(ids).boxed().toList();
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 7})
  void textIsCutIntoFoldsOnce(int of) {
    TokenSource text = TokenSource.of("text", IntStream.range(0, 100).toArray());
    List<Integer> held = new ArrayList<>();
    for (int k = 1; k <= of; k++) {
      Dataset fold = dataset(text).fold(new Fold(k, of), 8);
      List<Integer> out = all(Objects.requireNonNull(fold.validation()));
      held.addAll(out);
      List<Integer> rest = new ArrayList<>(all(text));
      rest.removeAll(out);
      assertThat(all(fold.train())).isEqualTo(rest);
      assertThat(fold.train().isText()).isTrue();
      // Any window of it, across the gap or not.
      for (int from = 0; from < rest.size(); from += 5) {
        for (int count = 0; count <= Math.min(40, rest.size() - from); count += 13) {
          int[] some = new int[count];
          fold.train().read(from, some, count);
          assertThat(IntStream.of(some).boxed().toList())
              .isEqualTo(rest.subList(from, from + count));
        }
      }
    }
    assertThat(held).isEqualTo(all(text));
  }

  private static Dataset dataset(TokenSource source) {
    return new Dataset(source, null, null, Separator.NEWLINE, List.of());
  }

  /** Examples of growing length; every other token is learned. */
  private static TokenSource examples(int count) {
    return new TokenSource() {
      @Override
      public String name() {
        return "examples";
      }

      @Override
      public long size() {
        return exampleStart(count);
      }

      @Override
      public void read(long from, int[] into, int n) {
        for (int i = 0; i < n; i++) {
          into[i] = (int) from + i;
        }
      }

      @Override
      public void readLearned(long from, boolean[] into, int n) {
        for (int i = 0; i < n; i++) {
          into[i] = (from + i) % 2 == 0;
        }
      }

      @Override
      public boolean allLearned() {
        return false;
      }

      @Override
      public long examples() {
        return count;
      }

      @Override
      public long exampleStart(long example) {
        return example * (example + 1) / 2;
      }

      @Override
      public void close() {}
    };
  }

  @Test
  void examplesStayWholeAndKeepWhatIsLearned() {
    TokenSource whole = examples(10);
    Dataset fold = dataset(whole).fold(new Fold(2, 3), 8); // examples 3, 4, 5
    TokenSource held = Objects.requireNonNull(fold.validation());
    TokenSource rest = fold.train();
    assertThat(held.examples()).isEqualTo(3);
    assertThat(rest.examples()).isEqualTo(7);
    assertThat(rest.size() + held.size()).isEqualTo(whole.size());
    int[] of = {0, 1, 2, 6, 7, 8, 9};
    for (int e = 0; e < of.length; e++) {
      int length = (int) (rest.exampleStart(e + 1) - rest.exampleStart(e));
      int[] ids = new int[length];
      boolean[] learned = new boolean[length];
      rest.read(rest.exampleStart(e), ids, length);
      rest.readLearned(rest.exampleStart(e), learned, length);
      assertThat(length).isEqualTo(of[e] + 1);
      for (int i = 0; i < length; i++) {
        assertThat(ids[i]).isEqualTo((int) whole.exampleStart(of[e]) + i);
        assertThat(learned[i]).isEqualTo(ids[i] % 2 == 0);
      }
      assertThat(rest.exampleName(e)).isEqualTo(whole.exampleName(of[e]));
    }
    boolean[] across = new boolean[(int) rest.size()];
    rest.readLearned(0, across, across.length);
    for (int i = 0; i < across.length; i++) {
      int id = i < 6 ? i : i + 15;
      assertThat(across[i]).isEqualTo(id % 2 == 0);
    }
  }

  @Test
  void whatIsNoFoldIsNamed() {
    assertThat(Fold.parse(" 2 / 5 ")).isEqualTo(new Fold(2, 5)).hasToString("2/5");
    for (String bad : List.of("0/5", "6/5", "1/1", "1", "a/b", "1/0", "1/9999999")) {
      assertThatThrownBy(() -> Fold.parse(bad))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("K/N");
    }
    Dataset few = dataset(TokenSource.of("text", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
    assertThatThrownBy(() -> few.fold(new Fold(1, 2), 8))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("text has 10 tokens, too few for 2 folds");
  }
}
