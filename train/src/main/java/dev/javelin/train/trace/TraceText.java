package dev.javelin.train.trace;

import dev.javelin.train.trace.Event.Access;
import dev.javelin.train.trace.Event.Space;
import dev.javelin.train.trace.SourceLines.Line;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A trace as a table: source lines, below each what the thread did there; loops are folded. */
final class TraceText {
  private static final int MOST_PERIOD = 96; // steps of one iteration that folding looks for
  private static final int LEAST_REPEATS = 4;
  private static final int MOST_SOURCE = 130;

  private final KernelTrace trace;
  private final boolean unfolded;
  private final List<String> out = new ArrayList<>();
  private @Nullable Line shown;
  private boolean any;

  TraceText(KernelTrace trace, boolean unfolded) {
    this.trace = trace;
    this.unfolded = unfolded;
  }

  String text() {
    out.addAll(trace.head());
    List<Step> steps = trace.all();
    for (int i = 0; i < steps.size(); ) {
      int period = unfolded ? 0 : period(steps, i);
      if (period == 0) {
        show(steps.get(i++));
        continue;
      }
      int repeats = repeats(steps, i, period);
      steps.subList(i, i + period).forEach(this::show);
      fold(steps, i, period, repeats);
      i += period * repeats;
    }
    summary(steps);
    return String.join("\n", out) + "\n";
  }

  private static boolean alike(Step a, Step b) {
    return a.kind().equals(b.kind());
  }

  /** How often the steps from i on repeat. */
  private static int repeats(List<Step> steps, int i, int period) {
    int end = i + period;
    while (end < steps.size() && alike(steps.get(end), steps.get(end - period))) {
      end++;
    }
    return (end - i) / period;
  }

  /** The shortest that repeats often enough to be folded; 0 where there is none. */
  private static int period(List<Step> steps, int i) {
    for (int p = 1; p <= MOST_PERIOD && i + p * LEAST_REPEATS <= steps.size(); p++) {
      if (repeats(steps, i, p) >= LEAST_REPEATS) {
        return p;
      }
    }
    return 0;
  }

  private void show(Step s) {
    source(s.line());
    String what = s.what() + (s.where().isEmpty() ? "" : " " + s.where());
    out.add("%5d  %-28s %s".formatted(s.number(), what, s.values()).stripTrailing());
  }

  private void source(@Nullable Line line) {
    if (any && Objects.equals(line, shown)) {
      return;
    }
    any = true;
    shown = line;
    String text = line == null ? "(no source line)" : line.place() + "  " + line.text();
    out.add("");
    out.add(text.length() > MOST_SOURCE ? text.substring(0, MOST_SOURCE - 2) + " …" : text);
  }

  private void fold(List<Step> steps, int i, int period, int repeats) {
    int last = i + period * (repeats - 1);
    String which =
        steps.subList(last, last + period).stream()
            .filter(s -> !s.where().isEmpty())
            .limit(2)
            .map(Step::where)
            .collect(Collectors.joining(", "));
    out.add(
        "    …  %d more times%s, to step %d%s%s"
            .formatted(
                repeats - 1,
                period == 1 ? "" : " these " + period + " steps",
                last + period,
                which.isEmpty() ? "" : ": " + which + (period > 2 ? ", …" : ""),
                period == 1 ? trace.apart(steps.subList(i, last + 1)) : ""));
  }

  // Summary ---------------------------------------------------------------------------------------

  private void summary(List<Step> steps) {
    Map<String, List<Step>> groups = new LinkedHashMap<>();
    for (Step s : steps) {
      groups.computeIfAbsent(s.what() + " " + s.of(), _ -> new ArrayList<>()).add(s);
    }
    out.add("");
    out.add("summary: " + count(steps.size(), "step"));
    groups.forEach((name, of) -> out.add(line(name.strip(), of)));
  }

  private String line(String name, List<Step> of) {
    int bytes = of.stream().mapToInt(Step::bytes).sum();
    StringBuilder text = new StringBuilder("  %-20s %s".formatted(name, count(of.size(), "time")));
    if (bytes > 0) {
      text.append(", ").append(bytes).append(" bytes");
    }
    if (of.getFirst().event() instanceof Access a && a.space() == Space.GLOBAL) {
      text.append("; the first: ").append(Coalescing.of(trace.besides(of.getFirst())));
    }
    return text.toString();
  }

  private static String count(int n, String what) {
    return n + " " + what + (n == 1 ? "" : "s");
  }
}
