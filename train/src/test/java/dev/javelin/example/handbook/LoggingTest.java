package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.example.handbook.Digits.Drawings;
import dev.javelin.example.handbook.Logging.Logged;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.run.RunDirectory;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the handbook's training says, to java.util.logging, where no other logger is there. */
class LoggingTest {
  private static final Logger LOG = Logger.getLogger("handbook.logging");

  @TempDir Path dir;
  private final List<String> said = new ArrayList<>();
  private final Handler handler =
      new Handler() {
        @Override
        public void publish(LogRecord r) {
          said.add(r.getLevel() + " " + r.getMessage());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
      };

  @BeforeEach
  void listen() {
    LOG.setUseParentHandlers(false);
    LOG.addHandler(handler);
  }

  @AfterEach
  void leave() {
    LOG.removeHandler(handler);
  }

  /** Tells of a spike after the second step. */
  private static final class Spike implements StepHook {
    private long step;

    @Override
    public String name() {
      return "spike";
    }

    @Override
    public void updated(StepState state) {
      step++;
    }

    @Override
    public void events(Consumer<RunEvent> out) {
      if (step == 2) {
        out.accept(new RunEvent(step, RunEvent.SPIKE, "loss far above the usual"));
      }
    }

    @Override
    public void close() {}
  }

  private void train() throws IOException {
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve("run" + said.size()));
        var reader = SmallTraining.reader(cpu, 1)) {
      Training training =
          SmallTraining.of(reader, 1, 2)
              .validation(BatchSource.once(new Drawings(2, 32)), 0)
              .hook((parameters, optimizer) -> new Spike());
      try (Trainer trainer = training.trainer().into(run)) {
        trainer.watch(new Logged(System.getLogger("handbook.logging"))).run();
      }
    }
  }

  @Test
  void newsHaveTheirLevels() throws IOException {
    LOG.setLevel(Level.FINE);
    train();
    assertThat(said).hasSize(5);
    assertThat(said.get(0)).startsWith("FINE step 1: loss ");
    assertThat(said.get(1)).isEqualTo("WARNING step 2: loss far above the usual");
    assertThat(said.get(2)).startsWith("INFO step 2: validation loss ");
    assertThat(said.get(3)).startsWith("FINE step 2: loss ");
    assertThat(said.get(4)).startsWith("INFO saved ");
    said.clear();
    LOG.setLevel(Level.WARNING);
    train();
    assertThat(said).hasSize(1);
  }

  /** Whatever is not asked for is not printed. */
  @Test
  void theLibraryItselfIsSilent() throws IOException {
    PrintStream out = System.out;
    PrintStream err = System.err;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    try (PrintStream into = new PrintStream(printed, true, StandardCharsets.UTF_8)) {
      System.setOut(into);
      System.setErr(into);
      train();
    } finally {
      System.setOut(out);
      System.setErr(err);
    }
    assertThat(printed.toString(StandardCharsets.UTF_8)).isEmpty();
  }
}
