package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.F32;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.kernels.CrossEntropyForm;
import java.util.Arrays;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * One linear layer with its cross-entropy: operands, results as {@link LinearCrossEntropyHopper}
 * has them, and the same by loops in double.
 *
 * @param pull x is so many times its target's row of w, and the logits of targets that much higher
 */
record HopperLosses(
    DType type, int rows, int cols, int vocabulary, CrossEntropyForm form, double pull) {
  static final int IGNORED = -100;
  static final CrossEntropyForm PLAIN = new CrossEntropyForm(IGNORED, 0, 0, 0);

  /** What is asked for. */
  enum Pass {
    LOSSES,
    BOTH_IN_TURN,
    BOTH_AT_ONCE
  }

  /**
   * Results.
   *
   * @param dx rows of {@code vectors(cols)}
   */
  record Results(float[] losses, float[] stats, HostMatrix dx, float[] dw) {
    boolean sameBits(Results other) {
      return Arrays.equals(losses, other.losses)
          && Arrays.equals(stats, other.stats)
          && Arrays.equals(dx.values(), other.dx.values())
          && Arrays.equals(dw, other.dw);
    }
  }

  private static final HopperLosses SMOOTHED =
      new HopperLosses(
          DType.BF16, 70, 24, 300, new CrossEntropyForm(IGNORED, 0.1f, 1e-2f, 3), 0.05);
  private static final HopperLosses CAPPED =
      new HopperLosses(DType.BF16, 70, 24, 300, new CrossEntropyForm(IGNORED, 0, 1e-2f, 4), 0.05);

  /** Losses, then gradients: where one is wrong; "" if all are right. */
  static String inTurn(Gpu gpu) {
    return SMOOTHED.difference(SMOOTHED.run(gpu, Pass.BOTH_IN_TURN, 70, false), true, false);
  }

  /** The same from one product. */
  static String atOnce(Gpu gpu) {
    return CAPPED.difference(CAPPED.run(gpu, Pass.BOTH_AT_ONCE, 70, false), true, false);
  }

  int[] targets() {
    int[] targets = new Random(3).ints(rows, 0, vocabulary).toArray();
    targets[0] = vocabulary - 1;
    targets[rows / 2] = 0;
    for (int i = 2; i < rows; i += 7) {
      targets[i] = form.ignoreIndex();
    }
    return targets;
  }

  private int gap() {
    return (8 - cols % 8) % 8 + 8;
  }

  HostMatrix w() {
    return HostMatrix.random(type, vocabulary, cols, gap(), Float.NaN, 2);
  }

  HostMatrix x() {
    HostMatrix x = HostMatrix.random(type, rows, cols, gap(), Float.NaN, 1);
    HostMatrix w = w();
    int[] targets = targets();
    float[] values = x.values();
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < cols; c++) {
        float own = targets[r] < 0 ? 0 : w.at(targets[r], c);
        int at = r * x.stride() + c;
        values[at] = Halves.round(type, (float) (values[at] / Math.sqrt(cols) + pull * own));
      }
    }
    return x;
  }

  float[] dy() {
    float[] dy = new float[rows];
    var random = new Random(4);
    for (int r = 0; r < rows; r++) {
      dy[r] = random.nextFloat(-1, 1);
    }
    return dy;
  }

  /** What dx and dw hold before, where it is to be added to. */
  float before(int i) {
    return (i % 13 - 6) / 8f;
  }

  /** Runs it in chunks of so many rows. */
  Results run(Gpu gpu, Pass pass, int chunk, boolean accumulate) {
    return run(gpu, pass, chunk, accumulate, targets());
  }

  Results run(Gpu gpu, Pass pass, int chunk, boolean accumulate, int[] targets) {
    HostMatrix x = x();
    HostMatrix w = w();
    CudaRows xs = rows(x, x.upload(gpu), false);
    CudaRows ws = rows(w, w.upload(gpu), false);
    int stride = (vocabulary + 15) / 16 * 16;
    float[] nothing = new float[Math.max(chunk * stride, Math.max(2 * rows, vocabulary * cols))];
    Arrays.fill(nothing, Float.NaN);
    CudaRows scratch = new CudaRows(gpu.of(nothing), F32, chunk, vocabulary, stride, false);
    HostMatrix dx = HostMatrix.random(type, rows, cols, gap(), 7, 5);
    float[] dw = new float[vocabulary * cols];
    for (int i = 0; i < dw.length; i++) {
      dw[i] = accumulate ? before(i) : Float.NaN;
    }
    for (int i = 0; i < dx.values().length; i++) {
      if (i % dx.stride() < cols) {
        dx.values()[i] = accumulate ? before(i) : Float.NaN;
      }
    }
    DeviceMemory toX = dx.upload(gpu);
    DeviceMemory toW = gpu.of(dw);
    CudaRows dxs = rows(dx, toX, accumulate);
    CudaRows dws = new CudaRows(toW, F32, vocabulary, cols, cols, accumulate);
    DeviceMemory losses = gpu.of(Arrays.copyOf(nothing, rows));
    DeviceMemory stats = gpu.of(Arrays.copyOf(nothing, 2 * rows));
    DeviceMemory dy = gpu.of(dy());
    DeviceMemory t = gpu.of(targets);
    if (!LinearCrossEntropyHopper.hasRoom(xs, ws, dxs, scratch)) {
      throw new AssertionError("not for this kernel: " + this);
    }
    switch (pass) {
      case LOSSES -> launch(gpu, losses, stats, null, null, null, xs, ws, t, scratch);
      case BOTH_AT_ONCE -> launch(gpu, losses, stats, dxs, dws, dy, xs, ws, t, scratch);
      case BOTH_IN_TURN -> {
        launch(gpu, losses, stats, null, null, null, xs, ws, t, scratch);
        launch(gpu, null, stats, dxs, dws, dy, xs, ws, t, scratch);
      }
    }
    return new Results(
        gpu.floats(losses, rows),
        gpu.floats(stats, 2 * rows),
        dx.download(gpu, toX),
        gpu.floats(toW, dw.length));
  }

  private void launch(
      Gpu gpu,
      @Nullable DeviceMemory losses,
      DeviceMemory stats,
      @Nullable CudaRows dx,
      @Nullable CudaRows dw,
      @Nullable DeviceMemory dy,
      CudaRows x,
      CudaRows w,
      DeviceMemory targets,
      CudaRows scratch) {
    LinearCrossEntropyHopper.run(
        gpu.cuda(), losses, stats, dx, dw, dy, x, w, targets, form, scratch);
    gpu.synchronize();
  }

  private static CudaRows rows(HostMatrix m, DeviceMemory memory, boolean accumulate) {
    return new CudaRows(memory, m.type(), m.rows(), m.cols(), m.stride(), accumulate);
  }

  /** Where results are wrong; "" where they are right. */
  String difference(Results got, boolean gradients, boolean accumulate) {
    HostMatrix x = x();
    HostMatrix w = w();
    int[] targets = targets();
    float[] dy = dy();
    double unit = type == DType.BF16 ? 0x1p-8 : 0x1p-11;
    double least = type == DType.BF16 ? 1e-38 : 0x1p-25;
    double[] dw = new double[vocabulary * cols];
    double[] dwBound = new double[vocabulary * cols];
    for (int r = 0; r < rows; r++) {
      double[] d = new double[vocabulary];
      double[] magnitude = new double[vocabulary];
      boolean ignored = targets[r] == form.ignoreIndex();
      double largest = 0;
      double loss = ignored ? 0 : gradient(d, magnitude, x, w, r, targets[r], dy[r]);
      for (int v = 0; v < vocabulary; v++) {
        largest = Math.max(largest, Math.abs(logit(x, w, r, v)));
      }
      double off = Math.abs(got.losses[r] - loss);
      if (!(off <= 1e-5 * (1 + largest) + 2e-6 * Math.abs(loss))) {
        return "the loss of row %d is %s, not %s".formatted(r, got.losses[r], loss);
      }
      if (!gradients) {
        continue;
      }
      // A logit is off by fp32 sums, and its exponential by as much of itself.
      double relative = unit + 0x1p-20 * (1 + largest);
      for (int c = 0; c < cols; c++) {
        double want = accumulate ? before(r * x.stride() + c) : 0;
        double bound = 1e-6;
        for (int v = 0; v < vocabulary; v++) {
          want += d[v] * w.at(v, c);
          bound += (relative * magnitude[v] + least) * Math.abs(w.at(v, c));
          dw[v * cols + c] += d[v] * x.at(r, c);
          // in bf16 two factors are rounded
          dwBound[v * cols + c] += (2.1 * relative * magnitude[v] + least) * Math.abs(x.at(r, c));
        }
        bound += unit * (Math.abs(want) + bound);
        if (!(Math.abs(got.dx.at(r, c) - want) <= bound)) {
          return "dx[%d, %d] is %s, not %s within %s".formatted(r, c, got.dx.at(r, c), want, bound);
        }
      }
    }
    for (int i = 0; gradients && i < dw.length; i++) {
      double want = dw[i] + (accumulate ? before(i) : 0);
      if (!(Math.abs(got.dw[i] - want) <= dwBound[i] + 2e-6)) {
        return "dw[%d, %d] is %s, not %s within %s"
            .formatted(i / cols, i % cols, got.dw[i], want, dwBound[i]);
      }
    }
    return "";
  }

  private double logit(HostMatrix x, HostMatrix w, int row, int v) {
    double sum = 0;
    for (int c = 0; c < cols; c++) {
      sum += (double) x.at(row, c) * w.at(v, c);
    }
    return form.softCap() > 0 ? form.softCap() * Math.tanh(sum / form.softCap()) : sum;
  }

  /** The loss of a row; its gradient, and the size of the terms that it is the sum of. */
  private double gradient(
      double[] d, double[] magnitude, HostMatrix x, HostMatrix w, int row, int target, double dy) {
    double[] logits = new double[vocabulary];
    double max = Double.NEGATIVE_INFINITY;
    double total = 0;
    for (int v = 0; v < vocabulary; v++) {
      logits[v] = logit(x, w, row, v);
      max = Math.max(max, logits[v]);
      total += logits[v];
    }
    double sum = 0;
    for (double l : logits) {
      sum += Math.exp(l - max);
    }
    double lse = max + Math.log(sum);
    double s = form.labelSmoothing();
    for (int v = 0; v < vocabulary; v++) {
      double slope = 1 - (form.softCap() > 0 ? Math.pow(logits[v] / form.softCap(), 2) : 0);
      double p = (1 + 2 * form.zLoss() * lse) * Math.exp(logits[v] - lse);
      double hit = v == target ? 1 - s : 0;
      d[v] = dy * (p - s / vocabulary - hit) * slope;
      magnitude[v] = Math.abs(dy) * (Math.abs(p) + s / vocabulary + hit);
    }
    double mean = total / vocabulary;
    return (1 - s) * (lse - logits[target]) + s * (lse - mean) + form.zLoss() * lse * lse;
  }
}
