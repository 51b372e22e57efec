package dev.javelin.bench;

import dev.javelin.bench.ProductPipeline.Results;
import dev.javelin.tensor.op.LinearCrossEntropy;
import java.util.Locale;

/**
 * What the model expects of the last linear layer and its loss on compute capability 9.0, bf16,
 * loss and both gradients: of the kernels that we have, and of three other ways.
 */
final class HopperHead {
  private static final SmMachine SM = SmMachine.H200;
  private static final double STATISTICS = 4; // instructions a logit: fmax, fma, exp2, add
  private static final double GRADIENT = 6; // fma, exp2, fma, and of two rows' ends
  private static final double WEIGHTS = 4; // fma, exp2, add, and the same
  private static final int TILE = 256;

  private final Pipelines pipelines;
  private final int rows;
  private final int cols;
  private final int vocabulary;

  private HopperHead(Pipelines pipelines, int rows, int cols, int vocabulary) {
    this.pipelines = pipelines;
    this.rows = rows;
    this.cols = cols;
    this.vocabulary = vocabulary;
  }

  /** Seconds of the kernels that run in training. */
  static double seconds(Pipelines pipelines, int rows, int cols, int vocabulary) {
    return new HopperHead(pipelines, rows, cols, vocabulary).seconds(Way.EXPONENTIALS);
  }

  /**
   * How it can be done, with FLOPs in units of rows · cols · vocabulary and the bytes that a logit,
   * or what is made of it, moves to and from memory.
   */
  private enum Way {
    IN_PLACE("fp32 logits, the gradient in their place", 6, 4 + 4 + 2 + 2 + 2),
    HALF_IN_PLACE("bf16 logits, the gradient in their place", 6, 2 + 2 + 2 + 2 + 2),
    RECOMPUTED("statistics; the gradient from a second product", 8, 2 + 2 + 2),
    EXPONENTIALS("exponentials relative to the target's logit, then rows scaled", 6, 2 + 2 + 2);

    final String what;
    final int flops;
    final int bytes;

    Way(String what, int flops, int bytes) {
      this.what = what;
      this.flops = flops;
      this.bytes = bytes;
    }
  }

  private double seconds(Way way) {
    int most = LinearCrossEntropy.gpuRows(rows, vocabulary);
    double all = 0;
    for (int from = 0; from < rows; from += most) {
      all += chunk(way, Math.min(most, rows - from));
    }
    return all;
  }

  private double chunk(Way way, int n) {
    double logits = (double) n * vocabulary;
    double x = (double) n * cols;
    double fold = move(8 * logits / TILE);
    double own =
        switch (way) {
          case IN_PLACE -> product(n, new Results(4, false)) + move(6 * logits);
          case HALF_IN_PLACE ->
              product(n, new Results(2, false, STATISTICS)) + fold + move(4 * logits);
          case RECOMPUTED ->
              product(n, new Results(0, false, STATISTICS))
                  + fold
                  + product(n, new Results(2, false, GRADIENT));
          case EXPONENTIALS ->
              move(4 * x) // targets' logits
                  + product(n, new Results(2, false, WEIGHTS))
                  + fold
                  + move(8.0 * n) // rows that are computed again: none
                  + move(4 * x) // x scaled
                  + move(8 * x); // dx scaled, which its product leaves in fp32
        };
    return own
        + products(new MatmulShape(n, cols, vocabulary, false, false))
        + products(new MatmulShape(vocabulary, cols, n, true, false));
  }

  private double product(int n, Results results) {
    return pipelines.logits(n, vocabulary, cols, results).expected();
  }

  private double products(MatmulShape s) {
    return pipelines.hopper(s).prediction().expected();
  }

  private static double move(double bytes) {
    return SM.move(bytes).expected();
  }

  static String text(Pipelines pipelines) {
    StringBuilder text =
        new StringBuilder(
            """
            Linear layer and cross-entropy, loss and both gradients, chunks of rows as `LinearCrossEntropy.gpuRows` has them. FLOPs in
            units of rows · features · vocabulary; bytes of a logit, or of what is made of it, to and from memory. Training takes the
            last one ([memory-bound](memory-bound.md)). Not measured.

            | way | FLOPs | bytes | 32768x768, 50304: ms | 16384x4096, 128256: ms |
            |---|---|---|---|---|
            """);
    HopperHead small = new HopperHead(pipelines, 32768, 768, 50304);
    HopperHead large = new HopperHead(pipelines, 16384, 4096, 128256);
    for (Way way : Way.values()) {
      text.append(
          String.format(
              Locale.ROOT,
              "| %s | %d | %d | %.1f | %.1f |%n",
              way.what,
              way.flops,
              way.bytes,
              small.seconds(way) * 1e3,
              large.seconds(way) * 1e3));
    }
    return text.append('\n').toString();
  }
}
