package dev.javelin.bench;

import com.sun.management.ThreadMXBean;
import dev.javelin.device.DType;
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
 * <p>A fourth word, {@code bf16}, asks for products, operators and generation in that type and for
 * steps in mixed precision. With a model's or an attention case's name as second argument (and a
 * type as third) it measures memory instead.
 *
 * <p>The first request for a case allocates it and runs it until the compiler has had its time.
 */
public final class Compare {
  private static final long MIN_WARM_UP_NANOS = 1_000_000_000L;
  private static final long MAX_WARM_UP_NANOS = 60_000_000_000L;
  private static final long COMPILATION_NOISE_MILLIS = 20;
  private static final int MAX_RUNS = 2000;
  private static final int MEMORY_STEPS = 20;
  private static final int ATTENTION_STEPS = 3;

  private Compare() {}

  public static void main(String[] args) throws IOException {
    int threads = args.length > 0 ? Integer.parseInt(args[0]) : 2;
    if (args.length > 1) {
      memory(args[1], threads, type(args, 2));
      return;
    }
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String current = "";
    Work work = new Work(() -> {}, () -> {});
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.trim().split(" ");
      DType type = type(words, 3);
      String name = words[0] + " " + words[1] + " " + type;
      if (!name.equals(current)) {
        work.close.run();
        Operands operands = Operands.on(threads, type);
        work = work(words[0], words[1], operands);
        current = name;
        warmUp(work.run);
      }
      double[] times = measure(work.run, Long.parseLong(words[2]) * 1_000_000);
      System.out.printf(
          Locale.ROOT,
          "{\"bench\":\"%s\",\"case\":\"%s\",\"ms\":%.6f,\"runs\":%d}%n",
          words[0],
          words[1],
          median(times),
          times.length);
      System.out.flush();
    }
    work.close.run();
  }

  private static DType type(String[] words, int at) {
    return at < words.length && words[at].equals("bf16") ? DType.BF16 : DType.F32;
  }

  /** Something to run as often as wanted, and the end of it. */
  private record Work(Runnable run, Runnable close) {}

  private static Work work(String bench, String name, Operands operands) {
    return switch (bench) {
      case "train" -> {
        TrainStep step = new TrainStep(name, operands);
        yield new Work(step::run, both(step::close, operands::close));
      }
      case "generate" -> {
        Greedy greedy = new Greedy(name, operands);
        yield new Work(greedy::run, both(greedy::close, operands::close));
      }
      case "matmul" -> new Work(MatmulShape.parse(name).on(operands), operands::close);
      case "attn" -> new Work(AttentionShape.parse(name).on(operands), operands::close);
      case "op" -> new Work(OpCase.on(operands, name), operands::close);
      default -> throw new IllegalArgumentException("no such benchmark: " + bench);
    };
  }

  private static Runnable both(Runnable first, Runnable second) {
    return () -> {
      first.run();
      second.run();
    };
  }

  /**
   * What twenty steps of a model take on top of the model, or attention with its tensors, in
   * megabytes of resident memory at its highest; then, in the steady state, the heap's garbage and
   * the off-heap blocks of a step.
   */
  private static void memory(String name, int threads, DType type) throws IOException {
    ThreadMXBean heap = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    Operands operands = Operands.on(threads, type);
    boolean attention = AttentionShape.isOne(name);
    long before = highWater();
    Work work = work(attention ? "attn" : "train", name, operands);
    before = attention ? before : highWater();
    for (int i = 0; i < (attention ? ATTENTION_STEPS : MEMORY_STEPS); i++) {
      work.run.run();
    }
    long grown = highWater() - before;
    if (!attention) {
      warmUp(work.run);
    }
    long blocks = operands.cpu().allocations();
    long garbage = heap.getTotalThreadAllocatedBytes();
    int steps = attention ? 1 : MEMORY_STEPS;
    for (int i = 0; i < steps; i++) {
      work.run.run();
    }
    garbage = (heap.getTotalThreadAllocatedBytes() - garbage) / steps;
    System.out.printf(
        Locale.ROOT,
        "{\"bench\":\"memory\",\"case\":\"%s\",\"mb\":%.1f,\"garbage_kb\":%.1f,\"blocks\":%d}%n",
        name,
        grown / 1024.0,
        garbage / 1024.0,
        operands.cpu().allocations() - blocks);
    work.close.run();
  }

  /** VmHWM in kilobytes. */
  private static long highWater() throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      String line = lines.filter(l -> l.startsWith("VmHWM:")).findFirst().orElseThrow();
      return Long.parseLong(line.replaceAll("\\D", ""));
    }
  }

  /** Runs {@code work} until the compiler has had nothing to do for a while. */
  static void warmUp(Runnable work) {
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
