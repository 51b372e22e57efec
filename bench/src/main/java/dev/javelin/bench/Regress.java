package dev.javelin.bench;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Two builds of the engine against each other, case by case: {@code bench/cpu/regress.sh} starts it
 * from source, so it needs the JDK and {@link Shift} alone.
 *
 * <p>Each build's {@link Compare} runs in processes of its own, in the order A B B A A B B A …:
 * what a compiler makes of a kernel differs from process to process, and a drift of the machine
 * touches both orders alike. Neighbours are a pair. The error of all cases together is 2 %, of each
 * its share of that.
 *
 * <p>Exit code 0: nothing slower; 1: something slower beyond noise and threshold; 2: no result.
 */
public final class Regress {
  private static final double ERROR = 0.02;
  private static final List<String> CASES =
      List.of(
          "matmul 768x384x128-nt",
          "matmul 384x128x768-tn",
          "matmul 1024x1024x1024-nn",
          "op rmsnorm-4096x384",
          "op softmax-24576x256",
          "op cross-entropy-4096x65",
          "op adamw-800000",
          "op attention-16x256x6x64",
          "op attention-backward-16x256x6x64",
          "train shakespeare-cpu",
          "train llama-shakespeare-cpu");

  private static final Pattern ANSWER = Pattern.compile("\"ms\":([0-9.eE+-]+)");
  private static final List<String> JVM =
      List.of(
          "--add-modules=jdk.incubator.vector",
          "--enable-native-access=ALL-UNNAMED",
          "-XX:+UseSerialGC",
          "-XX:NewSize=4m",
          "-XX:MaxNewSize=16m",
          "-Xms16m");

  private Regress() {}

  /** Times of both builds for one case, pair by pair. */
  record Samples(List<Double> base, List<Double> head) {
    Samples() {
      this(new ArrayList<>(), new ArrayList<>());
    }

    Shift shift(double error) {
      return Shift.of(array(base), array(head), error);
    }

    private static double[] array(List<Double> times) {
      return times.stream().mapToDouble(t -> t).toArray();
    }
  }

  /** A table, and whether anything got slower. */
  record Report(String table, boolean slower) {}

  public static void main(String[] args) throws IOException {
    String base = "";
    String head = "";
    int threads = 2;
    int pairs = 16;
    int millis = 200;
    double threshold = 0.03;
    int at = 0;
    for (; at + 1 < args.length && args[at].startsWith("--"); at += 2) {
      String value = args[at + 1];
      switch (args[at]) {
        case "--base" -> base = value;
        case "--head" -> head = value;
        case "--threads" -> threads = Integer.parseInt(value);
        case "--pairs" -> pairs = Integer.parseInt(value);
        case "--millis" -> millis = Integer.parseInt(value);
        case "--threshold" -> threshold = Double.parseDouble(value);
        default -> fail("no such option: " + args[at]);
      }
    }
    List<String> cases = at < args.length ? Arrays.asList(args).subList(at, args.length) : CASES;
    int fewest = Shift.fewestPairs(ERROR / cases.size());
    if (pairs < fewest) {
      fail(
          "%d cases need --pairs %d or more: fewer show nothing beyond noise"
              .formatted(cases.size(), fewest));
    }
    Map<String, Samples> samples = new LinkedHashMap<>();
    for (int pair = 0; pair < pairs; pair++) {
      System.err.printf("pair %d of %d%n", pair + 1, pairs);
      for (boolean first : new boolean[] {true, false}) {
        boolean isBase = first == (pair % 2 == 0);
        List<Double> times = run(isBase ? base : head, threads, millis, cases);
        for (int c = 0; c < times.size(); c++) {
          Samples s = samples.computeIfAbsent(cases.get(c), _ -> new Samples());
          (isBase ? s.base : s.head).add(times.get(c));
        }
      }
    }
    Report report = report(samples, threshold);
    System.out.print(report.table);
    System.exit(report.slower ? 1 : 0);
  }

  private static void fail(String message) {
    System.err.println("regress: " + message);
    System.exit(2);
  }

  /** One process, all cases. */
  private static List<Double> run(String classPath, int threads, int millis, List<String> cases)
      throws IOException {
    List<String> command = new ArrayList<>();
    command.add(System.getProperty("java.home") + File.separator + "bin" + File.separator + "java");
    command.addAll(JVM);
    command.addAll(List.of("-cp", classPath, "dev.javelin.bench.Compare", "" + threads));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    List<Double> times = new ArrayList<>();
    try (BufferedWriter requests = process.outputWriter(StandardCharsets.UTF_8);
        BufferedReader answers = process.inputReader(StandardCharsets.UTF_8)) {
      for (String c : cases) {
        requests.write(c + " " + millis + "\n");
        requests.flush();
        String line = answers.readLine();
        Matcher ms = ANSWER.matcher(line == null ? "" : line);
        if (!ms.find()) {
          throw new IOException("no answer to " + c + " from the build in " + classPath);
        }
        times.add(Double.parseDouble(ms.group(1)));
      }
    } finally {
      process.destroy();
    }
    return times;
  }

  /**
   * @param threshold slower by less is not worth a word: 0.03 for 3 %
   */
  static Report report(Map<String, Samples> samples, double threshold) {
    StringBuilder table = new StringBuilder();
    table.append(
        "| case | base ms | head ms | head / base | interval | |\n|---|---|---|---|---|---|\n");
    double error = ERROR / samples.size();
    boolean slower = false;
    int moved = 0;
    for (Map.Entry<String, Samples> e : samples.entrySet()) {
      Samples s = e.getValue();
      Shift shift = s.shift(error);
      Shift.Verdict verdict = shift.verdict(threshold);
      slower |= verdict == Shift.Verdict.SLOWER;
      moved += verdict == Shift.Verdict.SAME ? 0 : 1;
      table.append(
          String.format(
              Locale.ROOT,
              "| %s | %.3f | %.3f | %.3f | %.3f to %.3f | %s |%n",
              e.getKey(),
              median(s.base),
              median(s.head),
              shift.ratio(),
              shift.low(),
              shift.high(),
              verdict == Shift.Verdict.SAME ? "" : verdict.name().toLowerCase(Locale.ROOT)));
    }
    table.append(
        String.format(
            Locale.ROOT,
            "%n%d of %d cases moved beyond noise (2 %% for all together) and %.0f %%.%n",
            moved,
            samples.size(),
            100 * threshold));
    return new Report(table.toString(), slower);
  }

  private static double median(List<Double> times) {
    double[] sorted = Samples.array(times);
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
