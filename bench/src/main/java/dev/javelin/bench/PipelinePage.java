package dev.javelin.bench;

import dev.javelin.device.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The part of the page of predicted times that {@link SmSimulation} stands behind. */
final class PipelinePage {
  static final double PEAK = 989; // TFLOP/s, NVIDIA's data sheet

  private final StringBuilder text = new StringBuilder();
  private final Pipelines pipelines;

  private PipelinePage(Pipelines pipelines) {
    this.pipelines = pipelines;
  }

  static String text(Path root) throws IOException {
    PipelinePage page = new PipelinePage(Pipelines.on(SmMachine.H200, root));
    page.model();
    page.published();
    page.text.append(HopperPage.text(page.pipelines));
    page.products();
    page.attention();
    page.operators();
    page.step("gpt2-124m-32x1024");
    return page.text.toString();
  }

  private void model() {
    text.append(
        """
        ## Expected times on an H200, by a model of its pipelines

        The times above are floors. What follows simulates one multiprocessor, event by event (`SmSimulation`): bulk copies with a
        latency and the L2 cache's bandwidth, a ring of stages, arrivals and waits, warpgroups that take turns at the tensor
        cores, issue slots, special functions, shared memory, epilogues, rounds of tiles. Fed with tiles, with what waits
        for what, and with [instructions](instructions.md). **Not measured**: no kernel of Javelin has run on a GPU.

        These numbers are the same for every kernel. Those marked * are not from a source: they were chosen once, with
        the whole table of published figures in view.

        | number | value | source |
        |---|---|---|
        """);
    SmMachine sm = SmMachine.H200;
    constant("multiprocessors", sm.multiprocessors(), "data sheet");
    constant(
        "FLOPs a clock of a multiprocessor's tensor cores",
        SmMachine.FLOPS_PER_CLOCK,
        "989 TFLOP/s = 132 · 4096 · 1.83 GHz");
    constant(
        "clock with busy tensor cores, GHz *",
        sm.gigahertz(),
        "an H200 NVL at its limits of power and heat settled at 1.635 (git.mchus.pro/reanimator/bee); boost is 1.98");
    constant(
        "of that rate, `mma.sync`",
        SmMachine.MMA_SYNC_SHARE,
        "0.63 to 0.65, github.com/waynehacking8/blackwell-tensorcore-kernels");
    constant(
        "L2 cache to all multiprocessors, bytes a clock",
        sm.l2BytesPerClock(),
        "DeepGEMM's own model");
    constant("into one of them", SmMachine.PORT_BYTES_PER_CLOCK, "the same");
    constant(
        "memory, GB/s",
        sm.dramGigabytesPerSecond(),
        "device-to-device copy; H100: 3240, fast.cu's sum of 2^30");
    constant("of a copy's bandwidth, kernels that compute *", SmMachine.STREAM_SHARE, "");
    constant(
        "shared memory, bytes a clock", SmMachine.SHARED_BYTES_PER_CLOCK, "32 banks of 4 bytes");
    constant(
        "special functions, clocks for a warp", SmMachine.MUFU_CLOCKS, "16 lanes a multiprocessor");
    constant(
        "compare, convert: clocks for a warp", SmMachine.HALF_RATE, "64 lanes a multiprocessor");
    constant("a bulk copy's latency, clocks *", SmMachine.TMA_LATENCY, "within 600 to 1000");
    constant("`cp.async` from the L2 cache, clocks *", SmMachine.L2_LATENCY, "");
    constant("from a wait's end to `wgmma`'s first clock *", SmMachine.WGMMA_START, "");
    constant("from its last clock to the wait's end *", SmMachine.WGMMA_DRAIN, "");
    constant(
        "from an arrival to the end of a wait *",
        SmMachine.BARRIER_TRIP,
        "two trips to shared memory");
    constant("shared memory's clocks for a thread's arrival *", SmMachine.ARRIVAL, "");
    constant("a block-wide or named barrier, clocks *", SmMachine.BLOCK_BARRIER, "");
    constant("two rows' shuffles, clocks *", SmMachine.ROW_SHUFFLES, "four in a row");
    constant("a block's start, clocks *", SmMachine.BLOCK_START, "");
    constant("a kernel's launch and end, µs *", SmMachine.LAUNCH_MICROSECONDS, "");
    text.append(
        """

        Two more assumptions. An instruction that is issued takes from the tensor core of its quarter one clock, since both
        read the same registers: without this, softmax would hide wholly behind products, and no published kernel shows that.
        A store of half a sector costs the L2 cache a read and a write. Left out: the clock's rise where tensor
        cores idle, partitions of the L2 cache, bank conflicts other than those said, memory's refresh and turnarounds. What `wgmma` reads of shared memory, and
        what bulk copies bring there, stand in nobody's way: with them fast.cu's kernels 2 to 4 came out 12 to 14 % too slow, and 8 slower than 7.

        """);
  }

