package dev.javelin.bench;

import dev.javelin.bench.ProductPipeline.Store;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Public kernels whose design and speed are known, and what the model says of them. It gets tile
 * shapes, what waits for what, and instructions; nothing is set for one kernel.
 *
 * @param kernel and where the figure is from
 * @param shape of the case
 * @param unit of both figures
 * @param published the figure
 * @param predicted the model's
 * @param apart why they are more than {@link #TOLERANCE} apart; empty where they are not
 */
record Published(
    String kernel, String shape, String unit, double published, double predicted, String apart) {
  static final double TOLERANCE = 0.10;

  private static final String FAST = "fast.cu";
  private static final String FA3 = "FlashAttention-3 forward";

  private static final String SHORT =
      "short sequences: a block of queries costs the kernel of the paper more to begin and to end"
          + " than here, and its order of causal blocks is not known";

  double ratio() {
    return predicted / published;
  }

  static List<Published> all() {
    List<Published> all = new ArrayList<>();
    products(all);
    flashAttention3(all);
    flashAttention2(all);
    memory(all);
    return all;
  }

  private static void products(List<Published> all) {
    product(
        all, "2: tiles of 64x64", 4096, 317, kernel(64, 64, 1, 1, 8, 0, 1, 128, Store.SCATTERED));
    product(all, "3: 128x128", 4096, 423, kernel(128, 128, 1, 1, 2, 0, 1, 128, Store.SCATTERED));
    product(
        all,
        "4: a producer, a ring of 5",
        4096,
        498,
        kernel(128, 128, 5, 1, 1, 0, 1, 128, Store.SCATTERED));
    product(
        all,
        "5: 128x256, two consumers",
        4096,
        610,
        kernel(128, 256, 3, 2, 1, 0, 1, 128, Store.SCATTERED));
    product(
        all, "6: persistent", 4096, 660, kernel(128, 256, 3, 2, 1, 128, 1, 128, Store.SCATTERED));
    product(
        all,
        "7: one arrival a warpgroup",
        4096,
        704,
        kernel(128, 256, 3, 2, 1, 128, 1, 1, Store.SCATTERED));
    product(
        all,
        "8: clusters of two",
        4096,
        734,
        kernel(128, 256, 3, 2, 1, 128, 2, 1, Store.SCATTERED));
    product(
        all,
        "10: bulk stores",
        4096,
        758,
        kernel(128, 256, 3, 2, 1, 128, 2, 1, Store.SHARED_SCATTERED));
    product(all, "12: `stmatrix`", 4096, 763, kernel(128, 256, 3, 2, 1, 128, 2, 1, Store.STMATRIX));
    product(all, "12: `stmatrix`", 8192, 808, kernel(128, 256, 3, 2, 1, 128, 2, 1, Store.STMATRIX));
  }

  private static ProductPipeline kernel(
      int rows,
      int columns,
      int stages,
      int consumers,
      int blocks,
      int grid,
      int cluster,
      int arrivals,
      Store store) {
    return new ProductPipeline(
        rows, columns, 64, stages, consumers, blocks, grid, cluster, arrivals, 0, false, 0, store);
  }

  private static void product(
      List<Published> all, String rung, int n, double published, ProductPipeline kernel) {
    double predicted = kernel.predict(SmMachine.H100, n, n, n).teraflops();
    all.add(new Published(FAST + " " + rung, n + "³", "TFLOP/s", published, predicted, ""));
  }

  private static void flashAttention3(List<Published> all) {
    flash3(all, new AttentionPipeline(64, 192, 3, true), false, 333, 392, 460, 476, 496, 497);
    flash3(all, new AttentionPipeline(64, 128, 3, true), true, 197, 265, 371, 420, 460, 473);
    flash3(all, new AttentionPipeline(128, 176, 2, true), false, 467, 565, 625, 638, 646, 648);
    flash3(all, new AttentionPipeline(256, 80, 2, true), false, 482, 639, 707, 736, 746, 756);
    flash3(all, new AttentionPipeline(256, 80, 2, true), true, 286, 427, 537, 612, 628, 642);
    AttentionPipeline plain = new AttentionPipeline(128, 176, 2, false);
    Prediction p = plain.predict(SmMachine.H100, 1, 16, 16384, false);
    all.add(
        new Published(
            FA3 + ", products and softmax in turn",
            "D 128, full, 16384",
            "TFLOP/s",
            582,
            p.teraflops(),
            ""));
  }

  /** 16384 tokens of 2048 features, in ever longer sequences. */
  private static void flash3(
      List<Published> all, AttentionPipeline kernel, boolean causal, double... published) {
    int steps = 512;
    for (double figure : published) {
      Prediction p =
          kernel.predict(SmMachine.H100, 16384 / steps, 2048 / kernel.dim(), steps, causal);
      boolean near = Math.abs(p.teraflops() / figure - 1) <= TOLERANCE;
      all.add(
          new Published(
              FA3,
              "D %d, %s, %d".formatted(kernel.dim(), causal ? "causal" : "full", steps),
              "TFLOP/s",
              figure,
              p.teraflops(),
              near ? "" : SHORT));
      steps *= 2;
    }
  }

  /** Counts from its tiles; the compiler's are not at hand. */
  private static void flashAttention2(List<Published> all) {
    flash2(
        all,
        64,
        128,
        128,
        324,
        new LoopCounts(1044, 0, 0, 256, 128, 72, 0, 16, 2),
        "instructions of its loop are counted from its tiles, not from its code");
    flash2(all, 128, 128, 64, 370, new LoopCounts(828, 0, 0, 256, 64, 80, 0, 16, 2), "");
    flash2(
        all,
        256,
        64,
        64,
        326,
        new LoopCounts(764, 0, 0, 256, 32, 144, 0, 32, 2),
        "bound by shared memory: with idle tensor cores the clock is higher than the one assumed");
  }

  private static void flash2(
      List<Published> all,
      int dim,
      int rows,
      int keys,
      double published,
      LoopCounts counts,
      String apart) {
    int heads = 2048 / dim;
    double sums = (double) rows * dim / 128;
    Prediction p =
        new WarpPipeline(counts, 2, 1, 0.5)
            .attention(
                SmMachine.H100,
                4.0 * 2048 * 16384 * 16384,
                heads,
                16384,
                rows,
                keys,
                1,
                false,
                sums);
    all.add(
        new Published(
            "FlashAttention-2 forward",
            "D " + dim + ", full, 16384",
            "TFLOP/s",
            published,
            p.teraflops(),
            apart));
  }

  private static void memory(List<Published> all) {
    SmMachine h200 = SmMachine.H200;
    SmMachine h100 = SmMachine.H100;
    move(all, h200, "cuDNN RMSNorm, bf16", "16384x4096", 72, 2.0 * 2 * 16384 * 4096, "");
    move(all, h200, "cuDNN RMSNorm, bf16", "8192x8192", 71.2, 2.0 * 2 * 8192 * 8192, "");
    move(all, h200, "cuDNN RMSNorm, bf16", "16384x128", 4.28, 2.0 * 2 * 16384 * 128, "");
    move(all, h100, "Liger RMSNorm, bf16", "4096x16384", 95, 2.0 * 2 * 4096 * 16384, "");
    move(all, h100, "Liger RMSNorm, bf16", "4096x8192", 50.9, 2.0 * 2 * 4096 * 8192, "");
    move(
        all,
        h100,
        "Liger RMSNorm, bf16",
        "4096x4096",
        29.2,
        2.0 * 2 * 4096 * 4096,
        "a launch of Triton's takes longer than one of a graph");
    move(all, h100, "Liger residual + RMSNorm, fp32", "2048x8192", 94.6, 4.0 * 4 * 2048 * 8192, "");
    move(all, h100, "Liger SwiGLU, bf16", "8192x16384", 267, 3.0 * 2 * 8192 * 16384, "");
    move(
        all,
        h100,
        "QuACK softmax, fp32",
        "16384x131072",
        16384.0 * 131072 * 8 / 3.01e6,
        2.0 * 4 * 16384 * 131072,
        "");
  }

  private static void move(
      List<Published> all,
      SmMachine sm,
      String kernel,
      String shape,
      double micros,
      double bytes,
      String apart) {
    double predicted = sm.move(bytes).expected() * 1e6;
    all.add(new Published(kernel + ", " + sm.name(), shape, "µs", micros, predicted, apart));
  }

  /** A line of a table. */
  String row() {
    return String.format(
        Locale.ROOT,
        "| %s | %s | %s %s | %s | %+.0f %% | %s |",
        kernel,
        shape,
        digits(published),
        unit,
        digits(predicted),
        100 * (ratio() - 1),
        apart.isEmpty() ? "" : "no: " + apart);
  }

  private static String digits(double value) {
    return String.format(Locale.ROOT, value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
  }
}
