package dev.javelin.bench;

import static java.util.Objects.requireNonNull;

import dev.javelin.bench.ProductPipeline.Results;
import dev.javelin.bench.ProductPipeline.Store;
import dev.javelin.kernels.cuda.AttentionCuda;
import dev.javelin.kernels.cuda.MatmulHopperPlan;
import dev.javelin.kernels.cuda.MatmulPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The model of kernels on a card: of ours for 9.0, of ours on {@code mma.sync}, and of designs that
 * could be built on {@code wgmma}.
 */
final class Pipelines {
  private static final int GRID = 132; // all multiprocessors

  /** Designs that could be built: public kernels have each of their parts. */
  private static final List<ProductPipeline> DESIGNS =
      List.of(
          design(128, 256, 4, 2, 2, false),
          design(256, 128, 4, 2, 2, false),
          design(128, 192, 5, 2, 2, false),
          design(128, 128, 6, 2, 2, true),
          design(64, 256, 4, 2, 1, true));

  /** D, keys of a tile, warpgroups: those of FlashAttention-3 for causal masks. */
  private static final List<AttentionPipeline> ATTENTION =
      List.of(new AttentionPipeline(64, 128, 3, true), new AttentionPipeline(128, 128, 2, true));

  private final SmMachine sm;
  private final Map<String, LoopCounts> loops;

  private Pipelines(SmMachine sm, Map<String, LoopCounts> loops) {
    this.sm = sm;
    this.loops = loops;
  }

  static Pipelines on(SmMachine sm, Path root) throws IOException {
    return new Pipelines(sm, LoopCounts.read(root));
  }

  private static ProductPipeline design(
      int rows, int columns, int stages, int consumers, int cluster, boolean pingPong) {
    return new ProductPipeline(
        rows, columns, 64, stages, consumers, 1, GRID, cluster, 1, 1, pingPong, 0, Store.STMATRIX);
  }

  /** Our kernels on {@code mma.sync}, bf16. */
  Prediction shipped(TensorShape shape) {
    return switch (shape) {
      case MatmulShape m -> shipped(m);
      case AttentionShape a -> a.backward() ? shippedBackward(a) : shippedForward(a);
    };
  }

  private Prediction shipped(MatmulShape s) {
    MatmulPlan plan = MatmulPlan.of(s.m(), s.n(), s.k(), 1, sm.multiprocessors());
    String layout = (s.transA() ? "t" : "n") + (s.transB() ? "t" : "n");
    boolean big = plan.edge() == 128;
    boolean wide = s.transA() || plan.parts() > 1; // fp32 results
    String name =
        (big ? "matmul_" : "matmul_small_") + layout + (wide ? "_bf16_f32" : "_bf16_bf16");
    return new WarpPipeline(loop(name), big ? 2 : 4, 3, 1)
        .product(sm, s.m(), s.n(), s.k(), plan.edge(), plan.parts(), wide ? 4 : 2);
  }

  private LoopCounts loop(String name) {
    return requireNonNull(loops.get(name), name);
  }

  private Prediction shippedForward(AttentionShape a) {
    int columns = a.dim() == 64 ? 64 : 32;
    LoopCounts loop = loop("attention_forward_d%d_128x%d_bf16".formatted(a.dim(), columns));
    return attention(loop, 0.5, a, a.batch() * a.heads(), 1, 128, columns);
  }

  /** Row sums, then dq, then dk and dv. */
  private Prediction shippedBackward(AttentionShape a) {
    int queries = a.dim() == 64 ? 128 : 64;
    int keys = a.dim() == 64 ? 64 : 32;
    String name = "attention_backward_%s_d%d_%dx%d_bf16";
    LoopCounts dq = loop(name.formatted("queries", a.dim(), queries, 32));
    LoopCounts dkv = loop(name.formatted("keys", a.dim(), 64, keys));
    int group = a.heads() / a.kvHeads();
    Prediction sums = sm.move(2.0 * 2 * a.batch() * a.heads() * a.steps() * a.dim());
    Prediction both =
        sums.and(attention(dq, 2.0 / 3, a, a.batch() * a.heads(), 1, queries, 32))
            .and(attention(dkv, 0.5, a, a.batch() * a.kvHeads(), group, 64, keys));
    return both.of(a.flops());
  }

  private Prediction attention(
      LoopCounts loop,
      double before,
      AttentionShape a,
      int heads,
      int group,
      int rows,
      int columns) {
    double sums = (double) rows * a.dim() / 128;
    return new WarpPipeline(loop, 2, 1, before)
        .attention(sm, a.flops(), heads, a.steps(), rows, columns, group, true, sums);
  }

  /** Our kernel for 9.0 as {@code MatmulHopper} and {@code AttentionHopper} would start it. */
  Design hopper(TensorShape shape) {
    return switch (shape) {
      case MatmulShape m -> hopper(m);
      case AttentionShape a -> a.backward() ? hopperBackward(a) : hopper(a);
    };
  }

  private Design hopper(MatmulShape s) {
    return product(s, MatmulHopperPlan.of(s.m(), s.n(), s.k(), sm.multiprocessors()));
  }

  /** Our product where no blocks share an operand. */
  Design alone(MatmulShape s) {
    return product(s, MatmulHopperPlan.of(s.m(), s.n(), s.k(), sm.multiprocessors(), 1));
  }

