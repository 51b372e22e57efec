package dev.javelin.bench;

import dev.javelin.autograd.Probe;
import dev.javelin.bench.TeamModel.Loop;
import dev.javelin.bench.TeamModel.Machine;
import dev.javelin.bench.TeamModel.Placement;
import dev.javelin.bench.TeamModel.Time;
import dev.javelin.device.Cpu;
import dev.javelin.device.LoopTrace;
import dev.javelin.nn.Transformer;
import dev.javelin.train.xray.OpBytes;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What a training step would take on a team of 1 to 128 threads. Each loop of the step is measured
 * on one thread, piece by piece; the team, its memory and its nodes are simulated ({@link
 * TeamModel}). Prints Markdown.
 *
 * <pre>
 * Scaling [--model shakespeare] [--nodes 2] [--cores 32] [--gbs 150] [--link 100] [--cache-mb 128]
 *         [--steps 9] [--placement spread|local|one-node] [--atomic-ns A] [--message-ns M] [--remote 3]
 * </pre>
 *
 * <p>Without {@code --atomic-ns} and {@code --message-ns} both are measured on two threads of this
 * machine.
 */
public final class Scaling {
  private static final int WIDE = 64;
  private static final int ROUNDS = 500;
  private static final int MANY = 64; // pieces

  private Scaling() {}

  public static void main(String[] args) {
    Map<String, String> given = new LinkedHashMap<>();
    for (int i = 0; i < args.length; i += 2) {
      given.put(args[i], args[i + 1]);
    }
    String model = given.getOrDefault("--model", "shakespeare");
    boolean measured = !given.containsKey("--atomic-ns") || !given.containsKey("--message-ns");
    double[] team = measured ? team() : new double[2];
    Machine machine =
        new Machine(
            Integer.parseInt(given.getOrDefault("--nodes", "2")),
            Integer.parseInt(given.getOrDefault("--cores", "32")),
            Double.parseDouble(given.getOrDefault("--gbs", "150")),
            Double.parseDouble(given.getOrDefault("--link", "100")),
            1e6 * Double.parseDouble(given.getOrDefault("--cache-mb", "128")),
            Placement.valueOf(
                given
                    .getOrDefault("--placement", "spread")
                    .toUpperCase(Locale.ROOT)
                    .replace('-', '_')),
            Double.parseDouble(given.getOrDefault("--atomic-ns", "" + team[0])),
            Double.parseDouble(given.getOrDefault("--message-ns", "" + team[1])),
            Double.parseDouble(given.getOrDefault("--remote", "3")));
    List<Loop> loops = trace(model, Integer.parseInt(given.getOrDefault("--steps", "9")));
    System.out.print(report(model, loops, machine));
  }

  /** Nanoseconds of an atomic operation and of a message: empty loops on two threads, the least. */
  private static double[] team() {
    double few = Double.MAX_VALUE;
    double many = Double.MAX_VALUE;
    try (Cpu cpu = Cpu.open(2)) {
      for (int i = 0; i < ROUNDS; i++) {
        few = Math.min(few, empty(cpu, 2));
        many = Math.min(many, empty(cpu, MANY));
      }
    }
    double atomic = Math.max(1, (many - few) / (2 * (MANY - 2)));
    return new double[] {atomic, Math.max(1, (few - 4 * atomic) / 2)};
  }

  private static double empty(Cpu cpu, int pieces) {
    long begin = System.nanoTime();
    cpu.parallel(pieces, 1, (from, to) -> {});
    return System.nanoTime() - begin;
  }