  private void constant(String what, double value, String source) {
    String number =
        value == Math.rint(value) ? String.valueOf((long) value) : String.valueOf(value);
    text.append("| %s | %s | %s |\n".formatted(what, number, source));
  }

  private void published() {
    text.append(
        """
        ### Public kernels

        Measured by others, on an H100 unless it says otherwise; the model on the same card. fast.cu: its ladder
        of kernels on N(0, 1) data; FlashAttention: charts of the third one's paper, 16384 tokens of 2048 features, fp16;
        cuDNN: benchmarks of cudnn-frontend; Liger: its benchmark data; QuACK: its blog. A test holds that rows
        without a remark are within 10 %, and that the others are not. Not modelled: FlashAttention's backward pass.

        | kernel | shape | published | model | error | reproduced |
        |---|---|---|---|---|---|
        """);
    List<Published> all = Published.all();
    all.forEach(p -> text.append(p.row()).append('\n'));
    long near = all.stream().filter(p -> p.apart().isEmpty()).count();
    line("");
    line(String.format(Locale.ROOT, "Reproduced: %d of %d.", near, all.size()));
    line("");
  }

  private void products() {
    text.append(
        """
        ### Products: other kernels and designs

        bf16. First our kernels on `mma.sync`, which a card of 9.0 runs with `-Djavelin.hopper=false`. Beside them what the model
        expects of the best of five designs on `wgmma`, which nobody has built here: 4 to 6 stages, persistent, bulk stores of results,
        bulk loads multicast to two blocks. Our kernels for 9.0 have 3 to 5 stages and no ping-pong. Shares are of 989 TFLOP/s.
        Where a share is above 0.86 doubt the model: no public kernel that we know of has reached more, and cuBLAS on an H200 has 0.77 to 0.81.

        | case | floor ms | expected ms | TFLOP/s | share | limit | design on `wgmma` | expected ms | TFLOP/s | share | limit | measured |
        |---|---|---|---|---|---|---|---|---|---|---|---|
        """);
    double[] logs = new double[2];
    int count = 0;
    for (GpuCase c : GpuCase.forGpu()) {
      if (c.bench().equals("matmul") && c.type() == DType.BF16) {
        MatmulShape shape = MatmulShape.parse(c.name());
        Prediction today = pipelines.shipped(shape);
        Prediction design = row(c.name(), shape, today);
        logs[0] += Math.log(today.teraflops() / PEAK);
        logs[1] += Math.log(design.teraflops() / PEAK);
        count++;
      }
    }
    line("");
    line(
        String.format(
            Locale.ROOT,
            "Geometric means of the shares: %.2f on `mma.sync`, %.2f for the designs.",
            Math.exp(logs[0] / count),
            Math.exp(logs[1] / count)));
    line("");
  }

