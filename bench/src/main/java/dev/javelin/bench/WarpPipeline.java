package dev.javelin.bench;

import dev.javelin.bench.SmSimulation.Await;
import dev.javelin.bench.SmSimulation.Counter;
import dev.javelin.bench.SmSimulation.Load;
import dev.javelin.bench.SmSimulation.Op;
import dev.javelin.bench.SmSimulation.Work;
import java.util.ArrayList;
import java.util.List;

/**
 * A kernel on {@code mma.sync} and {@code cp.async}: blocks of 4 warps, one for each quarter of the
 * multiprocessor, that load, wait and multiply in step. Its main loop is known by its counts.
 *
 * @param counts of a pass
 * @param blocks on a multiprocessor
 * @param ahead passes whose operands are under way
 * @param before part of a pass's products that its softmax waits for; 1: there is none
 */
record WarpPipeline(LoopCounts counts, int blocks, int ahead, double before) {
  private static final int WARPS = 4;
  private static final int ELEMENT = 2; // bytes
  private static final double MMA_CLOCKS = 16 * 8 * 16 * 2 / (SmMachine.FLOPS_PER_CLOCK / WARPS);
  private static final double COPY_BYTES = 16 * 32;
  private static final double MATRIX_CLOCKS = 4; // of shared memory: four of 8x8, 2 bytes each

  /** A product by tiles of `edge`, each of its k in `parts`; results of `resultBytes` each. */
  Prediction product(SmMachine sm, int m, int n, int k, int edge, int parts, int resultBytes) {
    long tiles = (long) Math.ceilDiv(m, edge) * Math.ceilDiv(n, edge) * parts;
    double rounds = Math.ceilDiv(tiles, (long) sm.multiprocessors() * blocks);
    int passes = Math.ceilDiv(Math.ceilDiv(k, parts), 32);
    double out = parts > 1 ? 4 : resultBytes;
    double share = sm.l2Share(sm.multiprocessors());
    double sums = (double) edge * edge;
    double l2 = sums * out / share;
    double shared = 2 * 4 * sums / SmMachine.SHARED_BYTES_PER_CLOCK; // there and back, in fp32
    double issue = 3 * sums / (WARPS * 32);
    Work end = new Work(Math.max(issue, Math.max(shared, l2)), 0, issue, 0, shared, l2);
    double both = ELEMENT * (double) k * (m + n);
    double loaded = tiles * (double) passes * passBytes();
    double fromMemory =
        both < SmMachine.L2_BYTES ? both / loaded : Math.max(both / loaded, 1.0 / 16);
    Prediction products =
        Prediction.of(
            sm,
            2.0 * m * n * k,
            rounds,
            t -> {
              List<List<Op>> all = new ArrayList<>();
              for (int b = 0; b < blocks; b++) {
                List<Op> program = new ArrayList<>();
                for (int i = 0; i < t; i++) {
                  passes(program, sm, passes, fromMemory);
                  program.add(end);
                }
                all.add(program);
              }
              return all;
            });
    return parts == 1 ? products : products.and(sm.move(4.0 * m * n * (parts + 1)));
  }

  /**
   * Attention, forward or one kernel of the backward pass: blocks of {@code rows}, along which
   * tiles of {@code columns} stream.
   *
   * @param sums of a thread at the end
   */
  Prediction attention(
      SmMachine sm,
      double flops,
      int heads,
      int steps,
      int rows,
      int columns,
      int group,
      boolean causal,
      double sums) {
    List<Integer> items =
        AttentionPipeline.Items.busiest(
            sm.multiprocessors() * blocks, heads, heads, steps, rows, columns, causal);
    Work end = new Work(3 * sums, 0, 3 * sums, 0, 0, 0);
    return Prediction.of(
        sm,
        flops,
        1,
        _ -> {
          List<List<Op>> all = new ArrayList<>();
          for (int b = 0; b < blocks; b++) {
            List<Op> program = new ArrayList<>();
            for (int tiles : items) {
              passes(program, sm, tiles * group, 0);
              program.add(end);
            }
            all.add(program);
          }
          return all;
        });
  }

  private double passBytes() {
    return counts.ldgsts() * COPY_BYTES * WARPS;
  }

  private void passes(List<Op> program, SmMachine sm, int passes, double fromMemory) {
    int running = sm.multiprocessors();
    double load =
        passBytes() * Math.max(1 / sm.l2Share(running), fromMemory / sm.dramShare(running));
    Counter filled = new Counter();
    program.add(Work.pause(SmMachine.BLOCK_START));
    for (int p = 0; p < passes + ahead; p++) {
      if (p < passes) {
        program.add(new Load(load, SmMachine.L2_LATENCY, filled));
      }
      if (p >= ahead) {
        program.add(new Await(filled, p - ahead + 1, 0));
        pass(program);
      }
    }
  }

  /** Products, their operands' way from shared memory beside them; softmax between. */
  private void pass(List<Op> program) {
    program.add(Work.pause(counts.barriers() * SmMachine.BLOCK_BARRIER));
    double copies = counts.ldgsts() + counts.ldsm();
    double rest = counts.all() - counts.hmma() - copies;
    if (before == 1) {
      program.add(products(1, copies + rest));
    } else {
      program.add(products(before, copies * before));
      double special = counts.mufu() * SmMachine.MUFU_CLOCKS;
      program.add(Work.pause(SmMachine.ROW_SHUFFLES));
      program.add(new Work(Math.max(rest, special), 0, rest, special, 0, 0));
      program.add(products(1 - before, copies * (1 - before)));
    }
  }

  private Work products(double part, double issue) {
    double tensor = part * counts.hmma() * MMA_CLOCKS / SmMachine.MMA_SYNC_SHARE;
    double shared =
        part
            * WARPS
            * (counts.ldsm() * MATRIX_CLOCKS
                + counts.ldgsts() * COPY_BYTES / SmMachine.SHARED_BYTES_PER_CLOCK);
    return new Work(Math.max(tensor + issue, shared), tensor, issue, 0, shared, 0);
  }
}
