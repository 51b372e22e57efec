package dev.javelin.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Tensor;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.ranks.Communicator;
import dev.javelin.train.schedule.Schedule;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Ranks as threads, each with a model and a device of its own, that sum through shared memory. */
class RanksTest {
  private static final int STEPS = 5;

  /** What the threads share: a place for each one's part of a sum. */
  private record Room(float[][] parts, double[] numbers, CyclicBarrier barrier) {
    Room(int world) {
      this(new float[world][], new double[world], new CyclicBarrier(world));
    }
  }

  private record Thread(Room room, int rank) implements Communicator {
    @Override
    public int world() {
      return room.parts.length;
    }

    /** In the order of the ranks, so that all have the same bits. */
    @Override
    public void allReduce(Tensor tensor) {
      room.parts[rank] = tensor.segment().toArray(JAVA_FLOAT);
      barrier();
      float[] sum = room.parts[0].clone();
      for (int r = 1; r < world(); r++) {
        for (int i = 0; i < sum.length; i++) {
          sum[i] += room.parts[r][i];
        }
      }
      barrier();
      MemorySegment.copy(sum, 0, tensor.segment(), JAVA_FLOAT, 0, sum.length);
    }

    @Override
    public void reduceScatter(Tensor part, Tensor whole) {
      throw new UnsupportedOperationException("no rule is sharded here");
    }

    @Override
    public void allGather(Tensor whole, Tensor part) {
      throw new UnsupportedOperationException("no rule is sharded here");
    }

    @Override
    public double sum(double value) {
      room.numbers[rank] = value;
      barrier();
      double sum = 0;
      for (double n : room.numbers) {
        sum += n;
      }
      barrier();
      return sum;
    }

    @Override
    public void barrier() {
      try {
        room.barrier.await();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private record Trained(float[] weights, double loss) {}

  /** Dropout too: a mask belongs to a row of the step, whichever rank has it. */
  private static Trained train(int rows, int parts, Communicator ranks) throws Exception {
    TransformerConfig config =
        TinyModels.llama().withDropout(new TransformerConfig.Dropout(0.2, 0.2, 0.2));
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, config, Precision.FP32);
        Trainer trainer =
            Training.of(
                    model.parameters(),
                    new NextToken(model.transformer()),
                    BatchSource.endless(
                        new Windows(
                            TokenSource.of("pattern", TinyModels.ids(500)),
                            TinyModels.SEQ_LEN,
                            TinyModels.VOCAB),
                        Order.shuffled(3)))
                .batch(rows)
                .accumulate(parts)
                .ranks(ranks)
                .optimizer(p -> new AdamW(p, new AdamWConfig(0.9f, 0.95f, 1e-2f)))
                .schedule(new Schedule.Constant(1e-2, 0))
                .steps(STEPS)
                .trainer()) {
      double loss = trainer.run().loss();
      return new Trained(model.parameters().weights().segment().toArray(JAVA_FLOAT), loss);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void twoRanksTrainAsOneDoesOnBothTheirRows(int parts) throws Exception {
    Trained one = train(8 / parts, parts, Communicator.SELF);
    List<Trained> two = new ArrayList<>();
    Room room = new Room(2);
    try (ExecutorService executor = Executors.newFixedThreadPool(2)) {
      List<Future<Trained>> ranks = new ArrayList<>();
      for (int rank = 0; rank < 2; rank++) {
        Thread thread = new Thread(room, rank);
        ranks.add(executor.submit(() -> train(4 / parts, parts, thread)));
      }
      for (Future<Trained> rank : ranks) {
        two.add(rank.get());
      }
    }
    assertThat(two.get(1).weights).isEqualTo(two.get(0).weights);
    assertThat(two.get(1).loss).isEqualTo(two.get(0).loss).isCloseTo(one.loss, within(1e-6));
    for (int i = 0; i < one.weights.length; i++) {
      // As AccumulationTest: sums of a batch cut otherwise, blown up by a large eps at most.
      assertThat(two.get(0).weights[i]).isCloseTo(one.weights[i], within(4e-6f));
    }
  }

  @Test
  void theOnlyRankHasNothingToSay() {
    assertThat(Communicator.SELF.rank()).isZero();
    assertThat(Communicator.SELF.world()).isOne();
    assertThat(Communicator.SELF.sum(0.1)).isEqualTo(0.1);
  }
}
