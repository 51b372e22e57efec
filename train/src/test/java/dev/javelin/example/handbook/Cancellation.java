package dev.javelin.example.handbook;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Weights;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.monitor.Lines;
import dev.javelin.train.run.RunDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A training that others may end, and that goes on where it ended. */
public final class Cancellation {

  /** Ends a training at a time of day. */
  public record Deadline(InstantSource clock, Instant end) implements StopRule {
    static final Deadline NONE = new Deadline(InstantSource.system(), Instant.MAX);

    @Override
    public String name() {
      return "deadline";
    }

    @Override
    public @Nullable String reason(Progress now) {
      return clock.instant().isBefore(end) ? null : "it is " + end;
    }
  }

  /** Lets the end of the process wait until a training has stopped and is saved. */
  public static final class AtExit implements AutoCloseable {
    private final Thread hook;

    public AtExit(Trainer trainer) {
      hook = Thread.ofPlatform().name("save at exit").unstarted(trainer::close);
      Runtime.getRuntime().addShutdownHook(hook);
    }

    @Override
    public void close() {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        // The process ends: the hook is at work.
      }
    }
  }

  private Cancellation() {}

  /**
   * Trains in a directory, from the newest whole checkpoint on where there is one.
   *
   * @param begins takes the trainer before it runs: by it, any thread ends the training
   */
  static Trainer.Outcome train(Path path, long steps, Deadline deadline, Consumer<Trainer> begins)
      throws IOException {
    try (RunDirectory directory = RunDirectory.claim(path);
        Cpu cpu = Cpu.open();
        var reader = SmallTraining.reader(cpu, 1);
        Trainer trainer =
            SmallTraining.of(reader, 1, steps).stopWhen(deadline).trainer().into(directory)) {
      Checkpoint newest = directory.start("auto", System.err::println);
      if (newest != null) {
        Weights.load(reader, newest.directory().resolve(Training.WEIGHTS_FILE));
        trainer.resume(newest);
      }
      begins.accept(trainer);
      try (AtExit _ = new AtExit(trainer)) {
        return trainer.run();
      }
    }
  }

  public static void main(String[] args) throws IOException {
    Path path = Path.of(args[0]);
    long steps = Long.parseLong(args[1]);
    Trainer.Outcome outcome =
        train(path, steps, Deadline.NONE, t -> t.watch(new Lines(steps, System.out::println)));
    System.out.println(outcome);
  }
}
