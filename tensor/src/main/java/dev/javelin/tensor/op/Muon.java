package dev.javelin.tensor.op;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.kernels.cpu.MuonCpu;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/**
 * Momentum, orthogonalised: a matrix moves by the orthogonal matrix nearest to its momentum, found
 * by five Newton-Schulz iterations. With {@code g = grads · gradScale} and {@code lr} the learning
 * rate times the segment's scale:
 *
 * <pre>
 * m ← mu·m + f·g            f = 1-mu, or 1 for a plain sum
 * u = f·g + mu·m            Nesterov's form; else m
 * X = u / |u|_F             five times:  A = X·Xᵀ,  X ← 3.4445·X + (-4.775·A + 2.0315·A²)·X
 * w ← w·(1 - lr·weightDecay) - lr·factor·X
 * grads ← 0
 * </pre>
 *
 * Where there are more rows than columns, {@code A = Xᵀ·X} stands on the other side. The iteration
 * is in fp32. Singular values end between about 0.7 and 1.2, not at 1, which training does not
 * feel.
 *
 * @see <a href="https://kellerjordan.github.io/posts/muon">Jordan et al. 2024, Muon</a>
 */
public final class Muon implements AutoCloseable {
  private static final int ITERATIONS = 5;
  private static final float A = 3.4445f;
  private static final float B = -4.7750f;
  private static final float C = 2.0315f;

  /** Added to |u|², so that a zero gradient moves nothing. */
  private static final float TINY = 1e-14f;

  private final Memory memory;
  private final long elements;
  private final long side;

  /**
   * How momentum is kept and the update scaled.
   *
   * @param fresh what a gradient is multiplied by: 1 - mu, or 1
   * @param nesterov whether the gradient is looked at once more
   */
  public record Momentum(float mu, float fresh, boolean nesterov) {}

  /** Memory for matrices of at most so many elements, whose shorter side is at most so long. */
  public Muon(Device device, long elements, int side) {
    this.elements = elements;
    this.side = (long) side * side;
    this.memory = device.allocate(DType.F32.bytes(2 * elements + 3 * this.side + 2));
    Fill.constant(f32(tinyAt(), Shape.of(1)), TINY);
  }

  private long tinyAt() {
    return 2 * elements + 3 * side;
  }

  private Tensor f32(long at, Shape shape) {
    return Tensor.of(memory, DType.F32.bytes(at), DType.F32, shape);
  }

  /**
   * One update of a matrix, where {@link GlobalNorm} has decided the step. A skipped step clears
   * the gradients and changes nothing else.
   *
   * @param flat the matrix [rows · columns], one segment
   * @param m momentum, F32 [rows · columns]
   * @param factor on the update, by the matrix's shape
   */
  public void step(
      FlatWeights flat,
      int rows,
      int columns,
      Tensor m,
      StepState state,
      Momentum momentum,
      float factor) {
    Tensor x = f32(0, flat.weights().shape());
    Update.of("muon_momentum", flat)
        .keeping("m", m)
        .keeping("x", x)
        .step(
            state,
            s ->
                MuonCpu.momentum(state.gradScale(), momentum.mu, momentum.fresh, momentum.nesterov),
            momentum.mu,
            momentum.fresh,
            momentum.nesterov ? 1 : 0);
    Tensor orthogonal = orthogonal(x.reshape(rows, columns));
    Update.of("muon_descent", flat)
        .keeping("x", orthogonal.reshape(flat.weights().shape()))
        .step(state, s -> descent(s, state, factor), factor);
  }

  private static dev.javelin.kernels.cpu.UpdateCpu.Rule descent(
      Segment s, StepState state, float factor) {
    double lr = (double) state.learningRate() * s.lrScale();
    return MuonCpu.descent((float) (1 - lr * s.weightDecay()), (float) (lr * factor));
  }

  /** Ends in the other of two buffers after an odd number of iterations. */
  private Tensor orthogonal(Tensor x) {
    int rows = x.dim(0);
    int columns = x.dim(1);
    boolean tall = rows > columns;
    int n = Math.min(rows, columns);
    Tensor other = f32(elements, x.shape());
    Tensor a = f32(2 * elements, Shape.of(n, n));
    Tensor scaled = f32(2 * elements + side, Shape.of(n, n));
    Tensor polynomial = f32(2 * elements + 2 * side, Shape.of(n, n));
    Tensor tiny = f32(tinyAt(), Shape.of(1, 1));
    Tensor norm = f32(tinyAt() + 1, Shape.of(1, 1));
    Elementwise.multiply(norm, x, x); // summed
    Elementwise.add(norm, norm, tiny);
    Elementwise.sqrt(norm, norm);
    Elementwise.divide(x, x, norm);
    for (int i = 0; i < ITERATIONS; i++) {
      Tensor transposed = x.transpose(0, 1);
      Matmul.forward(a, tall ? transposed : x, tall ? x : transposed);
      Elementwise.scale(polynomial, a, B);
      Elementwise.scale(scaled, a, C);
      Matmul.forward(new Grad(polynomial, true), scaled, a);
      Elementwise.scale(other, x, A);
      Matmul.forward(new Grad(other, true), tall ? x : polynomial, tall ? polynomial : x);
      Tensor before = x;
      x = other;
      other = before;
    }
    return x;
  }

  @Override
  public void close() {
    memory.close();
  }
}