  private Design product(MatmulShape s, MatmulHopperPlan plan) {
    int grid = plan.grid(s.m(), s.n(), sm.multiprocessors());
    boolean wide = s.transA(); // a weight's gradient: fp32, added to
    String name =
        "matmul_hopper_%d%s_%s%s_bf16_%s"
            .formatted(
                plan.columns(),
                plan.cluster() > 1 ? "_pair" : "",
                s.transA() ? "t" : "n",
                s.transB() ? "t" : "n",
                wide || plan.parts() > 1 ? "f32" : "bf16");
    ProductPipeline kernel =
        new ProductPipeline(
            MatmulHopperPlan.ROWS,
            plan.columns(),
            64,
            plan.stages(),
            2,
            1,
            grid,
            plan.cluster(),
            1,
            1,
            false,
            loop(name).all(),
            Store.BOXES);
    Results results = new Results(wide ? 4 : 2, wide);
    return new Design(
        name(kernel, plan.parts()) + (plan.cluster() > 1 ? ", pairs" : ""),
        kernel.predict(sm, s.m(), s.n(), s.k(), plan.parts(), results));
  }

  /** The product of logits in tiles of 256 columns, of which something else than they may leave. */
  Prediction logits(int rows, int vocabulary, int cols, Results results) {
    ProductPipeline kernel =
        new ProductPipeline(
            MatmulHopperPlan.ROWS,
            256,
            64,
            results.bytes() == 0 ? 4 : 3,
            2,
            1,
            GRID,
            1,
            1,
            1,
            false,
            loop("matmul_hopper_256_nt_bf16_bf16").all(),
            Store.BOXES);
    return kernel.predict(sm, rows, vocabulary, cols, 1, results);
  }

  private Design hopper(AttentionShape a) {
    return forward(a, true, true, false);
  }

  /** Row sums, then all gradients, then dq from its sums. */
  private Design hopperBackward(AttentionShape a) {
    double elements = (double) a.batch() * a.heads() * a.steps() * a.dim();
    int group = a.heads() / a.kvHeads();
    LoopCounts loop = loop("attention_backward_hopper_d%d_bf16".formatted(a.dim()));
    BackwardPipeline kernel = new BackwardPipeline(a.dim(), a.dim() == 64 ? 3 : 2, loop);
    Prediction all =
        sm.move(2 * 2 * elements)
            .and(kernel.predict(sm, 0, a.batch() * a.kvHeads(), group, a.steps()))
            .and(sm.move((4 + 2) * elements));
    return new Design("128x64", all.of(a.flops()));
  }

  /**
   * Our forward pass: tiles of 128 keys, and the instructions of its machine code.
   *
   * @param pingPong of {@link AttentionPipeline}; true of what ships
   * @param stays the same
   * @param scales of {@link AttentionPipeline}; false of what ships
   */
  Design forward(AttentionShape a, boolean pingPong, boolean stays, boolean scales) {
    LoopCounts loop = loop("attention_forward_hopper_d%d_bf16".formatted(a.dim()));
    int keys = 128;
    double scores = 64.0 * keys / 128;
    AttentionPipeline kernel =
        new AttentionPipeline(
            a.dim(),
            keys,
            AttentionCuda.hopperQueries(a.dim()) / 64,
            true,
            pingPong,
            stays,
            AttentionCuda.hopperHeadsAtOnce(a.batch(), a.heads(), a.kvHeads(), a.steps(), a.dim()),
            stays ? 2 : 1,
            (loop.all() - loop.hgmma() - loop.uniform()) / scores,
            loop.uniform(),
            scales);
    return new Design(
        kernel.rows() + "x" + keys, kernel.predict(sm, a.batch(), a.heads(), a.steps(), true));
  }

  /** A design on {@code wgmma} for it, and what it takes; empty where the model has none. */
  Optional<Design> design(TensorShape shape) {
    return switch (shape) {
      case MatmulShape m -> best(m);
      case AttentionShape a -> a.backward() ? Optional.empty() : forward(a);
    };
  }

  record Design(String what, Prediction prediction) {}

  private Optional<Design> best(MatmulShape s) {
    int most = s.transA() ? 8 : 1; // of a weight's gradient, k may be cut
    return DESIGNS.stream()
        .flatMap(
            d ->
                IntStream.rangeClosed(1, most)
                    .filter(parts -> s.k() / parts >= 1024 || parts == 1)
                    .mapToObj(
                        parts ->
                            new Design(name(d, parts), d.predict(sm, s.m(), s.n(), s.k(), parts))))
        .min(Comparator.comparingDouble(d -> d.prediction.expected()));
  }

  private static String name(ProductPipeline d, int parts) {
    return "%dx%d%s%s"
        .formatted(
            d.rows(),
            d.columns(),
            d.pingPong() ? " ping-pong" : "",
            parts > 1 ? ", k in " + parts : "");
  }

  private Optional<Design> forward(AttentionShape a) {
    Stream<AttentionPipeline> ofDim = ATTENTION.stream().filter(p -> p.dim() == a.dim());
    return ofDim
        .map(
            p ->
                new Design(
                    p.rows() + "x" + p.keys(),
                    p.predict(sm, a.batch(), a.heads(), a.steps(), true)))
        .findFirst();
  }
}
