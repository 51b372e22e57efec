package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.train.tokenizer.BpeTrainer;
import dev.javelin.train.tokenizer.CharTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EncodingTest {
  private static List<TextDocument> documents(int count) {
    Random random = new Random(5);
    List<TextDocument> documents = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = random.nextInt(60); n > 0; n--) {
        text.append("the cat sat on a mat ".charAt(random.nextInt(21)));
      }
      documents.add(new TextDocument("document " + i, text.toString()));
    }
    return documents;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7})
  void idsAreThoseOfOneThread(int threads) throws Exception {
    Tokenizer tokenizer =
        BpeTrainer.train(Stream.of("the cat sat on the mat"), 265, List.of("<s>"));
    List<TextDocument> documents = documents(700);
    Separator separator = Separator.of(tokenizer);
    List<Integer> expected = new ArrayList<>();
    for (TextDocument d : documents) {
      d.encode(tokenizer, expected::add);
      separator.end(d.text(), tokenizer, expected::add);
    }
    List<Integer> found = new ArrayList<>();
    try (ForkJoinPool pool = new ForkJoinPool(threads)) {
      pool.submit(() -> new Encoding(tokenizer, separator, found::add).all(documents.iterator()))
          .get();
    }
    assertThat(found).isEqualTo(expected);
  }

  @Test
  void theFirstErrorIsTheOneInOrder() {
    Tokenizer tokenizer = CharTokenizer.of(Stream.of("the cat sat on a mat "));
    List<TextDocument> documents = documents(300);
    documents.set(20, new TextDocument("number 20", "x"));
    documents.set(40, new TextDocument("number 40", "y"));
    int before = documents.subList(0, 20).stream().mapToInt(d -> d.text().length()).sum();
    List<Integer> found = new ArrayList<>();
    Iterator<TextDocument> failing =
        IntStream.range(0, 60)
            .mapToObj(
                i -> {
                  if (i == 50) {
                    throw new InputException("line 50 cannot be read");
                  }
                  return documents.get(i);
                })
            .iterator();
    assertThatThrownBy(() -> new Encoding(tokenizer, null, found::add).all(failing))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("number 20");
    assertThat(found).hasSize(before);
  }
}
