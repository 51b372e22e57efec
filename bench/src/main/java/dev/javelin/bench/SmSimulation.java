package dev.javelin.bench;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.PriorityQueue;
import org.jspecify.annotations.Nullable;

/**
 * One multiprocessor, event by event. Agents (a producer, warpgroups, or blocks whose warps go in
 * step) each run a list of operations; the tensor cores serve {@code wgmma} of agents in turn, the
 * L2 cache serves loads one after another, and work of the agents shares the issue slots, the
 * special function units and shared memory in proportion to what it asks for. What {@code wgmma}
 * reads of shared memory is counted and is in nobody's way; what bulk copies bring is not counted.
 *
 * <p>The register file is shared too: an instruction of a warp takes the operand reads of one
 * clock, which the tensor core of that quarter then goes without.
 */
final class SmSimulation {

  /** What only rises: arrivals, bytes' stages, finished products. */
  static final class Counter {
    private long value;
  }

  /** What an agent does next. */
  sealed interface Op {}

  /** Until the counter has come so far, and then the trip of the news. */
  record Await(Counter counter, long value, double trip) implements Op {}

  record Signal(Counter counter) implements Op {}

  /**
   * So many {@code wgmma}, asynchronously.
   *
   * @param clocks of the tensor cores for each
   * @param shared clocks of shared memory for each: its operands' way
   * @param issue slots of each quarter for all that surrounds them; what computes addresses in
   *     uniform registers takes no operand from the tensor cores
   */
  record Multiply(int count, double clocks, double shared, double issue, Counter done)
      implements Op {
    Multiply(int count, double clocks, Counter done) {
      this(count, clocks, 0, 0, done);
    }
  }

  /**
   * Asynchronously: so many clocks of the L2 cache, then a latency.
   *
   * @param dram clocks of this multiprocessor's share of memory
   */
  record Load(double clocks, double latency, double dram, Counter done) implements Op {
    Load(double clocks, double latency, Counter done) {
      this(clocks, latency, 0, done);
    }
  }

  /**
   * Takes {@code clocks} where nothing is in the way. The rest is what it asks of units, in their
   * clocks.
   *
   * @param tensor of {@code mma.sync}
   * @param issue slots of each quarter
   * @param mufu of special function units
   * @param shared of shared memory
   * @param l2 of the L2 cache's share
   */
  record Work(double clocks, double tensor, double issue, double mufu, double shared, double l2)
      implements Op {
    static Work pause(double clocks) {
      return new Work(clocks, 0, 0, 0, 0, 0);
    }
  }

  /** Clocks that each unit was busy, and all of them. */
  record Use(
      double clocks,
      double tensor,
      double issue,
      double mufu,
      double shared,
      double l2,
      double dram) {

    /** This and `times` of another. */
    Use plus(double times, Use u) {
      return new Use(
          clocks + times * u.clocks,
          tensor + times * u.tensor,
          issue + times * u.issue,
          mufu + times * u.mufu,
          shared + times * u.shared,
          l2 + times * u.l2,
          dram + times * u.dram);
    }
  }

  private static final double DONE = 1e-7; // clocks

  private record Event(double at, Counter counter) {}

  private static final class Agent {
    final List<Op> program;
    final Deque<Multiply> products = new ArrayDeque<>();
    int next;
    @Nullable Work work;
    double left; // of the work, or of the trip of a barrier's news
    int multiplied; // of the first product

    Agent(List<Op> program) {
      this.program = program;
    }
  }

  private final List<Agent> agents = new ArrayList<>();
  private final PriorityQueue<Event> events =
      new PriorityQueue<>(Comparator.comparingDouble(Event::at));
  private double now;
  private double loadsFree; // when the L2 cache is free for the next load
  private double tensorLeft; // of the wgmma that runs
  private int turn = -1; // whose it is
  private int lastTurn = -1;
  private double tensorBusy;
  private double issued;
  private double mufu;
  private double shared;
  private double l2;
  private double dram;

  private SmSimulation(List<List<Op>> programs) {
    programs.forEach(p -> agents.add(new Agent(p)));
  }

  /** Until all agents are through. Fails where they wait for each other. */
  static Use run(List<List<Op>> programs) {
    SmSimulation s = new SmSimulation(programs);
    while (s.step()) {}
    return new Use(s.now, s.tensorBusy, s.issued, s.mufu, s.shared, s.l2, s.dram);
  }

  private boolean step() {
    boolean changed = true;
    while (changed) {
      changed = false;
      for (Agent a : agents) {
        changed |= proceed(a);
      }
    }
    pickProduct();
    if (isOver()) {
      return false;
    }
    advance();
    return true;
  }

