package dev.javelin.train.xray;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.schedule.LearningRate;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Takes X-rays in the course of a training, which has the bits of one without: of the step behind
 * each of some numbers of steps done. They are kept in {@value #RECORDS}, and shown on {@value
 * #PAGE}.
 */
public final class XrayHook implements StepHook {
  /** The page, in the directory of a run. */
  public static final String PAGE = "xray.html";

  /** What stands on it, for programs and for a run that is resumed. */
  public static final String RECORDS = "xray.jsonl";

  private final XrayStep step;
  private final Optimizer optimizer;
  private final LearningRate rate;
  private final Set<Integer> at;
  private final String text;
  private final Path directory;
  private final List<Xray> taken = new ArrayList<>();
  private final List<RunEvent> events = new ArrayList<>();
  private StepState.@Nullable Carried carried;
  private long done;

  /**
   * @param step of the model that is trained
   * @param at numbers of steps done
   * @param directory of the run
   * @throws InputException where the text cannot be shown
   */
  public XrayHook(
      XrayStep step,
      Optimizer optimizer,
      LearningRate rate,
      Set<Integer> at,
      String text,
      Path directory) {
    this.step = step.timing(Duration.ofMillis(500));
    this.optimizer = optimizer;
    this.rate = rate;
    this.at = Set.copyOf(at);
    this.text = text;
    this.directory = directory;
    try {
      step.check(text);
    } catch (InputException e) {
      throw new InputException("--xray-at: " + e.getMessage() + " (--xray-text)", e);
    }
  }

  @Override
  public String name() {
    return "xray";
  }

  @Override
  public void begin(long before, long place, int rows) {
    done = before;
    if (before == 0 && at.contains(0) && taken.isEmpty()) {
      float scale =
          step.settings()
              .optimizer()
              .clip(step.model().precision().lossScaling())
              .scaling()
              .initialScale();
      take(step.during(optimizer, 0, rate.at(0), new StepState.Carried(scale, 0, 0, 0)), 0);
    }
  }

  @Override
  public void updated(StepState state) {
    carried = at.contains((int) done + 1) ? state.carried() : null;
  }

  @Override
  public After after(long now) {
    StepState.Carried from = carried;
    if (from != null) {
      carried = null;
      take(step.during(optimizer, now, rate.at(now), from), now);
    }
    return After.GO_ON;
  }

  private void take(XrayStep from, long now) {
    taken.removeIf(x -> x.subject().step() >= now);
    taken.add(from.on(text));
    XrayFile.write(directory.resolve(RECORDS), taken);
    try {
      AtomicFile.write(directory.resolve(PAGE), XrayPage.of(taken));
      events.add(new RunEvent(now, name(), "an X-ray of step " + (now + 1) + " is in " + PAGE));
    } catch (IllegalArgumentException e) { // more than a page holds
      events.add(new RunEvent(now, name(), PAGE + " stays as it is: " + e.getMessage()));
    }
  }

  @Override
  public void events(Consumer<RunEvent> out) {
    events.forEach(out);
    events.clear();
  }

  /** Goes on with those up to the checkpoint. */
  @Override
  public void read(Path checkpoint) {
    taken.clear();
    Path records = directory.resolve(RECORDS);
    if (Files.exists(records)) {
      taken.addAll(XrayFile.read(records));
    }
  }
}
