package dev.javelin.cli;

import dev.javelin.tensor.io.Printable;
import dev.javelin.train.monitor.Lines;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.LongConsumer;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** A progress bar with loss, tokens per second and the time left; notes scroll by above it. */
final class Terminal implements Watcher {
  private static final int FALLBACK_WIDTH = 100;

  private final PrintStream out;
  private final ProgressBar bar;
  private @Nullable Double lastEval;

  private Terminal(PrintStream out, long startStep, long maxSteps) {
    this.out = out;
    this.bar = bar("train", out, startStep, maxSteps);
  }

  /** The bar where standard output is a terminal, plain lines otherwise. */
  public static Watcher open(long startStep, long maxSteps) {
    PrintStream out = System.out;
    return isInteractive()
        ? new Terminal(out, startStep, maxSteps)
        : new Lines(maxSteps, out::println);
  }

  /**
   * Runs a task that tells how many of its {@code parts} are done, with a bar on standard error,
   * which leaves standard output to the result; without one where nobody watches.
   */
  public static <R> R withBar(String name, long parts, Function<LongConsumer, R> task) {
    if (!isInteractive()) {
      return task.apply(done -> {});
    }
    try (ProgressBar bar = bar(name, System.err, 0, parts)) {
      return task.apply(bar::stepTo);
    }
  }

  /**
   * Text that a model wrote, as a terminal may have it: lines and tabs as they are, other control
   * characters shown. Where nobody watches it is left as it is.
   */
  static String text(String written) {
    return isInteractive() ? harmless(written) : written;
  }

  static String harmless(String written) {
    StringBuilder text = new StringBuilder(written.length());
    int from = 0;
    for (int i = 0; i <= written.length(); i++) {
      if (i == written.length() || written.charAt(i) == '\n' || written.charAt(i) == '\t') {
        text.append(Printable.line(written.substring(from, i)));
        text.append(i == written.length() ? "" : written.charAt(i));
        from = i + 1;
      }
    }
    return text.toString();
  }

  static boolean isInteractive() {
    Console console = System.console();
    return console != null && console.isTerminal() && !"dumb".equals(System.getenv("TERM"));
  }

  private static ProgressBar bar(String name, PrintStream out, long start, long max) {
    return new ProgressBarBuilder()
        .setTaskName(name)
        .setInitialMax(max)
        .startsFrom(start, Duration.ZERO)
        .setStyle(ProgressBarStyle.COLORFUL_UNICODE_BAR)
        .setUpdateIntervalMillis(200)
        .setConsumer(new ConsoleProgressBarConsumer(out, width()))
        .build();
  }

  private static int width() {
    String columns = System.getenv("COLUMNS");
    return columns != null && columns.matches("[1-9]\\d{1,3}")
        ? Integer.parseInt(columns)
        : FALLBACK_WIDTH;
  }

  @Override
  public void advanced(long step) {
    bar.stepTo(step);
  }

  @Override
  public void logged(StepMetrics m) {
    lastEval = m.evalLoss() == null ? lastEval : m.evalLoss();
    String val = lastEval == null ? "" : String.format(Locale.ROOT, " val %.3f", lastEval);
    bar.setExtraMessage(
        String.format(Locale.ROOT, "loss %.3f%s %,.0f tok/s", m.loss(), val, m.tokensPerSecond()));
    if (m.evalLoss() != null) {
      note("step " + m.step() + " | " + Lines.brief(m));
    }
  }

  @Override
  public void note(String line) {
    // Clears the bar's line first; the bar draws itself anew below.
    out.print("\r\u001b[2K" + line + System.lineSeparator());
    out.flush();
  }

  @Override
  public void ended() {
    bar.close();
  }

  @Override
  public void close() {
    bar.close();
  }
}
