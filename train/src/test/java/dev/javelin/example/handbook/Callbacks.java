package dev.javelin.example.handbook;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.example.handbook.Digits.Drawings;
import dev.javelin.example.handbook.Digits.Reader;
import dev.javelin.train.Trainer;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StopRule;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import java.io.IOException;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Follows a training by meters, a bar, a sender, and a rule that ends it. */
public final class Callbacks {

  /** Counters and gauges as a metrics library has them; any thread reads them. */
  public static final class Meters implements Watcher {
    final LongAdder steps = new LongAdder();
    final LongAdder checkpoints = new LongAdder();
    final Map<String, LongAdder> events = new ConcurrentHashMap<>(); // by kind
    volatile double loss = Double.NaN;
    volatile double tokensPerSecond = Double.NaN;

    @Override
    public void advanced(long step) {
      steps.increment();
    }

    @Override
    public void logged(StepMetrics metrics) {
      loss = metrics.loss();
      tokensPerSecond = metrics.tokensPerSecond();
    }

    @Override
    public void saved(Checkpoint checkpoint) {
      checkpoints.increment();
    }

    @Override
    public void event(RunEvent event) {
      events.computeIfAbsent(event.kind(), kind -> new LongAdder()).increment();
    }
  }

  /** A bar of some characters, drawn anew when it has grown by one. */
  public record Bar(long steps, int width, Consumer<String> out) implements Watcher {
    @Override
    public void advanced(long step) {
      int full = (int) (width * step / steps);
      if (full > width * (step - 1) / steps) {
        out.accept("[" + "=".repeat(full) + " ".repeat(width - full) + "] " + step + "/" + steps);
      }
    }
  }

  /** Whoever receives numbers: slowly, perhaps, or not at all. */
  @FunctionalInterface
  public interface Receiver {
    void send(long step, double loss) throws IOException;
  }

  /**
   * Sends numbers from a thread of its own; the training neither waits for it nor fails with it.
   */
  public static final class Sender implements Watcher {
    final LongAdder lost = new LongAdder(); // refused by the receiver, or one too many
    private final Receiver receiver;
    private final ThreadPoolExecutor thread;

    public Sender(Receiver receiver, int waiting) {
      this.receiver = receiver;
      this.thread =
          new ThreadPoolExecutor(
              1,
              1,
              0,
              TimeUnit.SECONDS,
              new ArrayBlockingQueue<>(waiting),
              (task, full) -> lost.increment());
    }

    @Override
    public void logged(StepMetrics metrics) {
      thread.execute(() -> send(metrics));
    }

    private void send(StepMetrics metrics) {
      try {
        receiver.send(metrics.step(), metrics.loss());
      } catch (IOException | RuntimeException e) {
        lost.increment();
      }
    }

    /** Waits until what is in the queue is sent. */
    @Override
    public void close() {
      thread.close();
    }
  }

  /** Ends a training as soon as enough drawings are read correctly. */
  public record GoodEnough(Device device, Reader model, Drawings held, int every, double share)
      implements StopRule {
    @Override
    public String name() {
      return "good_enough";
    }

    @Override
    public @Nullable String reason(Progress now) {
      if (now.step() % every != 0) {
        return null;
      }
      double read = Digits.accuracy(device, model, held);
      return read < share
          ? null
          : String.format(Locale.ROOT, "%.0f %% of the drawings are read correctly", 100 * read);
    }
  }

  private Callbacks() {}

  public static void main(String[] args) throws IOException {
    long steps = 500;
    Meters meters = new Meters();
    try (Cpu cpu = Cpu.open();
        var reader = SmallTraining.reader(cpu, 1)) {
      GoodEnough rule = new GoodEnough(cpu, reader.model(), new Drawings(2, 500), 50, 0.8);
      try (Trainer trainer = SmallTraining.of(reader, 1, steps).stopWhen(rule).trainer()) {
        Trainer.Outcome outcome =
            trainer.watch(meters).watch(new Bar(steps, 50, System.out::println)).run();
        System.out.println("step " + outcome.step() + ": " + outcome.ended());
      }
    }
    System.out.println(meters.steps + " steps, loss " + meters.loss);
  }
}
