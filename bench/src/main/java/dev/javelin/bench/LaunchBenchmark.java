package dev.javelin.bench;

import dev.javelin.device.Cpu;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * What is paid however small the work: a loop of empty pieces that the team shares, and a whole
 * training step of a model with two layers of 64 features on 32 tokens, which is tape, views and
 * loops more than arithmetic.
 */
public class LaunchBenchmark extends Timed {
  @Param({"loop-1", "loop-2", "loop-64", "step-llama", "step-gpt2"})
  public String what;

  private TrainStep step;

  @Setup
  public void open(Operands operands) {
    String[] words = what.split("-");
    if (words[0].equals("loop")) {
      Cpu cpu = operands.cpu();
      int pieces = Integer.parseInt(words[1]);
      time(() -> cpu.parallel(pieces, 1, (from, to) -> {}));
      return;
    }
    step = new TrainStep(ModelCase.tiny(words[1].equals("gpt2"), 2), operands);
    time(step::run);
  }

  @TearDown
  public void close() {
    if (step != null) {
      step.close();
    }
  }
}
