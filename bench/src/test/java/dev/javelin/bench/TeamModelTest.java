package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.bench.TeamModel.Loop;
import dev.javelin.bench.TeamModel.Machine;
import dev.javelin.bench.TeamModel.Placement;
import dev.javelin.device.Cpu;
import dev.javelin.device.LoopTrace;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class TeamModelTest {
  private static final double INFINITE = Double.POSITIVE_INFINITY;
  private static final Machine IDEAL =
      new Machine(2, 64, INFINITE, INFINITE, 0, Placement.SPREAD, 0, 0, 1);

  private static Machine with(Placement placement, double nodeGbs, double linkGbs) {
    return new Machine(2, 4, nodeGbs, linkGbs, 0, placement, 0, 0, 1);
  }

  private static Loop even(int pieces, double each, double serial, double bytes) {
    double[] nanos = new double[pieces];
    Arrays.fill(nanos, each);
    return new Loop("op", serial, nanos, bytes);
  }

  @Test
  void oneThreadTakesTheSum() {
    Machine costly = new Machine(2, 64, INFINITE, 1, 0, Placement.SPREAD, 70, 300, 3);
    List<Loop> step =
        List.of(even(7, 100, 40, 1e9), new Loop("op", 5, new double[] {3, 9, 27}, 1e9));
    assertThat(TeamModel.step(step, 1, costly).nanos()).isCloseTo(700 + 40 + 39 + 5, within(1e-9));
  }

  @Test
  void whereNothingCostsAnythingItIsAmdahlsLaw() {
    List<Loop> step = List.of(even(128, 10, 100, 1e9), even(256, 5, 28, 1e9));
    double all = 128 * 10 + 256 * 5 + 128;
    double serial = 128 / all;
    for (int threads : new int[] {1, 2, 4, 8, 16, 32, 64, 128}) {
      double speedUp = all / TeamModel.step(step, threads, IDEAL).nanos();
      assertThat(speedUp).isCloseTo(1 / (serial + (1 - serial) / threads), within(1e-9));
    }
  }

  @Test
  void aLoopOfFewPiecesHasNoUseForMoreThreads() {
    Loop four = even(4, 100, 0, 0);
    TeamModel.Time time = TeamModel.loop(four, 64, IDEAL);
    assertThat(time.nanos()).isCloseTo(100, within(1e-9));
    assertThat(time.pieces()).isCloseTo(100 - 400.0 / 64, within(1e-9));
    assertThat(TeamModel.loop(even(5, 100, 0, 0), 4, IDEAL).nanos()).isCloseTo(200, within(1e-9));
  }

  @Test
  void claimsFollowOneAnother() {
    // Pieces of 1 ns behind claims of 50: a second thread hardly helps, a hundredth not at all.
    double[] pieces = new double[100];
    Arrays.fill(pieces, 1);
    double two = TeamModel.makespan(pieces, 2, 50, 0);
    double hundred = TeamModel.makespan(pieces, 100, 50, 0);
    assertThat(two).isGreaterThanOrEqualTo(100 * 50);
    assertThat(hundred).isGreaterThanOrEqualTo(100 * 50).isLessThanOrEqualTo(two);
  }

  @Test
  void aMessageStandsAtBothEnds() {
    double[] pieces = {100, 100};
    // The helper begins 10 ns late, and the caller hears of it 10 ns after its end.
    assertThat(TeamModel.makespan(pieces, 2, 0, 10)).isCloseTo(120, within(1e-9));
  }

  @Test
  void noTeamIsFasterThanMemory() {
    Loop copy = even(8, 1000, 0, 4000);
    assertThat(TeamModel.loop(copy, 4, with(Placement.LOCAL, 1, INFINITE)).nanos())
        .isCloseTo(4000, within(1e-9));
    assertThat(TeamModel.loop(copy, 8, with(Placement.LOCAL, 1, INFINITE)).nanos())
        .isCloseTo(2000, within(1e-9));
    assertThat(TeamModel.loop(copy, 8, with(Placement.ONE_NODE, 1, INFINITE)).nanos())
        .isCloseTo(4000, within(1e-9));
    // Half of what is spread over two nodes goes over the link.
    assertThat(TeamModel.loop(copy, 8, with(Placement.SPREAD, 1, 0.5)).nanos())
        .isCloseTo(4000, within(1e-9));
  }

  @Test
  void whatFitsTheCacheDoesNotWaitForMemory() {
    Machine cached = new Machine(1, 8, 1, INFINITE, 4000, Placement.LOCAL, 0, 0, 1);
    assertThat(TeamModel.loop(even(8, 10, 0, 4000), 8, cached).nanos()).isEqualTo(10);
    assertThat(TeamModel.loop(even(8, 10, 0, 4001), 8, cached).nanos()).isEqualTo(4001);
  }

  @Test
  void aTraceSeesThePiecesOfALoop() {
    try (Cpu cpu = Cpu.open(1)) {
      int[] seen = new int[10];
      try (LoopTrace trace = new LoopTrace(cpu)) {
        cpu.parallel(10, 3, (from, to) -> Arrays.fill(seen, from, to, 1));
        cpu.parallel(0, 3, (from, to) -> Arrays.fill(seen, 2));
        assertThat(trace.label("fill")).hasSize(2);
        cpu.parallel(1, 3, (from, to) -> {});
        assertThat(trace.label("nothing")).hasSize(1);
        assertThat(trace.loops().stream().map(LoopTrace.Loop::label))
            .containsExactly("fill", "fill", "nothing");
        assertThat(trace.loops().stream().map(l -> l.pieceNanos().length)).containsExactly(4, 0, 1);
        assertThat(trace.loops().getFirst().nanos()).isPositive();
      }
      assertThat(seen).containsOnly(1);
    }
  }
}
