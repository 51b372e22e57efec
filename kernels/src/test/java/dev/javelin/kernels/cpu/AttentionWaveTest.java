package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class AttentionWaveTest {
  private static final int HEADS = 3;
  private static final int SPANS = 20;
  private static final int BLOCKS = 13;

  @Test
  void eachBlockMeetsTheSpansInTheirOrder() {
    // No lock: it is the wave that lets one thread at a time at a block.
    List<List<Integer>> order = new ArrayList<>();
    IntStream.range(0, HEADS * BLOCKS).forEach(i -> order.add(new ArrayList<>()));
    AttentionWave wave = new AttentionWave(HEADS, SPANS);
    try (Cpu cpu = Cpu.open(4)) {
      cpu.parallel(
          HEADS * SPANS,
          1,
          (from, to) -> {
            for (int i = from; i < to; i++) {
              int piece = wave.take();
              int span = piece / HEADS;
              int end = span % 4 == 0 ? BLOCKS : BLOCKS - span % 7; // some see fewer blocks
              for (int block = span % 5; block < end; block++) {
                wave.await(piece, block);
                order.get(piece % HEADS * BLOCKS + block).add(span);
                wave.leave(piece, block);
              }
              wave.finish(piece);
            }
          });
    }
    for (int i = 0; i < order.size(); i++) {
      int block = i % BLOCKS;
      List<Integer> want =
          IntStream.range(0, SPANS)
              .filter(s -> block >= s % 5 && block < (s % 4 == 0 ? BLOCKS : BLOCKS - s % 7))
              .boxed()
              .toList();
      assertThat(order.get(i)).as("block %d", i).isEqualTo(want);
    }
  }

  @Test
  void aSpanThatFailsIsNotWaitedFor() {
    AttentionWave wave = new AttentionWave(1, SPANS);
    try (Cpu cpu = Cpu.open(4)) {
      assertThatThrownBy(
              () ->
                  cpu.parallel(
                      SPANS,
                      1,
                      (from, to) -> {
                        int span = wave.take();
                        if (span == 0) {
                          wave.fail();
                          throw new IllegalArgumentException("no memory");
                        }
                        wave.await(span, 0);
                      }))
          .isInstanceOf(RuntimeException.class);
    }
  }
}
