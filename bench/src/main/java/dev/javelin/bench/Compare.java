package dev.javelin.bench;

import com.sun.management.ThreadMXBean;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Our side of the comparison with PyTorch. Reads requests {@code BENCH CASE MILLIS} line by line
 * and answers each with a line of JSON, the median time of as many runs as fit: the driver asks
 * both sides in turn, so that both see the same machine.
 *
 * <pre>{@code
 * matmul 768x384x128-nt 100      ->  {"bench":"matmul","case":"768x384x128-nt","ms":0.21,"runs":433}
 * }</pre>
 *
 * <p>With a model's name as second argument it measures that model's memory instead.
 *
 * <p>The first request for a case allocates it and runs it until the compiler has had its time.
 */
public final class Compare {
  private static final long MIN_WARM_UP_NANOS = 1_000_000_000L;
  private static final long MAX_WARM_UP_NANOS = 60_000_000_000L;
  private static final long COMPILATION_NOISE_MILLIS = 20;
  private static final int MAX_RUNS = 2000;
  private static final int MEMORY_STEPS = 20;

  private Compare() {}

  public static void main(String[] args) throws IOException {
    int threads = args.length > 0 ? Integer.parseInt(args[0]) : 2;
    if (args.length > 1) {
      memory(args[1], threads);
      return;
    }
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String current = "";
    Runnable work = () -> {};
    Runnable close = () -> {};
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.trim().split(" ");
      String name = words[0] + " " + words[1];
      if (!name.equals(current)) {
        close.run();
        Operands operands = new Operands();
        operands.threads = threads;
        operands.open();
        if (words[0].equals("train")) {
          TrainStep step = new TrainStep(words[1], operands);
          work = step::run;
          close =
              () -> {
                step.close();
                operands.close();
              };
        } else {
          work =
              words[0].equals("matmul")
                  ? MatmulShape.parse(words[1]).on(operands)
                  : OpCase.on(operands, words[1]);
          close = operands::close;
        }
        current = name;
        warmUp(work);
      }
      double[] times = measure(work, Long.parseLong(words[2]) * 1_000_000);
      System.out.printf(
          Locale.ROOT,
          "{\"bench\":\"%s\",\"case\":\"%s\",\"ms\":%.6f,\"runs\":%d}%n",
          words[0],
          words[1],
          median(times),
          times.length);
      System.out.flush();
    }
    close.run();
  }

  /**
   * What twenty steps of a model take on top of the model, in megabytes of resident memory at its
   * highest; then, in the steady state, the heap's garbage and the off-heap blocks of a step.
   */
  private static void memory(String model, int threads) throws IOException {
    ThreadMXBean heap = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    Operands operands = new Operands();
    operands.threads = threads;
    operands.open();
    try (TrainStep step = new TrainStep(model, operands)) {
      long built = highWater();
      for (int i = 0; i < MEMORY_STEPS; i++) {
        step.run();
      }
      long grown = highWater() - built;
      warmUp(step::run);
      long blocks = operands.cpu().allocations();
      long garbage = heap.getTotalThreadAllocatedBytes();
      for (int i = 0; i < MEMORY_STEPS; i++) {
        step.run();
      }
      garbage = (heap.getTotalThreadAllocatedBytes() - garbage) / MEMORY_STEPS;
      System.out.printf(
          Locale.ROOT,
          "{\"bench\":\"memory\",\"case\":\"%s\",\"mb\":%.1f,\"garbage_kb\":%.1f,\"blocks\":%d}%n",
          model,
          grown / 1024.0,
          garbage / 1024.0,
          operands.cpu().allocations() - blocks);
    }
    operands.close();
  }

  /** VmHWM in kilobytes. */
  private static long highWater() throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      String line = lines.filter(l -> l.startsWith("VmHWM:")).findFirst().orElseThrow();
      return Long.parseLong(line.replaceAll("\\D", ""));
    }
  }

  /** Runs {@code work} until the compiler has had nothing to do for a while. */
  private static void warmUp(Runnable work) {
    CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
    long begin = System.nanoTime();
    long quiet = begin;
    long compiled = 0;
    long now = begin;
    while (now - begin < MAX_WARM_UP_NANOS
        && (now - begin < MIN_WARM_UP_NANOS || now - quiet < MIN_WARM_UP_NANOS / 2)) {
      work.run();
      now = System.nanoTime();
      long total = compiler.getTotalCompilationTime();
      if (total > compiled + COMPILATION_NOISE_MILLIS) {
        compiled = total;
        quiet = now;
      }
    }
  }

  /** Milliseconds of each run, at least two runs. */
  private static double[] measure(Runnable work, long nanos) {
    double[] times = new double[MAX_RUNS];
    int runs = 0;
    long begin = System.nanoTime();
    long last = begin;
    while (runs < 2 || (runs < MAX_RUNS && last - begin < nanos)) {
      long start = System.nanoTime();
      work.run();
      last = System.nanoTime();
      times[runs++] = (last - start) * 1e-6;
    }
    return Arrays.copyOf(times, runs);
  }

  private static double median(double[] times) {
    Arrays.sort(times);
    return times[times.length / 2];
  }
}
