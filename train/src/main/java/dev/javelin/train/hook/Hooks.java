package dev.javelin.train.hook;

import dev.javelin.tensor.step.StepState;
import dev.javelin.train.monitor.RunEvent;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.ObjDoubleConsumer;

/** Several hooks as one, in their order; after a step, the first that wants something decides. */
public record Hooks(List<StepHook> all) implements StepHook {
  public Hooks {
    all = List.copyOf(all);
  }

  @Override
  public String name() {
    return "hooks";
  }

  @Override
  public void begin(long step, long place, int rows) {
    for (StepHook h : all) {
      h.begin(step, place, rows);
    }
  }

  @Override
  public void accumulated(int micro, StepState state) {
    for (StepHook h : all) {
      h.accumulated(micro, state);
    }
  }

  @Override
  public void gradient(StepState state) {
    for (StepHook h : all) {
      h.gradient(state);
    }
  }

  @Override
  public void decided(StepState state) {
    for (StepHook h : all) {
      h.decided(state);
    }
  }

  @Override
  public void updated(StepState state) {
    for (StepHook h : all) {
      h.updated(state);
    }
  }

  @Override
  public After after(long step) {
    After first = After.GO_ON;
    for (StepHook h : all) {
      After after = h.after(step);
      first = first instanceof After.GoOn ? after : first;
    }
    return first;
  }

  @Override
  public void events(Consumer<RunEvent> out) {
    for (StepHook h : all) {
      h.events(out);
    }
  }

  @Override
  public void measure(ObjDoubleConsumer<String> out) {
    for (StepHook h : all) {
      h.measure(out);
    }
  }

  @Override
  public void write(Path directory) throws IOException {
    for (StepHook h : all) {
      h.write(directory);
    }
  }

  @Override
  public void read(Path directory) {
    for (StepHook h : all) {
      h.read(directory);
    }
  }

  @Override
  public void close() {
    for (StepHook h : all) {
      h.close();
    }
  }
}
