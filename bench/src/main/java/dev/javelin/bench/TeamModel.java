package dev.javelin.bench;

import java.util.Arrays;
import java.util.List;
import java.util.PriorityQueue;

/**
 * A step on a team of any size, simulated from what it is on one thread: loops whose pieces are
 * claimed one by one, as {@link dev.javelin.device.Parallel} does it. The pieces of a loop are the
 * same for any number of threads, which is what keeps sums the same; a loop of fewer pieces than
 * threads leaves threads idle.
 *
 * <ul>
 *   <li>A claim and the report of a finished piece are one atomic operation each on a line that all
 *       threads share: they follow one another, however many threads there are. (A team claims most
 *       pieces on a line of the thread's own, which costs less.)
 *   <li>A loop begins and ends with a message between cores.
 *   <li>A loop takes at least as long as memory needs for its bytes, unless these fit the caches of
 *       the nodes in use. What one thread waits for memory is in the pieces' times already.
 * </ul>
 *
 * <p>Left out: lower clocks when many cores work, shared caches that get smaller for each, other
 * programs.
 */
final class TeamModel {
  private TeamModel() {}

  /** Where the pages of tensors are. */
  enum Placement {
    /** Each on the node of the thread that uses it. */
    LOCAL,
    /** Over all nodes evenly, and any thread takes any piece: one of n accesses is local. */
    SPREAD,
    /** All on one node, as where one thread has touched all of them first. */
    ONE_NODE
  }

  /**
   * @param nodes of memory, filled with threads one after the other
   * @param cores of a node
   * @param nodeGbs memory bandwidth of a node, GB/s; may be infinite
   * @param linkGbs between the nodes, all together, GB/s; may be infinite
   * @param cacheBytes last-level cache of a node
   * @param placement of pages
   * @param atomicNanos an atomic operation on a shared line, within a node
   * @param messageNanos from a write on one core to its being seen on another, within a node
   * @param remote how many times as long both take between nodes
   */
  record Machine(
      int nodes,
      int cores,
      double nodeGbs,
      double linkGbs,
      double cacheBytes,
      Placement placement,
      double atomicNanos,
      double messageNanos,
      double remote) {

    int nodesOf(int threads) {
      return Math.min(nodes, Math.ceilDiv(threads, cores));
    }

    /** Bytes a nanosecond for so many threads. */
    double bandwidth(int threads) {
      int used = nodesOf(threads);
      double across = 1 - 1.0 / used; // of all accesses, unless local
      double link = across == 0 ? Double.POSITIVE_INFINITY : linkGbs / across;
      return switch (placement) {
        case LOCAL -> used * nodeGbs;
        case SPREAD -> Math.min(used * nodeGbs, link);
        case ONE_NODE -> Math.min(nodeGbs, link);
      };
    }

    private double distance(int threads) {
      return nodesOf(threads) > 1 ? remote : 1;
    }
  }

  /**
   * @param op whose it is
   * @param serialNanos before it, on one thread
   * @param pieceNanos on one thread
   * @param bytes that it moves
   */
  record Loop(String op, double serialNanos, double[] pieceNanos, double bytes) {
    double nanos() {
      return Arrays.stream(pieceNanos).sum();
    }
  }

  /**
   * Nanoseconds of a step, taken apart: the time is the sum of all five.
   *
   * @param serial what one thread does
   * @param work all pieces, over the number of threads
   * @param pieces threads idle, since pieces are too few or unequal
   * @param team claims, reports and messages
   * @param memory waiting for memory beyond that
   */
  record Time(double serial, double work, double pieces, double team, double memory) {
    static final Time NONE = new Time(0, 0, 0, 0, 0);

    double nanos() {
      return serial + work + pieces + team + memory;
    }

    Time plus(Time t) {
      return new Time(
          serial + t.serial, work + t.work, pieces + t.pieces, team + t.team, memory + t.memory);
    }
  }

  static Time step(List<Loop> loops, int threads, Machine machine) {
    return loops.stream().map(l -> loop(l, threads, machine)).reduce(Time.NONE, Time::plus);
  }

  static Time loop(Loop loop, int threads, Machine machine) {
    double all = loop.nanos();
    double work = all / threads;
    double even = all;
    double shared = all;
    if (threads > 1 && loop.pieceNanos.length > 1) {
      double distance = machine.distance(threads);
      even = makespan(loop.pieceNanos, threads, 0, 0);
      shared =
          makespan(
              loop.pieceNanos,
              threads,
              machine.atomicNanos * distance,
              machine.messageNanos * distance);
    }
    boolean cached = loop.bytes <= machine.cacheBytes * machine.nodesOf(threads);
    double memory = cached ? 0 : loop.bytes / machine.bandwidth(threads);
    return new Time(
        loop.serialNanos, work, even - work, shared - even, Math.max(0, memory - shared));
  }

  /** Until the caller knows that all pieces are done. */
  static double makespan(double[] pieces, int threads, double atomic, double message) {
    PriorityQueue<Double> free = new PriorityQueue<>(); // when each thread may claim
    free.add(0.0); // the caller
    for (int i = 1; i < Math.min(threads, pieces.length); i++) {
      free.add(message);
    }
    double ticket = 0; // when the line of claims is free
    double[] ends = new double[pieces.length];
    for (int i = 0; i < pieces.length; i++) {
      ticket = Math.max(ticket, free.remove()) + atomic;
      ends[i] = ticket + pieces[i];
      free.add(ends[i] + atomic); // its report
    }
    Arrays.sort(ends);
    double reported = 0; // when the line of reports is free
    for (double end : ends) {
      reported = Math.max(reported, end) + atomic;
    }
    return reported + message;
  }
}
