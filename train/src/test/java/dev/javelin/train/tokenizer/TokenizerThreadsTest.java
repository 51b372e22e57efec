package dev.javelin.train.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class TokenizerThreadsTest {
  private static String text(Random random) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 300; i++) {
      text.append("theancqu ,.'<|end|>\u00e9\u4f60".charAt(random.nextInt(21)));
    }
    return text.toString();
  }

  @Test
  void threadsThatShareATokenizerGetWhatOneAloneGets()
      throws InterruptedException, ExecutionException {
    Random random = new Random(5);
    List<String> texts = Stream.generate(() -> text(random)).limit(200).toList();
    List<Tokenizer> shared = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      shared.add(BpeTrainer.train(texts.stream(), 400, List.of("<|end|>")));
    }
    List<int[]> alone = texts.stream().map(shared.getFirst()::encodePrompt).toList();
    Tokenizer fresh = shared.getLast(); // its cache fills while the threads run
    try (var threads = Executors.newFixedThreadPool(8)) {
      List<Future<?>> all = new ArrayList<>();
      for (int t = 0; t < 8; t++) {
        int first = 25 * t;
        all.add(
            threads.submit(
                () -> {
                  for (int i = 0; i < texts.size(); i++) {
                    int at = (first + i) % texts.size();
                    int[] ids = fresh.encodePrompt(texts.get(at));
                    assertThat(ids).isEqualTo(alone.get(at));
                    assertThat(fresh.decode(ids)).isEqualTo(texts.get(at));
                  }
                }));
      }
      for (Future<?> one : all) {
        one.get();
      }
    }
  }
}
