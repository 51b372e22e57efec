package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.javelin.device.DType;
import dev.javelin.train.optim.Optimizers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.openjdk.jmh.annotations.Param;

/** What the parameters of JMH benchmarks name exists; running all of them takes too long here. */
class BenchmarksTest {
  private static String[] values(Class<? extends Timed> benchmark, String parameter)
      throws NoSuchFieldException {
    return benchmark.getField(parameter).getAnnotation(Param.class).value();
  }

  @ParameterizedTest
  @ValueSource(
      classes = {
        NormBenchmark.class,
        ActivationBenchmark.class,
        LossBenchmark.class,
        HeadBenchmark.class,
        AttentionBenchmark.class
      })
  void eachOperatorHasACostForEachShape(Class<? extends Timed> benchmark)
      throws NoSuchFieldException {
    for (String op : values(benchmark, "op")) {
      for (String shape : values(benchmark, "shape")) {
        Cost cost = StepCost.sum(OpCase.parts(op + "-" + shape, DType.F32));
        assertThat(cost.bytes()).as("%s of %s", op, shape).isPositive();
      }
    }
  }

  @Test
  void optimizersAreRulesOfTheTrainer() throws NoSuchFieldException {
    assertThat(Optimizers.names()).contains(values(OptimizerBenchmark.class, "rule"));
  }

  @Test
  void anUpdateAndGreedyDecodingRun() {
    try (Operands operands = Operands.on(1, DType.F32);
        Greedy greedy = new Greedy("gpt2-tiny-3x2", operands)) {
      assertThatCode(greedy::run).doesNotThrowAnyException();
      OptimizerBenchmark benchmark = new OptimizerBenchmark();
      benchmark.rule = "adamw";
      benchmark.model = "gpt2-tiny-1x4";
      benchmark.allocate(operands);
      assertThatCode(benchmark::run).doesNotThrowAnyException();
      benchmark.close();
    }
  }
}
