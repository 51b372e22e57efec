package dev.javelin.bench;

import dev.javelin.bench.Pipelines.Design;
import dev.javelin.bench.Prediction.Unit;
import dev.javelin.device.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/**
 * Of the page of predicted times: our kernels for 9.0, what each unit has to do for them, and the
 * shares that they are to reach before they count as done.
 */
final class HopperPage {
  private static final SmMachine SM = SmMachine.H200;

  /** Cases that {@code torch_peer.py} has not, the layout of a linear layer at a square's sizes. */
  private static final List<String> OURS_ALONE = List.of("4096x4096x4096-nt", "8192x8192x8192-nt");

  private static final double LARGE_PRODUCT = 0.78;
  private static final double PRODUCTS = 0.70;
  private static final double ATTENTION = 0.62;
  private static final double BACKWARD = 0.48;
  private static final double MEMORY = 0.88;
  private static final double STEP_MILLIS = 58;

  private final StringBuilder text = new StringBuilder();
  private final Pipelines pipelines;

  private HopperPage(Pipelines pipelines) {
    this.pipelines = pipelines;
  }

  static String text(Pipelines pipelines) {
    HopperPage page = new HopperPage(pipelines);
    page.kernels();
    page.bars();
    page.step();
    page.text.append(HopperHead.text(pipelines));
    return page.text.toString();
  }

  private void kernels() {
    text.append(
        """
        ### Our kernels for 9.0

        bf16, as `MatmulHopperPlan` cuts them up and with the instructions of their machine code; attention is causal, and
        its backward pass has row sums before it and the rounding of dq after it. What the L2 cache adds counts twice there.
        Backward figures are the least certain: a
        model like this one was 12 to 27 %% too fast for FlashAttention-3's ([log](../log.md)). Shares are of 989 TFLOP/s. The last columns
        say how many thousand clocks each unit of the busiest multiprocessor is busy; the largest of them is the floor. Shared memory: what products read and
        results write; what bulk copies bring is not in it.

        | case | tile | floor ms | expected ms | TFLOP/s | share | limit | clocks, 1000 |%s
        |---|---|---|---|---|---|---|---|%s
        """
            .formatted(
                String.join(
                    "", Arrays.stream(Unit.values()).map(u -> " " + u.label + " |").toList()),
                "---|".repeat(Unit.values().length)));
    for (GpuCase c : cases("matmul")) {
      row(c.name(), pipelines.hopper(MatmulShape.parse(c.name())));
    }
    for (GpuCase c : cases("attn")) {
      row(c.name(), pipelines.hopper(AttentionShape.parse(c.name())));
    }
    line("");
  }

  private static List<GpuCase> cases(String bench) {
    return GpuCase.forGpu().stream()
        .filter(c -> c.bench().equals(bench) && c.type() == DType.BF16)
        .toList();
  }

  private void row(String name, Design design) {
    Prediction p = design.prediction();
    StringBuilder row =
        new StringBuilder(
            "| %s | %s | %s | %s | %s |"
                .formatted(
                    name,
                    design.what(),
                    PipelinePage.millis(p.floor()),
                    PipelinePage.figures(p),
                    thousands(p.use().clocks())));
    for (Unit u : Unit.values()) {
      row.append(' ').append(thousands(u.busy(p.use()))).append(" |");
    }
    line(row.toString());
  }

  private static String thousands(double clocks) {
    double k = clocks / 1e3;
    return String.format(Locale.ROOT, k > 0 && k < 10 ? "%.1f" : "%.0f", k);
  }

  /** What a kernel is to reach in the model. */
  private record Bar(String what, double bar, double share, String limit) {}

  private void bars() {
    List<Bar> bars = new ArrayList<>();
    Prediction large = product("8192x8192x8192-nn");
    bars.add(new Bar("product, 8192³", LARGE_PRODUCT, share(large), large.limit()));
    Prediction least =
        ofPeer().stream()
            .map(c -> product(c.name()))
            .min(Comparator.comparingDouble(HopperPage::share))
            .orElseThrow();
    bars.add(
        new Bar(
            "products, geometric mean over the shapes of `torch_peer.py`",
            PRODUCTS,
            mean(pipelines::hopper),
            String.format(
                Locale.ROOT, "the least has %.2f, by its %s", share(least), least.limit())));
    attention(bars, "attention forward", ATTENTION, "b4h16k16t8192d128");
    attention(bars, "attention backward", BACKWARD, "b4h16k16t8192d128-backward");
    double slowest = 1;
    for (GpuCase c : PipelinePage.boundByMemory()) {
      Prediction p = SM.move(c.cost().bytes());
      slowest = Math.min(slowest, p.floor() / p.expected());
    }
    bars.add(
        new Bar(
            "operators bound by memory, of a copy's bandwidth, the least",
            MEMORY,
            slowest,
            "a launch's end; their bytes are all that the model knows"));
    text.append(
        """
        Shares that a kernel is to reach here before it counts as done:

        | what | to reach | here | | limit |
        |---|---|---|---|---|
        """);
    for (Bar b : bars) {
      line(
          String.format(
              Locale.ROOT,
              "| %s | %.2f | %.3f | %s | %s |",
              b.what,
              b.bar,
              b.share,
              b.share >= b.bar ? "met" : "missed",
              b.limit));
    }
    double step = stepSeconds() * 1e3;
    line(
        String.format(
            Locale.ROOT,
            "| a step of gpt2-124m-32x1024, ms | %.0f | %.1f | %s | below |",
            STEP_MILLIS,
            step,
            step <= STEP_MILLIS ? "met" : "missed"));
    line("");
    variants();
  }

