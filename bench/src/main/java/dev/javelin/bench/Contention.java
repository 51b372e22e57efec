package dev.javelin.bench;

import com.sun.management.OperatingSystemMXBean;
import dev.javelin.device.DType;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Training steps beside threads that never rest, as other programs have them on a machine that is
 * shared. Prints Markdown.
 *
 * <pre>
 * Contention [--models shakespeare-cpu,llama-shakespeare-cpu,shakespeare] [--threads 2] [--busy 1]
 *            [--rounds 5] [--millis 2000]
 * </pre>
 *
 * <p>The busy threads have the priority of ours. A fair system gives each of {@code t + b} threads
 * on {@code c} cores {@code min(1, c / (t + b))} of one, so the fair time of a step is {@code
 * min(1, c / t) / min(1, c / (t + b))} times that of a step alone: 1.5 times for two threads beside
 * one on two cores. Steps alone and beside busy threads take turns. What the team adds by waiting
 * for a thread that has lost its core is the ratio to the fair time.
 */
public final class Contention {
  private static final double NANOS_PER_MILLI = 1e6;

  private static final List<String> OPTIONS =
      List.of("--models", "--threads", "--busy", "--rounds", "--millis");

  private Contention() {}

  /** The time of a step that shares fairly, over that of one alone. */
  static double fair(int threads, int busy, int cores) {
    return Math.min(1, (double) cores / threads) / Math.min(1, (double) cores / (threads + busy));
  }

  public static void main(String[] args) {
    Map<String, String> given = new LinkedHashMap<>();
    for (int i = 0; i < args.length; i += 2) {
      if (i + 1 == args.length || !OPTIONS.contains(args[i])) {
        throw new IllegalArgumentException(
            "contention: expected pairs of an option and its value, options "
                + String.join(", ", OPTIONS)
                + "; got "
                + args[i]);
      }
      given.put(args[i], args[i + 1]);
    }
    String models =
        given.getOrDefault("--models", "shakespeare-cpu,llama-shakespeare-cpu,shakespeare");
    int threads = Integer.parseInt(given.getOrDefault("--threads", "2"));
    int busy = Integer.parseInt(given.getOrDefault("--busy", "1"));
    int rounds = Integer.parseInt(given.getOrDefault("--rounds", "5"));
    double nanos = NANOS_PER_MILLI * Double.parseDouble(given.getOrDefault("--millis", "2000"));
    int cores = Runtime.getRuntime().availableProcessors();
    double fair = fair(threads, busy, cores);
    line(
        "%d threads beside %d busy on %d cores; fair: %.2f times the step alone; medians of %d"
            + " rounds.",
        threads, busy, cores, fair, rounds);
    line("");
    line(
        "| step | alone, ms | beside, ms | over its fair time | busy threads, cores | ours, cores |");
    line("|---|---|---|---|---|---|");
    for (String model : models.split(",")) {
      Operands operands = Operands.on(threads, DType.F32);
      try (TrainStep step = new TrainStep(model, operands)) {
        Compare.warmUp(step::run);
        List<Share> alone = new ArrayList<>();
        List<Share> beside = new ArrayList<>();
        for (int i = 0; i < rounds; i++) {
          alone.add(steps(step, nanos, 0));
          beside.add(steps(step, nanos, busy));
        }
        double[] ratios = new double[rounds];
        Arrays.setAll(ratios, i -> beside.get(i).millis / alone.get(i).millis / fair);
        line(
            "| %s | %.2f | %.2f | %.2f | %.2f | %.2f |",
            model,
            median(alone.stream().mapToDouble(Share::millis).toArray()),
            median(beside.stream().mapToDouble(Share::millis).toArray()),
            median(ratios),
            median(beside.stream().mapToDouble(Share::busy).toArray()),
            median(beside.stream().mapToDouble(Share::ours).toArray()));
      } finally {
        operands.close();
      }
    }
  }

  /**
   * What steps got of the machine.
   *
   * @param millis of a step, the mean
   * @param busy cores that the busy threads had
   * @param ours cores that all other threads of this program had
   */
  private record Share(double millis, double busy, double ours) {}

  private static Share steps(TrainStep step, double nanos, int busy) {
    Busy[] others = new Busy[busy];
    Arrays.setAll(others, _ -> new Busy());
    for (Busy b : others) {
      b.start();
    }
    step.run(); // while the system finds a core for each
    long othersBefore = used(others);
    long allBefore = used();
    long begin = System.nanoTime();
    int steps = 0;
    long wall;
    do {
      step.run();
      steps++;
      wall = System.nanoTime() - begin;
    } while (wall < nanos);
    long othersUsed = used(others) - othersBefore;
    long allUsed = used() - allBefore;
    for (Busy b : others) {
      b.end();
    }
    return new Share(
        wall / NANOS_PER_MILLI / steps,
        (double) othersUsed / wall,
        (double) (allUsed - othersUsed) / wall);
  }

  /** Processor time of this program, nanoseconds. */
  private static long used() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }

  private static long used(Busy[] threads) {
    var bean = ManagementFactory.getThreadMXBean();
    return Arrays.stream(threads).mapToLong(t -> bean.getThreadCpuTime(t.threadId())).sum();
  }

  /** Counts until it is told to end. */
  private static final class Busy extends Thread {
    private volatile boolean ended;
    private long count; // so that the loop is not thrown away

    Busy() {
      super("busy");
      setDaemon(true);
    }

    @Override
    public void run() {
      while (!ended) {
        count++;
      }
    }

    void end() {
      ended = true;
      try {
        join();
      } catch (InterruptedException e) {
        throw new IllegalStateException("interrupted after " + count + " rounds", e);
      }
    }
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }

  private static void line(String format, Object... values) {
    System.out.printf(Locale.ROOT, format + "%n", values);
  }
}
