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
 * A product on {@code wgmma}, as its source lays it out: what a block computes and how its warps
 * wait for each other. Operands are of two bytes.
 *
 * @param rows of a block's tile of c
 * @param columns of it
 * @param depth of a stage along k
 * @param stages of the ring; 1: a block loads, waits and multiplies in turn
 * @param consumers warpgroups that multiply, each its rows of the tile
 * @param blocks on a multiprocessor at a time
 * @param grid blocks that stay and take tile after tile; 0: a block for each tile
 * @param cluster blocks that get the columns' operand by one multicast
 * @param arrivals threads of a warpgroup that arrive at each barrier of a stage
 * @param inFlight stages that a warpgroup multiplies before it waits for the one before
 * @param pingPong each consumer has its own tile, and one's results are written while another
 *     multiplies
 * @param instructions of a thread for a stage; 0: not known
 * @param store how results leave
 */
record ProductPipeline(
    int rows,
    int columns,
    int depth,
    int stages,
    int consumers,
    int blocks,
    int grid,
    int cluster,
    int arrivals,
    int inFlight,
    boolean pingPong,
    int instructions,
    Store store) {

  /** How a warpgroup's sums leave. */
  enum Store {
    /** Each thread its own, 2 bytes at a time, 8 of them neighbours: half of a sector. */
    SCATTERED,
    /** The same into shared memory, 4 lanes to a bank; a bulk store takes them from there. */
    SHARED_SCATTERED,
    /** {@code stmatrix} into shared memory; a bulk store takes them from there. */
    STMATRIX,
    /** Box by box of 64 rows and 128 bytes: {@link #BOXES} on their way at a time. */
    BOXES
  }

  private static final int BOXES = 4; // of a warpgroup
  private static final int BOX_ROW = 128; // bytes
  private static final int READ_AT_ONCE = 16; // pairs of what results are added to, by a thread

  private static final int ELEMENT = 2; // bytes

  /** Of a warpgroup's tile. */
  private int rowsOfOne() {
    return pingPong ? rows : rows / consumers;
  }

  double stageBytes() {
    return (double) ELEMENT * depth * (rows + columns);
  }

  /**
   * Clocks of the L2 cache for a stage: into the multiprocessor, or out of the cache, or memory.
   */
  private Load load(SmMachine m, double fromMemory, Counter done) {
    int running = running(m);
    double bytes = stageBytes();
    double asked = (double) ELEMENT * depth * (rows + (double) columns / cluster);
    double dram = bytes * fromMemory / m.dramShare(running);
    double l2 = Math.max(bytes / SmMachine.PORT_BYTES_PER_CLOCK, asked / m.l2Share(running));
    return new Load(Math.max(l2, dram), SmMachine.TMA_LATENCY, dram, done);
  }

  private static double shared(double bytes) {
    return bytes / SmMachine.SHARED_BYTES_PER_CLOCK;
  }

  private int running(SmMachine m) {
    return grid == 0 ? m.multiprocessors() : grid;
  }

  /** Those of a cluster lie one below the other, the last perhaps below the matrix. */
  long tiles(int m, int n) {
    return (long) Math.ceilDiv(m, rows * cluster) * cluster * Math.ceilDiv(n, columns);
  }

  /** Blocks' tiles in turn on the busiest multiprocessor. */
  private int rounds(SmMachine m, long tiles) {
    long atOnce = (long) running(m) * blocks * (pingPong ? consumers : 1);
    return Math.toIntExact(Math.ceilDiv(tiles, atOnce));
  }

  /**
   * Of what a stage loads, the part that memory is asked for: tiles that run at once share rows and
   * columns in the L2 cache.
   */
  private double fromMemory(SmMachine sm, int m, int n, int k) {
    double whole = (double) ELEMENT * k * ((double) m + n);
    double loaded = tiles(m, n) * (double) ELEMENT * k * (rows + columns);
    long atOnce = Math.min((long) running(sm) * blocks, tiles(m, n));
    double side = Math.sqrt((double) atOnce); // tiles that run at once form a square at best
    double high = grid == 0 ? Math.max(1, (double) atOnce / Math.ceilDiv(n, columns)) : side;
    double wide = atOnce / high;
    double square = (high * rows + wide * columns) / (atOnce * (rows + columns));
    return whole < SmMachine.L2_BYTES ? whole / loaded : Math.max(whole / loaded, square);
  }

  /** c of [m, n], k products a result. */
  Prediction predict(SmMachine sm, int m, int n, int k) {
    return predict(sm, m, n, k, 1);
  }

  /** The same with k in parts, whose fp32 sums another kernel adds. */
  Prediction predict(SmMachine sm, int m, int n, int k, int parts) {
    return predict(sm, m, n, k, parts, new Results(ELEMENT, false));
  }

  /**
   * What leaves.
   *
   * @param bytes of a result; 0: none leaves
   * @param added to what is there
   * @param instructions for each, and one exponential; 0: neither
   */
  record Results(int bytes, boolean added, double instructions) {
    Results(int bytes, boolean added) {
      this(bytes, added, 0);
    }
  }

  Prediction predict(SmMachine sm, int m, int n, int k, int parts, Results results) {
    int steps = Math.ceilDiv(Math.ceilDiv(k, parts), depth);
    double fromMemory = fromMemory(sm, m, n, k);
    int rounds = rounds(sm, tiles(m, n) * parts);
    Results each = parts == 1 ? results : new Results(Float.BYTES, false);
    Prediction products =
        Prediction.of(sm, 2.0 * m * n * k, rounds, t -> programs(sm, steps, fromMemory, t, each));
    double sums = (double) m * n;
    double moved = 4 * sums * parts + results.bytes * sums * (results.added ? 2 : 1);
    return parts == 1 ? products : products.and(sm.move(moved));
  }

  private List<List<Op>> programs(
      SmMachine sm, int steps, double fromMemory, int tiles, Results results) {
    List<List<Op>> all = new ArrayList<>();
    for (int b = 0; b < blocks; b++) {
      if (stages == 1) {
        all.add(alone(sm, steps, fromMemory, tiles, results));
      } else {
        ring(all, sm, steps, fromMemory, tiles, results);
      }
    }
    return all;
  }

  /** One warpgroup that does it all. */
  private List<Op> alone(SmMachine sm, int steps, double fromMemory, int tiles, Results results) {
    List<Op> program = new ArrayList<>();
    Counter filled = new Counter();
    Counter done = new Counter();
    int stage = 0;
    for (int t = 0; t < tiles; t++) {
      program.add(Work.pause(SmMachine.BLOCK_START));
      for (int s = 0; s < steps; s++) {
        stage++;
        program.add(arrival(2)); // a barrier for each operand
        program.add(load(sm, fromMemory, filled));
        program.add(new Await(filled, stage, SmMachine.BARRIER_TRIP));
        program.add(Work.pause(SmMachine.BLOCK_BARRIER + SmMachine.WGMMA_START));
        program.add(multiply(rows, done));
        program.add(new Await(done, stage, 0));
      }
      store(program, sm, rows, new Counter(), 0, results);
    }
    return program;
  }

  private Work arrival(int barriers) {
    double clocks = arrivals * barriers * SmMachine.ARRIVAL;
    return new Work(clocks, 0, 0, 0, clocks, 0);
  }

  /** A stage's share of a warpgroup of so many rows: m64 of all columns, k16. */
  private Multiply multiply(int height, Counter done) {
    int count = height / 64 * (depth / 16);
    double operands = ELEMENT * 16.0 * (64 + columns);
    double clocks = SmMachine.tensorClocks(2.0 * 64 * columns * 16);
    return new Multiply(count, clocks, shared(operands), instructions, done);
  }

  private void ring(
      List<List<Op>> all, SmMachine sm, int steps, double fromMemory, int tiles, Results results) {
    Counter filled = new Counter();
    List<Counter> freed = new ArrayList<>();
    for (int c = 0; c < consumers; c++) {
      freed.add(new Counter());
    }
    all.add(producer(load(sm, fromMemory, filled), freed, steps, tiles));
    Counter turns = new Counter(); // of main loops, in ping-pong
    for (int c = 0; c < consumers; c++) {
      all.add(consumer(c, sm, filled, freed.get(c), turns, steps, tiles, results));
    }
  }

  private List<Op> producer(Load load, List<Counter> freed, int steps, int tiles) {
    List<Op> program = new ArrayList<>();
    int loads = tiles * steps * (pingPong ? consumers : 1);
    double trip = SmMachine.BARRIER_TRIP * (cluster > 1 ? 3 : 1); // there and back between blocks
    for (int s = 0; s < loads; s++) {
      if (s == 0 || (grid == 0 && s % steps == 0)) {
        program.add(Work.pause(SmMachine.BLOCK_START));
      }
      int before = s - stages;
      if (before >= 0) {
        if (pingPong) {
          int owner = before / steps % consumers;
          int of = before / (steps * consumers) * steps + before % steps + 1;
          program.add(new Await(freed.get(owner), of, trip));
        } else {
          freed.forEach(f -> program.add(new Await(f, before + 1, trip)));
        }
      }
      program.add(load);
    }
    return program;
  }

  private List<Op> consumer(
      int c,
      SmMachine sm,
      Counter filled,
      Counter freed,
      Counter turns,
      int steps,
      int tiles,
      Results results) {
    List<Op> program = new ArrayList<>();
    Counter done = new Counter();
    Counter stored = new Counter();
    int mine = 0; // stages so far
    for (int t = 0; t < tiles; t++) {
      int tile = pingPong ? t * consumers + c : t;
      if (pingPong) {
        program.add(new Await(turns, tile, SmMachine.BLOCK_BARRIER));
      }
      for (int s = 0; s < steps; s++) {
        mine++;
        program.add(arrival(1));
        program.add(new Await(filled, (long) tile * steps + s + 1, SmMachine.BARRIER_TRIP));
        program.add(Work.pause(SmMachine.WGMMA_START));
        program.add(multiply(rowsOfOne(), done));
        if (s >= inFlight) {
          free(program, done, freed, mine - inFlight);
        }
      }
      if (pingPong) {
        program.add(new Signal(turns));
      }
      for (int s = inFlight - 1; s >= 0; s--) {
        free(program, done, freed, mine - s);
      }
      store(program, sm, rowsOfOne(), stored, t, results);
      if (grid == 0) {
        program.add(Work.pause(SmMachine.BLOCK_START)); // of the block that follows
      }
    }
    return program;
  }

  private void free(List<Op> program, Counter done, Counter freed, int stage) {
    program.add(new Await(done, stage, 0));
    program.add(arrival(1));
    program.add(new Signal(freed));
  }

  /** Results of a warpgroup's rows; {@code before}: earlier tiles from the same place. */
  private void store(
      List<Op> program, SmMachine sm, int height, Counter stored, int before, Results results) {
    double sums = (double) height * columns / 128; // of a thread
    double warps = 4;
    double share = sm.l2Share(running(sm));
    double bytes = (double) results.bytes * height * columns;
    if (results.instructions > 0) {
      double slots = results.instructions * sums;
      double special = sums * SmMachine.MUFU_CLOCKS;
      program.add(new Work(Math.max(slots, special), 0, slots, special, 0, 0));
    }
    if (results.bytes == 0) {
      return;
    }
    switch (store) {
      case SCATTERED -> {
        // 4 sectors of 32 bytes for 32 lanes, half of each: the cache reads it, then writes it
        double l2 = sums * warps * 4 * 32 * 2 / share;
        program.add(work(2 * sums, 0, l2));
      }
      case SHARED_SCATTERED ->
          bulk(program, work(2 * sums, sums * warps * 4, 0), bytes, sm, stored, before);
      case STMATRIX ->
          bulk(program, work(0.75 * sums, shared(bytes), 0), bytes, sm, stored, before);
      case BOXES -> boxes(program, sm, bytes, stored, before, results);
    }
  }

  private void bulk(
      List<Op> program, Work into, double bytes, SmMachine sm, Counter stored, long before) {
    program.add(new Await(stored, before, 0));
    program.add(into);
    program.add(Work.pause(SmMachine.BLOCK_BARRIER));
    double dram = bytes / sm.dramShare(running(sm));
    double l2 = bytes / sm.l2Share(running(sm));
    program.add(new Load(l2, SmMachine.TMA_LATENCY, dram, stored));
  }

  /** A box is filled while those before it leave; all but two have to have left. */
  private void boxes(
      List<Op> program, SmMachine sm, double bytes, Counter stored, int before, Results results) {
    if (results.added) {
      read(program, sm, bytes);
    }
    double box = 64.0 * BOX_ROW;
    int count = (int) (bytes / box);
    double sums = box / results.bytes / 128; // of a thread
    // pack and stmatrix; of fp32, which is stored by pairs, two more to choose the column
    double slots = results.bytes == Float.BYTES ? 2.5 * sums : 0.75 * sums;
    for (int i = 0; i < count; i++) {
      long first = (long) before * count + i;
      bulk(program, work(slots, shared(box), 0), box, sm, stored, Math.max(0, first - (BOXES - 2)));
    }
  }

  /** What results are added to, so many pairs of a thread at a time. */
  private void read(List<Op> program, SmMachine sm, double bytes) {
    Counter arrived = new Counter();
    double turn = (double) READ_AT_ONCE * 2 * 128 * Float.BYTES;
    int turns = (int) Math.ceil(bytes / turn);
    double dram = turn / sm.dramShare(running(sm));
    double clocks = Math.max(dram, turn / sm.l2Share(running(sm)));
    for (int i = 0; i < turns; i++) {
      program.add(new Load(clocks, SmMachine.TMA_LATENCY, dram, arrived));
      program.add(new Await(arrived, i + 1, 0));
      program.add(work(3.0 * READ_AT_ONCE, 0, 0)); // an address, a load, two additions a pair
    }
  }

  private static Work work(double issue, double shared, double l2) {
    return new Work(Math.max(issue, Math.max(shared, l2)), 0, issue, 0, shared, l2);
  }
}
