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
 */
record Prediction(double flops, double expected, double floor, String limit) {
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
      Use all = SmSimulation.run(programs.apply((int) Math.ceil(rounds)));
      return of(sm, flops, all, all, 0);
    }
    Use few = SmSimulation.run(programs.apply(FEW));
    Use more = SmSimulation.run(programs.apply(MORE));
    return of(sm, flops, few, more.minus(few), (rounds - FEW) / (MORE - FEW));
  }

  private static Prediction of(SmMachine sm, double flops, Use first, Use again, double times) {
    double launch = SmMachine.LAUNCH_MICROSECONDS * 1e-6;
    double[] busy = {
      first.tensor() + times * again.tensor(),
      first.issue() + times * again.issue(),
      first.mufu() + times * again.mufu(),
      first.shared() + times * again.shared(),
      first.l2() + times * again.l2()
    };
    String[] units = {"tensor cores", "issue", "MUFU", "shared memory", "L2 cache"};
    int most = 0;
    for (int i = 1; i < busy.length; i++) {
      most = busy[i] > busy[most] ? i : most;
    }
    double clocks = first.clocks() + times * again.clocks();
    return new Prediction(flops, sm.seconds(clocks) + launch, sm.seconds(busy[most]), units[most]);
  }

  /** One kernel after another. */
  Prediction and(Prediction next) {
    return new Prediction(
        flops + next.flops,
        expected + next.expected,
        floor + next.floor,
        expected >= next.expected ? limit : next.limit);
  }

  /** The same, of which the mathematics asks for so many FLOPs. */
  Prediction of(double asked) {
    return new Prediction(asked, expected, floor, limit);
  }

  double teraflops() {
    return flops / expected / 1e12;
  }
}