  /** The loops of a step on one thread, with the median of each piece over some steps. */
  private static List<Loop> trace(String model, int count) {
    Operands operands = new Operands();
    operands.threads = 1;
    operands.open();
    try (TrainStep step = new TrainStep(model, operands)) {
      for (int i = 0; i < 2 * count; i++) {
        step.run();
      }
      List<List<LoopTrace.Loop>> steps = new ArrayList<>();
      List<Double> bytes = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        bytes.clear();
        try (LoopTrace trace = new LoopTrace(operands.cpu())) {
          step.watch(tape -> Probe.on(tape, new Labels(trace, step.model(), bytes)));
          step.run();
          // The norm reads each gradient once; AdamW reads and writes w, m, v and the gradient.
          share(bytes, trace.label("clip and update"), 36.0 * step.parameters());
          steps.add(trace.loops());
        }
      }
      step.watch(tape -> {});
      return medians(steps, bytes);
    } finally {
      operands.close();
    }
  }

  /** Tells a trace whose loops it has seen. */
  private record Labels(LoopTrace trace, Transformer model, List<Double> bytes) implements Probe {
    @Override
    public void forward(Step step, long nanos) {
      share(bytes, trace.label(step.name()), OpBytes.forward(step, model));
    }

    @Override
    public void backward(Step step, long nanos) {
      share(bytes, trace.label(step.name() + ", backward"), OpBytes.backward(step, model));
    }
  }

  /** The bytes of a function over its loops, as long as they take. */
  private static void share(List<Double> bytes, List<LoopTrace.Loop> loops, double all) {
    double nanos = Math.max(1, loops.stream().mapToLong(LoopTrace.Loop::nanos).sum());
    loops.forEach(loop -> bytes.add(all * loop.nanos() / nanos));
  }

  private static List<Loop> medians(List<List<LoopTrace.Loop>> steps, List<Double> bytes) {
    List<Loop> loops = new ArrayList<>();
    for (int i = 0; i < steps.getFirst().size(); i++) {
      int at = i;
      double[][] pieces = new double[steps.size()][];
      double[] gaps = new double[steps.size()];
      Arrays.setAll(
          pieces, s -> Arrays.stream(steps.get(s).get(at).pieceNanos()).asDoubleStream().toArray());
      Arrays.setAll(gaps, s -> at == 0 ? 0 : steps.get(s).get(at).gapNanos());
      double[] each = new double[pieces[0].length];
      Arrays.setAll(each, p -> median(Arrays.stream(pieces).mapToDouble(of -> of[p]).toArray()));
      loops.add(new Loop(steps.getFirst().get(at).label(), median(gaps), each, bytes.get(at)));
    }
    return loops;
  }

  private static double median(double... values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }

  private static String report(String model, List<Loop> loops, Machine m) {
    StringBuilder out = new StringBuilder();
    line(
        out,
        "`%s`, %d loops of %d pieces in all; %d nodes of %d cores and %.0f GB/s, link %.0f GB/s,"
            + " cache %.0f MB a node, pages %s; atomic %.0f ns, message %.0f ns, between nodes"
            + " %.1f times that.",
        model,
        loops.size(),
        loops.stream().mapToInt(l -> l.pieceNanos().length).sum(),
        m.nodes(),
        m.cores(),
        m.nodeGbs(),
        m.linkGbs(),
        m.cacheBytes() / 1e6,
        m.placement().name().toLowerCase(Locale.ROOT).replace('_', ' '),
        m.atomicNanos(),
        m.messageNanos(),
        m.remote());
    line(out, "");
    line(
        out,
        "| threads | ms, simulated | speed-up | efficiency | serial | too few pieces | team | memory"
            + " |");
    line(out, "|---|---|---|---|---|---|---|---|");
    double one = TeamModel.step(loops, 1, m).nanos();
    int half = 1;
    int best = 1;
    double least = one;
    for (int threads = 1; threads <= 128; threads *= 2) {
      Time t = TeamModel.step(loops, threads, m);
      double speedUp = one / t.nanos();
      half = speedUp >= threads / 2.0 ? threads : half;
      if (t.nanos() < least) {
        least = t.nanos();
        best = threads;
      }
      line(
          out,
          "| %d | %.3f | %.2f | %.0f %% | %.0f %% | %.0f %% | %.0f %% | %.0f %% |",
          threads,
          t.nanos() / 1e6,
          speedUp,
          100 * speedUp / threads,
          100 * t.serial() / t.nanos(),
          100 * t.pieces() / t.nanos(),
          100 * t.team() / t.nanos(),
          100 * t.memory() / t.nanos());
    }
    line(out, "");
    line(
        out,
        "Half of each core is still of use with %d threads; the least time has %d.",
        half,
        best);
    line(out, "");
    operators(out, loops, m);
    return out.toString();
  }

  private static void operators(StringBuilder out, List<Loop> loops, Machine m) {
    Map<String, List<Loop>> byOp = new LinkedHashMap<>();
    loops.forEach(l -> byOp.computeIfAbsent(l.op(), _ -> new ArrayList<>()).add(l));
    line(
        out,
        "| function | ms on 1 | ms on %d | speed-up | most pieces of a loop | held back by |",
        WIDE);
    line(out, "|---|---|---|---|---|---|");
    byOp.entrySet().stream()
        .sorted(
            (a, b) ->
                Double.compare(
                    TeamModel.step(b.getValue(), WIDE, m).nanos(),
                    TeamModel.step(a.getValue(), WIDE, m).nanos()))
        .limit(8)
        .forEach(
            e -> {
              double one = TeamModel.step(e.getValue(), 1, m).nanos();
              Time wide = TeamModel.step(e.getValue(), WIDE, m);
              line(
                  out,
                  "| %s | %.3f | %.3f | %.1f | %d | %s |",
                  e.getKey(),
                  one / 1e6,
                  wide.nanos() / 1e6,
                  one / wide.nanos(),
                  e.getValue().stream().mapToInt(l -> l.pieceNanos().length).max().orElse(0),
                  largest(wide));
            });
  }

  private static String largest(Time t) {
    double most = Math.max(Math.max(t.serial(), t.pieces()), Math.max(t.team(), t.memory()));
    if (t.work() >= most) {
      return "its work";
    }
    if (most == t.serial()) {
      return "what one thread does";
    }
    if (most == t.pieces()) {
      return "too few pieces";
    }
    return most == t.team() ? "the team" : "memory";
  }

  private static void line(StringBuilder out, String format, Object... values) {
    out.append(String.format(Locale.ROOT, format, values)).append('\n');
  }
}
