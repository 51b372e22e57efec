package dev.javelin.train.inference;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Turn;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PassesTest {
  private static final TransformerConfig CONFIG = Llama.config(31, 2, 4, 2, 32, 48, 100);

  @ParameterizedTest
  @CsvSource({
    "8, 4, 1", // all together
    "9, 4, 2", // 36 tokens are more than fit a pass
    "3, 40, 3", // long texts go alone
  })
  void whatWaitsIsReadInAsFewPassesAsFit(int requests, int tokens, int passes) throws Exception {
    try (Fixture f = new Fixture()) {
      List<float[]> alone = new ArrayList<>();
      for (int i = 0; i < requests; i++) {
        alone.add(f.read(i, tokens));
      }
      long before = f.passes.count();
      List<Future<float[]>> together = new ArrayList<>();
      try (Turn _ = f.cpu.turn()) {
        for (int i = 0; i < requests; i++) {
          int seed = i;
          together.add(f.callers.submit(() -> f.read(seed, tokens)));
        }
        while (f.passes.waiting() < requests) {
          Thread.onSpinWait();
        }
      }
      for (int i = 0; i < requests; i++) {
        assertThat(together.get(i).get()).isEqualTo(alone.get(i));
      }
      assertThat(f.passes.count() - before).isEqualTo(passes);
    }
  }

  @Test
  void aRequestThatCannotBeReadFailsAlone() throws Exception {
    try (Fixture f = new Fixture()) {
      float[] alone = f.read(1, 5);
      Future<float[]> good;
      Future<float[]> bad;
      try (Turn _ = f.cpu.turn()) {
        good = f.callers.submit(() -> f.read(1, 5));
        bad = f.callers.submit(() -> f.read(2, 101));
        while (f.passes.waiting() < 1) {
          Thread.onSpinWait();
        }
      }
      assertThat(good.get()).isEqualTo(alone);
      assertThatThrownBy(bad::get)
          .isInstanceOf(ExecutionException.class)
          .hasMessageContaining("longer than the model's 100 positions");
    }
  }

  private static final class Fixture implements AutoCloseable {
    final Cpu cpu = Cpu.open(2);
    final ParameterBuffer<Transformer> parameters =
        Transformer.allocate(cpu, CONFIG, Precision.FP32, Grouping.frozen());
    final Passes passes = new Passes(parameters, parameters.model());
    final ExecutorService callers = Executors.newCachedThreadPool();

    Fixture() {
      Init.normal(parameters, 3);
    }

    float[] read(int seed, int tokens) {
      int[] ids = IntStream.range(0, tokens).map(i -> (7 * i + seed) % 31).toArray();
      try (KvCache cache = KvCache.open(cpu, CONFIG, DType.F32);
          Passes.Seat seat = passes.seat()) {
        return seat.next(ids, 31, cache);
      }
    }

    @Override
    public void close() {
      callers.close();
      passes.close();
      parameters.close();
      cpu.close();
    }
  }
}
