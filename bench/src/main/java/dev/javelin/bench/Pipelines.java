package dev.javelin.bench;

import static java.util.Objects.requireNonNull;

import dev.javelin.bench.ProductPipeline.Store;
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
 * The model of kernels on a card: of ours on {@code mma.sync}, and of designs on {@code wgmma}; not
 * of our kernels on {@code wgmma}.
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
      List.of(
          new AttentionPipeline(64, 128, 3, true, true, AttentionPipeline.SOFTMAX),
          new AttentionPipeline(128, 128, 2, true, true, AttentionPipeline.SOFTMAX));

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
        rows, columns, 64, stages, consumers, 1, GRID, cluster, 1, 1, pingPong, Store.STMATRIX);
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

  /** A design on {@code wgmma} for it, and what it takes; empty where the model has none. */
  Optional<Design> design(TensorShape shape) {
    return switch (shape) {
      case MatmulShape m -> product(m);
      case AttentionShape a -> a.backward() ? Optional.empty() : forward(a);
    };
  }

  record Design(String what, Prediction prediction) {}

  private Optional<Design> product(MatmulShape s) {
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
