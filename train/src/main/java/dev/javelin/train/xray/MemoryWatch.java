package dev.javelin.train.xray;

import dev.javelin.autograd.Probe;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.xray.Xray.Event;
import dev.javelin.train.xray.Xray.Range;
import java.util.ArrayList;
import java.util.List;

/** Which event asked for a range of the workspace, and which was the last to use it. */
final class MemoryWatch implements Probe {
  private final Workspace workspace;
  private final List<Event> events = new ArrayList<>();
  private final List<Long> live = new ArrayList<>();
  private final List<Integer> from = new ArrayList<>();
  private final List<Integer> to = new ArrayList<>();
  private List<Integer> alive = new ArrayList<>();

  MemoryWatch(Workspace workspace) {
    this.workspace = workspace;
  }

  @Override
  public void forward(Step step, long nanos) {
    begin(new Event(step.index(), false));
    look();
  }

  @Override
  public void gradient(Step step) {
    look(); // what the function before has released
    begin(new Event(step.index(), true));
  }

  @Override
  public void backward(Step step, long nanos) {
    look();
  }

  private void begin(Event event) {
    events.add(event);
    live.add(workspace.liveBytes());
  }

  /** What was asked for and released since the last look belongs to the event that is running. */
  private void look() {
    int now = events.size() - 1;
    if (now < 0) {
      return;
    }
    for (int i = from.size(); i < workspace.mark(); i++) {
      from.add(now);
      to.add(now);
      alive.add(i);
    }
    List<Integer> still = new ArrayList<>();
    for (int i : alive) {
      if (workspace.isAlive(i)) {
        still.add(i);
      } else {
        to.set(i, now);
      }
    }
    alive = still;
    live.set(now, workspace.liveBytes());
  }

  /**
   * What was seen, once the pass is over and before the workspace is reset.
   *
   * @param parameterBytes of weights, gradients and masters
   * @param optimizerBytes of the rule's state
   */
  Xray.MemoryPicture picture(long parameterBytes, long optimizerBytes) {
    look();
    alive.forEach(i -> to.set(i, events.size() - 1));
    List<Range> ranges = new ArrayList<>();
    List<Workspace.Request> requests = workspace.requests();
    int slabs = requests.stream().mapToInt(Workspace.Request::slab).max().orElse(-1) + 1;
    long[] extents = new long[slabs];
    for (int i = 0; i < requests.size(); i++) {
      Workspace.Request r = requests.get(i);
      extents[r.slab()] = Math.max(extents[r.slab()], r.offset() + r.bytes());
      ranges.add(new Range(r.owner(), r.slab(), r.offset(), r.bytes(), from.get(i), to.get(i)));
    }
    return new Xray.MemoryPicture(
        extents,
        events,
        ranges,
        live.stream().mapToLong(b -> b).toArray(),
        workspace.peakBytes(),
        parameterBytes,
        optimizerBytes);
  }

  /** Ranges that a function asked for in its forward pass. */
  List<Integer> ofForward(int op) {
    List<Integer> ranges = new ArrayList<>();
    for (int i = 0; i < from.size(); i++) {
      Event event = events.get(from.get(i));
      if (!event.backward() && event.op() == op) {
        ranges.add(i);
      }
    }
    return ranges;
  }
}
