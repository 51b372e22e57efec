package dev.javelin.bench;

import dev.javelin.bench.SmSimulation.Await;
import dev.javelin.bench.SmSimulation.Counter;
import dev.javelin.bench.SmSimulation.Load;
import dev.javelin.bench.SmSimulation.Multiply;
import dev.javelin.bench.SmSimulation.Op;
import dev.javelin.bench.SmSimulation.Signal;
import dev.javelin.bench.SmSimulation.Work;
import java.util.ArrayList;
import java.util.List;

/**
 * One of the two kernels of attention's backward pass on {@code wgmma}, as {@code
 * attention_backward_hopper.cu} lays it out: a block has 128 rows of queries or keys, columns of
 * the other come by, and each of two warpgroups computes scores and dP, then sums. A block ends
 * after its rows.
 *
 * @param dim features of a head
 * @param columns of a tile
 * @param stages of each of the two rings
 * @param ofKeys dk and dv, two sums; otherwise dq
 * @param loop its main loop, a tile a pass
 */
record BackwardPipeline(int dim, int columns, int stages, boolean ofKeys, LoopCounts loop) {
  private static final int ELEMENT = 2; // bytes
  private static final int ROWS = 128;
  private static final int CONSUMERS = 2;
  private static final int THREADS = 128; // of a warpgroup

  /** Compare and select, where a tile is masked. */
  private static final double MASK = 2;

  /** {@code heads} of the rows, {@code group} heads of columns for each; causal. */
  Prediction predict(SmMachine sm, double flops, int heads, int group, int steps) {
    List<Integer> tiles =
        AttentionPipeline.Items.busiest(sm.multiprocessors(), heads, 1, steps, ROWS, columns, true);
    return Prediction.of(sm, flops, 1, _ -> programs(sm, tiles, group, steps));
  }

  /** What the agents wait for. */
  private static final class Shared {
    final Counter rows = new Counter();
    final Counter firstFilled = new Counter(); // q or k of the columns
    final Counter secondFilled = new Counter(); // dy or v
    final List<Counter> firstFreed = List.of(new Counter(), new Counter());
    final List<Counter> secondFreed = List.of(new Counter(), new Counter());
    final List<Counter> ended = List.of(new Counter(), new Counter());
  }

  private List<List<Op>> programs(SmMachine sm, List<Integer> items, int group, int steps) {
    Shared s = new Shared();
    List<List<Op>> all = new ArrayList<>();
    all.add(producer(sm, s, items, group, steps));
    for (int c = 0; c < CONSUMERS; c++) {
      all.add(consumer(c, sm, s, items, group));
    }
    return all;
  }

  /** Columns come from memory once for the blocks of rows of a head. */
  private List<Op> producer(SmMachine sm, Shared s, List<Integer> items, int group, int steps) {
    List<Op> program = new ArrayList<>();
    double bytes = (double) ELEMENT * columns * dim;
    double first = 1.0 / Math.ceilDiv(steps, ROWS);
    int loaded = 0;
    for (int i = 0; i < items.size(); i++) {
      AttentionPipeline.awaitAll(program, s.ended, i);
      program.add(Work.pause(SmMachine.BLOCK_START));
      program.add(AttentionPipeline.load(sm, 2.0 * ELEMENT * ROWS * dim, 1, s.rows));
      for (int t = 0; t < items.get(i) * group; t++) {
        loaded++;
        AttentionPipeline.awaitAll(program, s.firstFreed, loaded - stages);
        program.add(AttentionPipeline.load(sm, bytes, first, s.firstFilled));
        AttentionPipeline.awaitAll(program, s.secondFreed, loaded - stages);
        program.add(AttentionPipeline.load(sm, bytes, first, s.secondFilled));
      }
    }
    return program;
  }

  private List<Op> consumer(int c, SmMachine sm, Shared s, List<Integer> items, int group) {
    List<Op> program = new ArrayList<>();
    Counter scores = new Counter();
    Counter gradients = new Counter(); // dP
    Counter sums = new Counter();
    Counter stored = new Counter();
    int tile = 0;
    double each = 64.0 * columns / THREADS;
    double special = each * SmMachine.MUFU_CLOCKS;
    double exponentials = 2 * each + loop.lds(); // scale and subtract, exponential
    double rest = loop.all() - loop.hgmma() - exponentials;
    for (int i = 0; i < items.size(); i++) {
      program.add(new Await(s.rows, i + 1, SmMachine.BARRIER_TRIP));
      for (int t = 0; t < items.get(i) * group; t++) {
        boolean masked = t % items.get(i) * columns < ROWS;
        tile++;
        program.add(new Await(s.secondFilled, tile, 0));
        program.add(new Await(s.firstFilled, tile, SmMachine.BARRIER_TRIP));
        program.add(Work.pause(SmMachine.WGMMA_START));
        program.add(columnProduct(scores));
        program.add(columnProduct(gradients));
        program.add(new Await(scores, tile, 0));
        double slots = exponentials + (masked ? MASK * each : 0);
        program.add(new Work(Math.max(slots, special), 0, slots, special, 0, 0));
        program.add(new Await(gradients, tile, 0));
        if (!ofKeys) {
          program.add(new Signal(s.secondFreed.get(c)));
        }
        program.add(new Work(rest, 0, rest, 0, 0, 0));
        program.add(Work.pause(SmMachine.WGMMA_START));
        program.add(sumProduct(sums));
        if (ofKeys) {
          program.add(sumProduct(sums));
        }
        program.add(new Await(sums, (long) tile * (ofKeys ? 2 : 1), 0));
        program.add(new Signal(s.firstFreed.get(c)));
        if (ofKeys) {
          program.add(new Signal(s.secondFreed.get(c)));
        }
      }
      results(program, sm, stored);
      program.add(new Await(stored, i + 1, 0));
      program.add(new Signal(s.ended.get(c)));
    }
    return program;
  }

  /** A warpgroup's rows by a tile's columns, both from shared memory. */
  private Multiply columnProduct(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * 64 * columns * 16);
    return new Multiply(dim / 16, clocks, shared(ELEMENT * 16.0 * (64 + columns)), 0, done);
  }

  /** The first operand is in registers. */
  private Multiply sumProduct(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * 64 * dim * 16);
    return new Multiply(columns / 16, clocks, shared(ELEMENT * 16.0 * dim), 0, done);
  }

  private static double shared(double bytes) {
    return bytes / SmMachine.SHARED_BYTES_PER_CLOCK;
  }

  /** Scaled, to shared memory, and from there by a bulk store. */
  private void results(List<Op> program, SmMachine sm, Counter stored) {
    double bytes = (double) ELEMENT * 64 * dim * (ofKeys ? 2 : 1);
    double sums = bytes / ELEMENT / THREADS;
    program.add(Work.pause(SmMachine.BLOCK_BARRIER));
    program.add(new Work(Math.max(2 * sums, shared(bytes)), 0, 2 * sums, 0, shared(bytes), 0));
    program.add(Work.pause(SmMachine.BLOCK_BARRIER));
    Load store = AttentionPipeline.load(sm, bytes, 1, stored);
    program.add(store);
  }
}
