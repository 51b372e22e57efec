package dev.javelin.bench;

import dev.javelin.bench.SmSimulation.Op;
import dev.javelin.bench.SmSimulation.Use;
import java.util.List;
import java.util.function.IntFunction;

/**
 * What {@link SmSimulation} says of a kernel.
 *
 * @param flops that the mathematics asks for
 * @param expected seconds
 * @param floor seconds below which the unit in most demand cannot be
 * @param limit that unit
 * @param use of the busiest multiprocessor's units, in clocks; without launches
 */
record Prediction(double flops, double expected, double floor, String limit, Use use) {
  static final String MEMORY = "memory";

  /** Rounds that are simulated; what comes after them repeats. */
  private static final int FEW = 2;

  private static final int MORE = 4;

  /**
   * Of a kernel whose busiest multiprocessor goes through so many rounds.
   *
   * @param programs of the multiprocessor's agents for a number of rounds
   */
  static Prediction of(
      SmMachine sm, double flops, double rounds, IntFunction<List<List<Op>>> programs) {
    if (rounds <= FEW) {
      return of(sm, flops, SmSimulation.run(programs.apply((int) Math.ceil(rounds))));
    }
    Use few = SmSimulation.run(programs.apply(FEW));
    Use more = SmSimulation.run(programs.apply(MORE));
    return of(sm, flops, few.plus((rounds - FEW) / (MORE - FEW), more.plus(-1, few)));
  }

  private static Prediction of(SmMachine sm, double flops, Use use) {
    double launch = SmMachine.LAUNCH_MICROSECONDS * 1e-6;
    double most = 0;
    String limit = "";
    for (Unit u : Unit.values()) {
      if (u.busy(use) > most) {
        most = u.busy(use);
        limit = u.label;
      }
    }
    return new Prediction(flops, sm.seconds(use.clocks()) + launch, sm.seconds(most), limit, use);
  }

  /** What can be in the way. */
  enum Unit {
    TENSOR("tensor cores"),
    SHARED("shared memory"),
    L2("L2 cache"),
    ISSUE("issue"),
    MUFU("MUFU"),
    DRAM(MEMORY);

    final String label;

    Unit(String label) {
      this.label = label;
    }

    /** Its clocks. */
    double busy(Use use) {
      return switch (this) {
        case TENSOR -> use.tensor();
        case SHARED -> use.shared();
        case L2 -> use.l2();
        case ISSUE -> use.issue();
        case MUFU -> use.mufu();
        case DRAM -> use.dram();
      };
    }
  }

  /** One kernel after another. */
  Prediction and(Prediction next) {
    return new Prediction(
        flops + next.flops,
        expected + next.expected,
        floor + next.floor,
        expected >= next.expected ? limit : next.limit,
        use.plus(1, next.use));
  }

  /** The same, of which the mathematics asks for so many FLOPs. */
  Prediction of(double asked) {
    return new Prediction(asked, expected, floor, limit, use);
  }

  double teraflops() {
    return flops / expected / 1e12;
  }
}
