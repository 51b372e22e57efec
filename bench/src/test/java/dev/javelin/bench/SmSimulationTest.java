package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.bench.SmSimulation.Await;
import dev.javelin.bench.SmSimulation.Counter;
import dev.javelin.bench.SmSimulation.Load;
import dev.javelin.bench.SmSimulation.Multiply;
import dev.javelin.bench.SmSimulation.Op;
import dev.javelin.bench.SmSimulation.Signal;
import dev.javelin.bench.SmSimulation.Use;
import dev.javelin.bench.SmSimulation.Work;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class SmSimulationTest {
  private static final double EXACT = 1e-6;

  private static double clocks(List<List<Op>> programs) {
    return SmSimulation.run(programs).clocks();
  }

  private static Work issue(double slots, double clocks) {
    return new Work(clocks, 0, slots, 0, 0, 0);
  }

  @Test
  void productsTakeTheirClocksAndTheDrain() {
    Counter done = new Counter();
    List<Op> program = List.of(new Multiply(4, 128, done), new Await(done, 1, 0));
    Use use = SmSimulation.run(List.of(program));
    assertThat(use.clocks()).isCloseTo(4 * 128 + SmMachine.WGMMA_DRAIN, within(EXACT));
    assertThat(use.tensor()).isCloseTo(4 * 128, within(EXACT));
  }

  /** Instruction by instruction: the first agent's last one is the last but one of all. */
  @Test
  void agentsTakeTurnsAtTheTensorCores() {
    Counter first = new Counter();
    Counter second = new Counter();
    List<Op> one = List.of(new Multiply(2, 100, first), new Await(first, 1, 0), Work.pause(1000));
    List<Op> other = List.of(new Multiply(2, 100, second), new Await(second, 1, 0));
    assertThat(clocks(List.of(one, other)))
        .isCloseTo(300 + SmMachine.WGMMA_DRAIN + 1000, within(EXACT));
  }

  @Test
  void anIssuedInstructionTakesAClockFromTheTensorCores() {
    Counter done = new Counter();
    List<Op> products = List.of(new Multiply(1, 1000, done), new Await(done, 1, 0));
    List<Op> softmax = List.of(issue(200, 400));
    assertThat(clocks(List.of(products, softmax)))
        .isCloseTo(1000 + 200 + SmMachine.WGMMA_DRAIN, within(EXACT));
  }

  @Test
  void workSharesAUnitThatIsAskedForTooMuch() {
    Work special = new Work(800, 0, 0, 800, 0, 0);
    assertThat(clocks(List.of(List.of(special), List.of(special)))).isCloseTo(1600, within(EXACT));
    Work half = new Work(800, 0, 0, 400, 0, 0);
    assertThat(clocks(List.of(List.of(half), List.of(half)))).isCloseTo(800, within(EXACT));
    assertThat(clocks(List.of(List.of(special), List.of(issue(800, 800)))))
        .isCloseTo(800, within(EXACT));
  }

  @Test
  void loadsFollowOneAnotherAndTheirLatenciesOverlap() {
    Counter filled = new Counter();
    List<Op> program = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      program.add(new Load(100, 700, filled));
    }
    program.add(new Await(filled, 3, 10));
    assertThat(clocks(List.of(program))).isCloseTo(3 * 100 + 700 + 10, within(EXACT));
  }

  /** With its operands in somebody's way, fewer of the public figures would be reproduced. */
  @Test
  void operandsOfProductsAreCountedAndInNobodysWay() {
    Counter done = new Counter();
    List<Op> products = List.of(new Multiply(2, 500, 300, 50, done), new Await(done, 1, 0));
    Work results = new Work(200, 0, 0, 0, 200, 0);
    Use use = SmSimulation.run(List.of(List.of(results), products));
    assertThat(use.clocks()).isCloseTo(1000 + SmMachine.WGMMA_DRAIN, within(EXACT));
    assertThat(use.shared()).isCloseTo(600 + 200, within(EXACT));
    assertThat(use.issue()).isCloseTo(50, within(EXACT));
  }

  @Test
  void memoryIsCountedBesideTheCache() {
    Counter filled = new Counter();
    Use use = SmSimulation.run(List.of(List.of(new Load(100, 700, 40, filled))));
    assertThat(use.l2()).isCloseTo(100, within(EXACT));
    assertThat(use.dram()).isCloseTo(40, within(EXACT));
  }

  /** Of two stages one is loaded while the other is used, of one none. */
  @Test
  void aSecondStageHidesTheLatency() {
    double alone = clocks(ring(1, 50));
    double two = clocks(ring(2, 50));
    assertThat(alone).isCloseTo(50 * (100 + 300 + 500), within(EXACT));
    assertThat(two).isCloseTo(100 + 300 + 50 * 500, within(EXACT));
  }

  private static List<List<Op>> ring(int stages, int passes) {
    Counter filled = new Counter();
    Counter freed = new Counter();
    List<Op> producer = new ArrayList<>();
    List<Op> consumer = new ArrayList<>();
    for (int p = 0; p < passes; p++) {
      producer.add(new Await(freed, p - stages + 1, 0));
      producer.add(new Load(100, 300, filled));
      consumer.add(new Await(filled, p + 1, 0));
      consumer.add(Work.pause(500));
      consumer.add(new Signal(freed));
    }
    return List.of(producer, consumer);
  }

  @Test
  void saysWhereAgentsWaitForEachOther() {
    List<Op> program = List.of(Work.pause(5), new Await(new Counter(), 1, 0));
    assertThatIllegalStateException()
        .isThrownBy(() -> clocks(List.of(program)))
        .withMessageContaining("wait for each other");
  }
}
