package dev.javelin.example.handbook;

import dev.javelin.device.Cpu;
import dev.javelin.train.Trainer;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.monitor.Lines;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;

/** Sends what happens to a training to the logger of the program around it. */
public final class Logging {

  /** A level for each kind of news: steps are many, spikes are few. */
  public record Logged(Logger log) implements Watcher {
    @Override
    public void logged(StepMetrics m) {
      log.log(Level.DEBUG, () -> "step " + m.step() + ": " + Lines.brief(m));
    }

    @Override
    public void evaluated(long step, Evaluation evaluation) {
      log.log(Level.INFO, () -> "step " + step + ": validation " + evaluation);
    }

    @Override
    public void event(RunEvent event) {
      Level level =
          switch (event.kind()) {
            case RunEvent.SPIKE, RunEvent.SKIP, RunEvent.ROLLBACK, RunEvent.NAN -> Level.WARNING;
            default -> Level.INFO;
          };
      log.log(level, () -> "step " + event.step() + ": " + event.text());
    }

    @Override
    public void note(String line) {
      log.log(Level.INFO, () -> line);
    }
  }

  private Logging() {}

  public static void main(String[] args) throws IOException {
    try (Cpu cpu = Cpu.open();
        var reader = SmallTraining.reader(cpu, 1);
        Trainer trainer = SmallTraining.of(reader, 1, 50).logEvery(10).trainer()) {
      trainer.watch(new Logged(System.getLogger("training"))).run();
    }
  }
}
