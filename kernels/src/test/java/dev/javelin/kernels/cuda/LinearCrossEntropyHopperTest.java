package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Emulator;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.CrossEntropyForm;
import dev.javelin.kernels.cuda.HopperLosses.Pass;
import dev.javelin.kernels.cuda.HopperLosses.Results;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Losses and gradients whose logits stay in registers, against loops in double. Rows and columns of
 * the vocabulary are no multiples of tiles, and every seventh row's target is ignored.
 */
class LinearCrossEntropyHopperTest {
  private static final CrossEntropyForm ALL =
      new CrossEntropyForm(HopperLosses.IGNORED, 0.1f, 1e-2f, 3);
  private static final CrossEntropyForm CAPPED =
      new CrossEntropyForm(HopperLosses.IGNORED, 0, 1e-2f, 4);

  private static final List<HopperLosses> CASES =
      List.of(
          new HopperLosses(BF16, 131, 38, 517, HopperLosses.PLAIN, 0.02),
          new HopperLosses(F16, 33, 40, 259, HopperLosses.PLAIN, 0.02),
          new HopperLosses(BF16, 70, 24, 300, ALL, 0.05),
          new HopperLosses(F16, 33, 24, 255, ALL, 0.05),
          new HopperLosses(BF16, 70, 24, 256, CAPPED, 0.1));

  static Stream<TestMachine> machines() {
    return Stream.concat(
            TestMachine.andRough().stream(), TestMachine.andChecked().filter(TestMachine::checked))
        .filter(m -> m.capability() == 90 || m.capability() == 0);
  }

  private static Gpu open(TestMachine machine) {
    Gpu gpu = Gpu.open(machine);
    if (gpu.isEmulated()) {
      Emulator.set("guard", "1");
    }
    Assumptions.assumeTrue(gpu.capability() == 90, "for compute capability 9.0");
    return gpu;
  }

  @ParameterizedTest
  @MethodSource("machines")
  void everyPassMatchesLoopsInDouble(TestMachine machine) {
    try (Gpu gpu = open(machine)) {
      int i = 0;
      for (HopperLosses c : CASES) {
        for (Pass pass : Pass.values()) {
          int chunk = i % 2 == 0 ? c.rows() : 48;
          boolean accumulate = i % 3 == 1;
          Results got = c.run(gpu, pass, chunk, accumulate);
          assertThat(c.difference(got, pass != Pass.LOSSES, accumulate))
              .as("%s, %s, %d rows at a time", c, pass, chunk)
              .isEmpty();
          got.dx().assertGapsAre(7, c.toString());
          i++;
        }
      }
    }
  }

  /** Statistics of tiles are added up in one order, whoever comes first. */
  @Test
  @RequiresEmulator
  void noOrderOfThreadsOrBlocksChangesABit() {
    for (HopperLosses c : List.of(CASES.get(0), CASES.get(3))) {
      for (Pass pass : List.of(Pass.BOTH_IN_TURN, Pass.BOTH_AT_ONCE)) {
        Results expected = null;
        for (String order : List.of("forward", "reverse", "1", "7")) {
          try (Gpu gpu = open(new TestMachine(order, 90, false, "exact"))) {
            Results got = c.run(gpu, pass, 64, false);
            expected = expected == null ? got : expected;
            assertThat(got.sameBits(expected)).as("%s, %s, %s", c, pass, order).isTrue();
          }
        }
      }
    }
  }

  /**
   * Exponentials relative to the target's logit pass the range of fp32 where that is far below the
   * largest one: such rows are computed again.
   */
  @Test
  void rowsOfHugeLossesAreComputedAgain() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      for (double pull : new double[] {-1, -3, 2}) {
        for (CrossEntropyForm form : List.of(HopperLosses.PLAIN, CAPPED)) {
          HopperLosses c = new HopperLosses(BF16, 40, 64, 200, form, pull);
          Results got = c.run(gpu, Pass.BOTH_AT_ONCE, 40, false);
          assertThat(c.difference(got, true, false)).as(c.toString()).isEmpty();
          double most = 0;
          for (float loss : got.losses()) {
            most = Math.max(most, loss);
          }
          if (pull < 0 && form.equals(HopperLosses.PLAIN)) {
            assertThat(most).isGreaterThan(-90 * pull * 0.6);
          }
        }
      }
    }
  }

  @Test
  void aTargetOutsideOfTheVocabularyIsSeenInTheLossAndNowhereElse() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      HopperLosses c = CASES.get(4);
      int[] targets = c.targets();
      targets[3] = c.vocabulary() + 5;
      targets[4] = -7;
      for (Pass pass : Pass.values()) {
        float[] losses = c.run(gpu, pass, c.rows(), false, targets).losses();
        for (int r = 0; r < losses.length; r++) {
          assertThat(Float.isNaN(losses[r])).as("row %d, %s", r, pass).isEqualTo(r == 3 || r == 4);
        }
      }
    }
  }

  @Test
  void whereAllTargetsAreIgnoredThereIsNothing() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      HopperLosses c = CASES.get(0);
      int[] targets = new int[c.rows()];
      Arrays.fill(targets, HopperLosses.IGNORED);
      for (Pass pass : List.of(Pass.BOTH_IN_TURN, Pass.BOTH_AT_ONCE)) {
        Results got = c.run(gpu, pass, c.rows(), false, targets);
        assertThat(got.losses()).containsOnly(0);
        assertThat(got.dw()).containsOnly(0);
        for (int r = 0; r < c.rows(); r++) {
          assertThat(got.dx().at(r, r % c.cols())).isZero();
        }
      }
    }
  }
}
