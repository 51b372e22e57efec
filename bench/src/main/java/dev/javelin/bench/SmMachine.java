package dev.javelin.bench;

/**
 * A Hopper card as {@link SmSimulation} sees it. The same numbers for every kernel; what they rest
 * on is said beside each and on the page of predicted times.
 *
 * @param name of the card
 * @param multiprocessors that run blocks
 * @param gigahertz the clock while tensor cores are busy
 * @param dramGigabytesPerSecond read and written, measured
 * @param l2BytesPerClock from the L2 cache to all multiprocessors together
 */
record SmMachine(
    String name,
    int multiprocessors,
    double gigahertz,
    double dramGigabytesPerSecond,
    double l2BytesPerClock) {

  /** 132 · 4096 FLOP/clk · 1.83 GHz is the 989 TFLOP/s of NVIDIA's data sheet. */
  static final double FLOPS_PER_CLOCK = 4096;

  /** Of {@code wgmma}'s rate, what {@code mma.sync} reaches on Hopper (63 to 65 % measured). */
  static final double MMA_SYNC_SHARE = 0.64;

  /** Into one multiprocessor from the L2 cache, bytes a clock. */
  static final double PORT_BYTES_PER_CLOCK = 64;

  /** Of shared memory, bytes a clock: 32 banks of 4. */
  static final double SHARED_BYTES_PER_CLOCK = 128;

  /** From a bulk copy's issue to its first bytes' barrier, clocks. */
  static final double TMA_LATENCY = 600;

  /** From a {@code cp.async} to its data, clocks: an L2 hit. */
  static final double L2_LATENCY = 300;

  /** From the last clock of a {@code wgmma} to the end of the wait for it. */
  static final double WGMMA_DRAIN = 64;

  /** From the end of a wait to the first clock of the {@code wgmma} that follows. */
  static final double WGMMA_START = 60;

  /** From an arrival at an mbarrier to the end of a wait for it: two trips to shared memory. */
  static final double BARRIER_TRIP = 60;

  /** A block-wide barrier, or a named one, after its last thread. */
  static final double BLOCK_BARRIER = 30;

  /** Of the shared memory unit, for one thread's arrival at an mbarrier. */
  static final double ARRIVAL = 0.5;

  /** A block's start: its launch, its barriers, its first descriptor. */
  static final double BLOCK_START = 800;

  /** Two shuffles for each of a thread's two rows, one after another. */
  static final double ROW_SHUFFLES = 100;

  /** Of a quarter's 4 special function lanes for a warp's instruction. */
  static final double MUFU_CLOCKS = 8;

  /** Of the 16 lanes that compare and convert, for a warp's instruction. */
  static final double HALF_RATE = 2;

  /** A kernel's launch and end. */
  static final double LAUNCH_MICROSECONDS = 2;

  /** Of a copy's bandwidth, what kernels that compute by the way reach. */
  static final double STREAM_SHARE = 0.94;

  /** Bytes of L2 cache that operands find room in. */
  static final double L2_BYTES = 50e6;

  static final SmMachine H100 = new SmMachine("H100 SXM", 132, 1.635, 3240, 6100);
  static final SmMachine H200 = new SmMachine("H200", 132, 1.635, 4300, 6100);

  /** Each multiprocessor's share of the L2 cache's bandwidth, bytes a clock. */
  double l2Share(int running) {
    return Math.min(PORT_BYTES_PER_CLOCK, l2BytesPerClock / running);
  }

  /** Each multiprocessor's share of memory, bytes a clock. */
  double dramShare(int running) {
    return dramGigabytesPerSecond / gigahertz / running;
  }

  /** Clocks of a multiprocessor's tensor cores for so many FLOPs. */
  static double tensorClocks(double flops) {
    return flops / FLOPS_PER_CLOCK;
  }

  /** A kernel that reads and writes so many bytes of memory, each once. */
  Prediction move(double bytes) {
    double floor = bytes / dramGigabytesPerSecond * 1e-9;
    double expected = floor / STREAM_SHARE;
    double clocks = gigahertz * 1e9;
    SmSimulation.Use use = new SmSimulation.Use(expected * clocks, 0, 0, 0, 0, 0, floor * clocks);
    return new Prediction(0, expected + LAUNCH_MICROSECONDS * 1e-6, floor, Prediction.MEMORY, use);
  }

  double seconds(double clocks) {
    return clocks / gigahertz * 1e-9;
  }
}
