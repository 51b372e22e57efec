package dev.javelin.tensor.op;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.kernels.cpu.AdafactorCpu;
import dev.javelin.kernels.cpu.UpdateCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adam's second moment as the product of a vector for the rows and one for the columns of a matrix:
 * {@code R + C} numbers in place of {@code R·C}. With {@code t} the applied steps, {@code g = grads
 * · gradScale} and {@code lr} the learning rate times the segment's scale:
 *
 * <pre>
 * r_i ← r_i + t^exponent·(mean_j g_ij² + 1e-30 - r_i)        c_j likewise, over i
 * u_ij = g_ij / sqrt(r_i·c_j/mean(r))                        a vector keeps r for each element: u = g/sqrt(r)
 * rate = lr, or min(lr, 1/sqrt(t)) where capped; times max(least, rms(w)) where scaled by the weights
 * u ← rate · u / max(1, rms(u)/threshold)
 * m ← beta1·m + (1-beta1)·u,  w ← w·(1 - rate·weightDecay) - m      the decay is lr·weightDecay where capped
 * grads ← 0
 * </pre>
 *
 * @see <a href="https://arxiv.org/abs/1804.04235">Shazeer and Stern 2018, Adafactor</a>
 */
public final class Adafactor implements AutoCloseable {
  /** Added to a squared gradient, so that one that was always zero can be divided by its root. */
  private static final float FLOOR = 1e-30f;

  private static final int SCALARS = 4; // sums of squares, and the mean of the rows' moments

  private final Memory memory;
  private final int rows;

  /**
   * The rule's constants.
   *
   * @param exponent of the step in the decay of the second moment: 1 - t^exponent
   * @param threshold root mean square beyond which an update is scaled down to it
   * @param least root mean square that weights count for at least
   * @param beta1 decay of the first moment; 0 for none
   * @param scaled whether the rate is relative to the weights
   * @param capped whether the rate is at most 1/sqrt(t)
   */
  public record Constants(
      float exponent, float threshold, float least, float beta1, boolean scaled, boolean capped) {}

  /** Memory for matrices of at most so many rows and columns, and vectors of as many rows. */
  public Adafactor(Device device, int rows, int columns) {
    this.rows = rows;
    this.memory = device.allocate(DType.F32.bytes(SCALARS + 2L * rows + 2L * columns));
  }

  private Tensor f32(long at, int... dims) {
    return Tensor.of(memory, DType.F32.bytes(at), DType.F32, Shape.of(dims));
  }

  /**
   * One update of a matrix or vector, where {@link GlobalNorm} has decided the step. A skipped step
   * clears the gradients and changes nothing else.
   *
   * @param flat the elements [rows · columns], one segment
   * @param columns 1 for a vector
   * @param r second moments of the rows, or a vector's elements, F32 [rows]
   * @param c of the columns, F32 [columns]; {@code null} for a vector
   * @param m first moment, F32 as the weights; {@code null} where beta1 is 0
   */
  public void step(
      FlatWeights flat,
      int columns,
      Tensor r,
      @Nullable Tensor c,
      @Nullable Tensor m,
      StepState state,
      Constants k) {
    long n = flat.weights().elements();
    int rows = r.dim(0);
    Tensor g = flat.grads().reshape(rows, columns);
    int row = SCALARS;
    int column = SCALARS + 2 * this.rows;
    Tensor rowSums = f32(row, rows, 1);
    Elementwise.multiply(rowSums, g, g);
    moment(rowSums.reshape(rows), r, 1f / columns, state, k);
    if (c == null) {
      Elementwise.sqrt(rowSums, r.reshape(rows, 1));
    } else {
      Tensor columnSums = f32(column, 1, columns);
      Elementwise.multiply(columnSums, g, g);
      moment(columnSums.reshape(columns), c, 1f / rows, state, k);
      Tensor root = f32(column + columns, 1, columns);
      Elementwise.sqrt(root, c.reshape(1, columns));
      Elementwise.divide(g, g, root);
      Tensor mean = f32(2, 1, 1);
      Elementwise.scale(mean, r.reshape(rows, 1), 1f / rows); // summed
      Elementwise.divide(rowSums, r.reshape(rows, 1), mean);
      Elementwise.sqrt(rowSums, rowSums);
    }
    Elementwise.divide(g, g, rowSums);
    Tensor squares = f32(0, 2);
    Elementwise.multiply(squares.slice(0, 0, 1), flat.grads(), flat.grads()); // summed
    Elementwise.multiply(squares.slice(0, 1, 2), flat.precise(), flat.precise());
    Update.of("adafactor_step", flat)
        .keeping("m", m)
        .reading(squares)
        .step(
            state,
            s -> step(s, state, squares, n, k),
            n,
            k.threshold,
            k.least,
            k.beta1,
            k.scaled ? 1 : 0,
            k.capped ? 1 : 0);
  }

  private static void moment(Tensor sums, Tensor r, float mean, StepState state, Constants k) {
    var all = List.of(new Segment(0, r.elements(), 1, 0));
    Update.of("adafactor_moment", new FlatWeights(r, null, sums, all))
        .keeping("none", null)
        .step(
            state,
            s -> {
              float share = (float) StrictMath.pow(state.appliedSteps(), k.exponent);
              // A sum of squares is scaled twice.
              return AdafactorCpu.moment(
                  share, state.gradScale() * (state.gradScale() * mean), FLOOR);
            },
            mean,
            FLOOR,
            k.exponent);
  }

  private static UpdateCpu.Rule step(
      Segment s, StepState state, Tensor squares, double n, Constants k) {
    double u2 = squares.segment().getAtIndex(ValueLayout.JAVA_FLOAT, 0);
    double w2 = squares.segment().getAtIndex(ValueLayout.JAVA_FLOAT, 1);
    double lr = (double) state.learningRate() * s.lrScale();
    double rate = k.capped ? Math.min(lr, 1 / Math.sqrt(state.appliedSteps())) : lr;
    if (k.scaled) {
      rate *= Math.max(k.least, Math.sqrt(w2 / n));
    }
    double rms = state.gradScale() * Math.sqrt(u2 / n);
    double decay = 1 - (k.capped ? lr : rate) * s.weightDecay();
    double step = rate / Math.max(1, rms / k.threshold) * state.gradScale();
    return AdafactorCpu.step((float) decay, (float) step, k.beta1);
  }

  @Override
  public void close() {
    memory.close();
  }
}