  private void attention() {
    text.append(
        """
        ### Attention: other kernels and designs

        Causal, bf16; FLOPs are those of the mathematics. The design is that of FlashAttention-3 with its tiles for causal masks; of
        a backward pass on `wgmma` the model has none. As its figures say, below 2048 tokens the model is too fast.

        | case | floor ms | expected ms | TFLOP/s | share | limit | design on `wgmma` | expected ms | TFLOP/s | share | limit | measured |
        |---|---|---|---|---|---|---|---|---|---|---|---|
        """);
    for (GpuCase c : GpuCase.forGpu()) {
      if (c.bench().equals("attn") && c.type() == DType.BF16) {
        AttentionShape shape = AttentionShape.parse(c.name());
        row(c.name(), shape, pipelines.shipped(shape));
      }
    }
    line("");
  }

  /** Returns the design's, or today's where there is none. */
  private Prediction row(String name, TensorShape shape, Prediction today) {
    Optional<Pipelines.Design> design = pipelines.design(shape);
    String other =
        design
            .map(d -> "%s | %s".formatted(d.what(), figures(d.prediction())))
            .orElse("– | – | – | – | –");
    line(
        String.format(
            Locale.ROOT,
            "| %s | %s | %s | %s | not measured |",
            name,
            millis(today.floor()),
            figures(today),
            other));
    return design.map(Pipelines.Design::prediction).orElse(today);
  }

  static String figures(Prediction p) {
    return String.format(
        Locale.ROOT,
        "%s | %.0f | %.2f | %s",
        millis(p.expected()),
        p.teraflops(),
        p.teraflops() / PEAK,
        p.limit());
  }

  private void operators() {
    text.append(
        """
        ### Operators bound by memory

        bf16; bytes as above, each moved once. The share is of the bandwidth of a copy. Left out: what the
        backward pass of an embedding moves to sort its ids, 20 bytes a position, and 8·V/512 from the cache.

        | case | floor ms | expected ms | GB/s | share | measured |
        |---|---|---|---|---|---|
        """);
    for (GpuCase c : boundByMemory()) {
      Cost cost = c.cost();
      Prediction p = SmMachine.H200.move(cost.bytes());
      line(
          String.format(
              Locale.ROOT,
              "| %s | %s | %s | %.0f | %.2f | not measured |",
              c.name(),
              millis(p.floor()),
              millis(p.expected()),
              cost.bytes() / p.expected() / 1e9,
              p.floor() / p.expected()));
    }
    line("");
  }

  /** Operators without products, in bf16. */
  static List<GpuCase> boundByMemory() {
    return GpuCase.forGpu().stream()
        .filter(c -> c.bench().equals("op") && c.type() == DType.BF16)
        .filter(c -> c.cost().tensorFlops() == 0 && !c.name().startsWith("copy"))
        .toList();
  }

  private void step(String name) {
    ModelCase c = ModelCase.parse(name);
    double today = 0;
    double designs = 0;
    double products = 0;
    double attention = 0;
    double rest = 0;
    for (StepCost.Part p : StepCost.of(c, DType.BF16)) {
      TensorShape shape = p.shape();
      if (shape == null) {
        rest += p.times() * SmMachine.H200.move(p.each().bytes()).expected();
        continue;
      }
      double now = p.times() * pipelines.shipped(shape).expected();
      double then =
          pipelines.design(shape).map(d -> p.times() * d.prediction().expected()).orElse(now);
      products += shape instanceof MatmulShape ? now : 0;
      attention += shape instanceof AttentionShape ? now : 0;
      today += now;
      designs += then;
    }
    line(String.format(Locale.ROOT, "### A step of %s, bf16", name));
    line("");
    line(
        String.format(
            Locale.ROOT,
            "Expected of the kernels on `mma.sync`: %s ms (products %s, attention %s, the rest, as bytes, %s).",
            millis(today + rest),
            millis(products),
            millis(attention),
            millis(rest)));
    line(
        String.format(
            Locale.ROOT,
            "With the designs for products and attention's forward pass: %s ms. Not measured.",
            millis(designs + rest)));
    line("");
  }

  static String millis(double seconds) {
    double ms = seconds * 1e3;
    int decimals = (int) Math.clamp(2 - Math.floor(Math.log10(ms)), 0, 6);
    return String.format(Locale.ROOT, "%." + decimals + "f", ms);
  }

  private void line(String line) {
    text.append(line).append('\n');
  }
}