  private static List<GpuCase> ofPeer() {
    return cases("matmul").stream().filter(c -> !OURS_ALONE.contains(c.name())).toList();
  }

  /** The geometric mean of the shares of products. */
  private double mean(Function<MatmulShape, Design> kernel) {
    double logs =
        ofPeer().stream()
            .map(c -> kernel.apply(MatmulShape.parse(c.name())).prediction())
            .mapToDouble(p -> Math.log(share(p)))
            .average()
            .orElseThrow();
    return Math.exp(logs);
  }

  private void attention(List<Bar> bars, String what, double bar, String name) {
    Prediction p = pipelines.hopper(AttentionShape.parse(name)).prediction();
    String share = String.format(Locale.ROOT, "%.2f", p.floor() / p.expected());
    bars.add(
        new Bar(
            what + ", D 128, causal, 8192",
            bar,
            share(p),
            "%s, busy %s of the time".formatted(p.limit(), share)));
  }

  private Prediction product(String name) {
    return pipelines.hopper(MatmulShape.parse(name)).prediction();
  }

  private static double share(Prediction p) {
    return p.teraflops() / PipelinePage.PEAK;
  }

  /**
   * What the model expects of products without clusters, and of attention's forward pass without
   * its parts, one more in each line.
   */
  private void variants() {
    MatmulShape square = MatmulShape.parse("8192x8192x8192-nn");
    line(
        String.format(
            Locale.ROOT,
            "Pairs are clusters of two blocks that get the columns' operand by multicast. Without them the products' mean"
                + " would be %.3f, and 8192³ would have %.3f.",
            mean(pipelines::alone),
            share(pipelines.alone(square).prediction())));
    line("");
    text.append(
        """
        What attention's forward pass would lose, each change on top of those before it; shares, causal:

        | change | D 128, 8192 | D 64, 1024 |
        |---|---|---|
        """);
    AttentionShape wide = AttentionShape.parse("b4h16k16t8192d128");
    AttentionShape narrow = AttentionShape.parse("b32h12k12t1024d64");
    variant("as it is", wide, narrow, true, true, false);
    variant("every tile multiplies the sums", wide, narrow, true, true, true);
    variant("blocks end after their queries", wide, narrow, true, false, true);
    variant("warpgroups take no turns at the tensor cores", wide, narrow, false, false, true);
    line("");
  }

  private void variant(
      String what,
      AttentionShape wide,
      AttentionShape narrow,
      boolean pingPong,
      boolean stays,
      boolean scales) {
    line(
        String.format(
            Locale.ROOT,
            "| %s | %.2f | %.2f |",
            what,
            share(pipelines.forward(wide, pingPong, stays, scales).prediction()),
            share(pipelines.forward(narrow, pingPong, stays, scales).prediction())));
  }

  private static final ModelCase STEP = ModelCase.parse("gpt2-124m-32x1024");

  private double headSeconds() {
    return HopperHead.seconds(
        pipelines, STEP.tokens(), STEP.model().width(), STEP.model().vocabulary());
  }

  private double stepSeconds() {
    double all = headSeconds();
    for (StepCost.Part p : parts()) {
      all += p.times() * seconds(p);
    }
    return all;
  }

  /** All but the last layer and the loss, whose kernels on other cards are others. */
  private static List<StepCost.Part> parts() {
    List<StepCost.Part> parts = new ArrayList<>(StepCost.of(STEP, DType.BF16));
    List<String> head =
        HeadCost.of(DType.BF16, STEP.tokens(), STEP.model().width(), STEP.model().vocabulary())
            .stream()
            .map(StepCost.Part::what)
            .toList();
    parts.removeIf(p -> head.contains(p.what()));
    return parts;
  }

  private double seconds(StepCost.Part p) {
    TensorShape shape = p.shape();
    Prediction each =
        shape == null ? SM.move(p.each().bytes()) : pipelines.hopper(shape).prediction();
    return each.expected();
  }

  private void step() {
    double[] kinds = new double[4]; // products, attention, its backward pass, the rest
    for (StepCost.Part p : parts()) {
      int kind =
          switch (p.shape()) {
            case MatmulShape _ -> 0;
            case AttentionShape a -> a.backward() ? 2 : 1;
            case null -> 3;
          };
      kinds[kind] += p.times() * seconds(p) * 1e3;
    }
    line(
        String.format(
            Locale.ROOT,
            "A step of gpt2-124m-32x1024 in bf16: %.1f ms of products, %.1f of the last one with its loss, %.1f of attention forward, %.1f backward, %.1f of the rest,",
            kinds[0],
            headSeconds() * 1e3,
            kinds[1],
            kinds[2],
            kinds[3]));
    line("whose bytes are moved at a copy's rate. Not measured.");
    line("");
  }

  private void line(String line) {
    text.append(line).append('\n');
  }
}
