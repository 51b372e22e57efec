package dev.javelin.bench;

import com.sun.management.ThreadMXBean;
import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.TextTraining;
import dev.javelin.train.Trainer;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.health.LayerHealth;
import dev.javelin.train.health.NoiseScale;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.EventFile;
import dev.javelin.train.monitor.HealthFile;
import dev.javelin.train.monitor.LogFile;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.monitor.Watchers;
import dev.javelin.train.ranks.Communicator;
import dev.javelin.train.report.ReportFile;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.ObjDoubleConsumer;

/**
 * What it costs to watch a training: blocks of steps with health, noise scale and the files of a
 * log, and blocks without, in turn, in one run. Says the median time and the garbage of a step of
 * each kind, and the median of the differences of neighbours.
 *
 * <pre>{@code MonitoringCost [model] [micro-batches] [threads] [pairs of blocks]}</pre>
 */
final class MonitoringCost {
  private static final int BLOCK = 10; // steps, as many as from one line of the log to the next
  private static final int WARM_UP = 6; // blocks

  private MonitoringCost() {}

  /** Lets a hook see the steps of the blocks in which it is on. */
  private static final class Switched implements StepHook {
    private final StepHook hook;
    private boolean on;

    Switched(StepHook hook) {
      this.hook = hook;
    }

    @Override
    public String name() {
      return hook.name();
    }

    @Override
    public void begin(long step, long place, int rows) {
      on = isOn(step);
      if (on) {
        hook.begin(step, place, rows);
      }
    }

    @Override
    public void accumulated(int micro, StepState state) {
      if (on) {
        hook.accumulated(micro, state);
      }
    }

    @Override
    public void gradient(StepState state) {
      if (on) {
        hook.gradient(state);
      }
    }

    @Override
    public void decided(StepState state) {
      if (on) {
        hook.decided(state);
      }
    }

    @Override
    public void updated(StepState state) {
      if (on) {
        hook.updated(state);
      }
    }

    @Override
    public After after(long step) {
      return on ? hook.after(step) : After.GO_ON;
    }

    @Override
    public void measure(ObjDoubleConsumer<String> out) {
      if (on) {
        hook.measure(out);
      }
    }

    @Override
    public void close() {
      hook.close();
    }
  }

  private static boolean isOn(long step) {
    return step / BLOCK % 2 == 1;
  }

  /** Hands the lines of blocks that are watched to the files, and takes the time of each block. */
  private static final class Meter implements Watcher {
    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final Watcher files;
    private final double[] millis; // of a step, by block
    private final double[] garbage;
    private long start;
    private long allocated;

    Meter(Watcher files, int blocks) {
      this.files = files;
      this.millis = new double[blocks];
      this.garbage = new double[blocks];
    }

    @Override
    public void begins(long step, long place, int rows) {
      if (step == 1) {
        next();
      }
    }

    /** The last thing of a block: what the log costs belongs to it. */
    @Override
    public void logged(StepMetrics metrics) {
      if (isOn(metrics.step() - 1)) {
        files.logged(metrics);
      }
      int block = (int) ((metrics.step() - 1) / BLOCK);
      millis[block] = (System.nanoTime() - start) * 1e-6 / BLOCK;
      garbage[block] = (double) (threads.getTotalThreadAllocatedBytes() - allocated) / BLOCK;
      next();
    }

    private void next() {
      allocated = threads.getTotalThreadAllocatedBytes();
      start = System.nanoTime();
    }

    @Override
    public void close() {
      files.close();
    }
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int n = sorted.length;
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  }

  public static void main(String[] arguments) throws IOException {
    ModelCase model =
        ModelCase.parse(arguments.length > 0 ? arguments[0] : "llama-shakespeare-cpu");
    int micro = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 2;
    int threads = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 2;
    int pairs = arguments.length > 3 ? Integer.parseInt(arguments[3]) : 30;
    int blocks = WARM_UP + 2 * pairs;
    int steps = blocks * BLOCK;
    Path directory = Files.createTempDirectory("javelin-monitoring");
    RunSettings settings =
        RunSettings.DEFAULT
            .withBatch(
                b ->
                    b.withSeqLen(model.length())
                        .withBatchSize(model.batch())
                        .withGradientAccumulationSteps(micro))
            .withRun(r -> r.withMaxSteps(steps).withLoggingSteps(BLOCK).withEvalEvery(0));
    int[] ids = new SplittableRandom(1).ints(200_000, 0, model.model().vocabulary()).toArray();
    TokenSource text = TokenSource.of("random", ids);
    BatchSource source =
        BatchSource.endless(
            TextTraining.rows(text, model.length(), model.model().vocabulary(), false),
            Order.shuffled(1));
    Watcher files =
        new Watchers(
            List.of(
                MetricsFile.open(directory.resolve("metrics.jsonl"), 0),
                new LogFile(directory.resolve("train.log"), steps),
                new EventFile(directory.resolve("runs"), 0),
                new ReportFile(directory, 0, steps, line -> {})));
    Meter meter = new Meter(files, blocks);
    try (Cpu cpu = Cpu.open(threads);
        LanguageModel made =
            LanguageModel.create(
                cpu, model.config(), Precision.FP32, Grouping.decayMatrices(0.1f), 1, null);
        Trainer trainer =
            TextTraining.of(made, new Dataset(text, null, null), settings)
                .hook(
                    (p, rule) ->
                        new Switched(
                            new LayerHealth(p, rule, BLOCK, directory.resolve(HealthFile.NAME))))
                .hook(
                    (p, rule) ->
                        new Switched(new NoiseScale(p, source, model.batch(), Communicator.SELF)))
                .trainer()) {
      trainer.watch(meter).run();
    }
    report(model, micro, threads, meter);
  }

  private static void report(ModelCase model, int micro, int threads, Meter meter) {
    int pairs = (meter.millis.length - WARM_UP) / 2;
    double[][] millis = new double[2][pairs];
    double[][] garbage = new double[2][pairs];
    double[] cost = new double[pairs];
    for (int i = 0; i < pairs; i++) {
      for (int on = 0; on < 2; on++) {
        millis[on][i] = meter.millis[WARM_UP + 2 * i + on];
        garbage[on][i] = meter.garbage[WARM_UP + 2 * i + on];
      }
      cost[i] = millis[1][i] / millis[0][i] - 1;
    }
    System.out.printf(
        Locale.ROOT,
        "%s %dx%d, %d micro-batches, %d threads, %d pairs of %d steps%n"
            + "off: %.3f ms and %.0f bytes of garbage a step%n"
            + "on:  %.3f ms and %.0f bytes of garbage a step%n"
            + "cost: %.2f %% of the medians, %.2f %% the median pair%n",
        model.model().name(),
        model.batch(),
        model.length(),
        micro,
        threads,
        pairs,
        BLOCK,
        median(millis[0]),
        median(garbage[0]),
        median(millis[1]),
        median(garbage[1]),
        100 * (median(millis[1]) / median(millis[0]) - 1),
        100 * median(cost));
  }
}