  /** All that the agent can do now. */
  private boolean proceed(Agent a) {
    boolean moved = false;
    while (a.work == null && a.next < a.program.size()) {
      switch (a.program.get(a.next)) {
        case Await w -> {
          if (w.counter.value < w.value) {
            return moved;
          }
          begin(a, Work.pause(w.trip));
        }
        case Signal s -> s.counter.value++;
        case Multiply m -> {
          a.products.add(m);
          issued += m.issue;
          shared += m.count * m.shared;
        }
        case Load load -> {
          loadsFree = Math.max(now, loadsFree) + load.clocks;
          l2 += load.clocks;
          dram += load.dram;
          events.add(new Event(loadsFree + load.latency, load.done));
        }
        case Work w -> begin(a, w);
      }
      a.next++;
      moved = true;
    }
    return moved;
  }

  private static void begin(Agent a, Work w) {
    if (w.clocks > 0) {
      a.work = w;
      a.left = w.clocks;
    }
  }

  /** The next agent's turn at the tensor cores. */
  private void pickProduct() {
    for (int i = 1; turn < 0 && i <= agents.size(); i++) {
      int candidate = (lastTurn + i) % agents.size();
      if (!agents.get(candidate).products.isEmpty()) {
        turn = candidate;
        tensorLeft = agents.get(candidate).products.getFirst().clocks;
      }
    }
  }

  private boolean isOver() {
    boolean idle = turn < 0 && events.isEmpty() && agents.stream().allMatch(a -> a.work == null);
    if (idle && agents.stream().anyMatch(a -> a.next < a.program.size())) {
      throw new IllegalStateException("agents wait for each other at clock " + now);
    }
    return idle;
  }

  private void advance() {
    double tensor = 0;
    double issue = 0;
    double special = 0;
    double memory = 0;
    double cache = 0;
    for (Agent a : agents) {
      if (a.work != null) {
        tensor += a.work.tensor / a.work.clocks;
        issue += a.work.issue / a.work.clocks;
        special += a.work.mufu / a.work.clocks;
        memory += a.work.shared / a.work.clocks;
        cache += a.work.l2 / a.work.clocks;
      }
    }
    double registers = tensor + issue;
    double wgmmaSpeed = turn < 0 ? 0 : Math.max(0.05, 1 - Math.min(1, issue));
    double dt = events.isEmpty() ? Double.POSITIVE_INFINITY : events.peek().at - now;
    if (turn >= 0) {
      dt = Math.min(dt, tensorLeft / wgmmaSpeed);
    }
    double[] speeds = new double[agents.size()];
    for (int i = 0; i < speeds.length; i++) {
      Work w = agents.get(i).work;
      if (w != null) {
        double slowest = 1;
        slowest = w.tensor + w.issue > 0 ? Math.max(slowest, registers) : slowest;
        slowest = w.mufu > 0 ? Math.max(slowest, special) : slowest;
        slowest = w.shared > 0 ? Math.max(slowest, memory) : slowest;
        slowest = w.l2 > 0 ? Math.max(slowest, cache) : slowest;
        speeds[i] = 1 / slowest;
        dt = Math.min(dt, agents.get(i).left / speeds[i]);
      }
    }
    dt = Math.max(dt, 0);
    now += dt;
    for (int i = 0; i < speeds.length; i++) {
      Agent a = agents.get(i);
      Work w = a.work;
      if (w != null) {
        double part = dt * speeds[i] / w.clocks;
        tensorBusy += part * w.tensor;
        issued += part * w.issue;
        mufu += part * w.mufu;
        shared += part * w.shared;
        l2 += part * w.l2;
        a.left -= dt * speeds[i];
        if (a.left < DONE) {
          a.work = null;
        }
      }
    }
    if (turn >= 0) {
      tensorLeft -= dt * wgmmaSpeed;
      tensorBusy += dt * wgmmaSpeed;
      if (tensorLeft < DONE) {
        endProduct(agents.get(turn));
      }
    }
    while (!events.isEmpty() && events.peek().at <= now + DONE) {
      events.remove().counter.value++;
    }
  }

  private void endProduct(Agent a) {
    Multiply m = a.products.getFirst();
    a.multiplied++;
    if (a.multiplied == m.count) {
      a.products.removeFirst();
      a.multiplied = 0;
      events.add(new Event(now + SmMachine.WGMMA_DRAIN, m.done));
    }
    lastTurn = turn;
    turn = -1;
  }
}
