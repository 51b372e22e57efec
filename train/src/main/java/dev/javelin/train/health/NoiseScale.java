package dev.javelin.train.health;

import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.ranks.Communicator;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.function.ObjDoubleConsumer;

/**
 * The gradient noise scale {@code tr(Σ)/‖G‖²}, Σ being the covariance of the gradients of single
 * targets, from gradients that a step has anyway: of the first micro-batch, b targets, and of the
 * whole step, B targets. Without bias,
 *
 * <pre>
 * ‖G‖² ≈ (B·‖g_B‖² − b·‖g_b‖²) / (B − b)        tr(Σ) ≈ (‖g_b‖² − ‖g_B‖²) / (1/b − 1/B)
 * </pre>
 *
 * <p>Both are averaged over steps, exponentially, before they are divided. The quotient is a number
 * of targets: where the batch has as many, noise and signal of its gradient are equal, and larger
 * batches gain little. A step that is one micro-batch on one rank says nothing about it.
 *
 * <p>Each step costs two reads of the gradients; the norms stay on the device until they are asked
 * for.
 *
 * @see <a href="https://arxiv.org/abs/1812.06162">An empirical model of large-batch training,
 *     appendix A.1</a>
 */
public final class NoiseScale implements StepHook {
  private static final double DECAY = 0.99;
  private static final int SLOTS = 128; // steps until the host has to look

  private final BatchSource source;
  private final int batch;
  private final Communicator ranks;
  private final Tensor gradients;
  private final Memory memory; // F32 [SLOTS, 2]
  private final Tensor[] norms = new Tensor[2 * SLOTS]; // of the first batch, of the whole step
  private final float[] host = new float[2 * SLOTS];
  private final double[] small = new double[SLOTS]; // targets
  private final double[] big = new double[SLOTS];
  private int slots; // in use
  private boolean measuring;
  private double trace; // Σ decay^k · estimate
  private double signal;
  private double weight; // Σ decay^k
  private double rowTargets = 1;

  /**
   * @param source of the training's rows
   * @param batch rows of a micro-batch
   */
  public NoiseScale(
      ParameterBuffer<?> parameters, BatchSource source, int batch, Communicator ranks) {
    this.source = source;
    this.batch = batch;
    this.ranks = ranks;
    this.gradients = parameters.gradients();
    this.memory = gradients.device().allocate(4L * norms.length);
    for (int i = 0; i < norms.length; i++) {
      norms[i] = Tensor.of(memory, 4L * i, DType.F32, Shape.of());
    }
  }

  @Override
  public String name() {
    return "noise_scale";
  }

  @Override
  public void begin(long step, long place, int rows) {
    measuring = rows > batch;
    if (measuring) {
      small[slots] = source.targets(place + (long) ranks.rank() * batch, batch);
      big[slots] = source.targets(place, rows);
      rowTargets = big[slots] / rows;
    }
  }

  @Override
  public void accumulated(int micro, StepState state) {
    if (measuring && micro == 0) {
      GlobalNorm.measure(norms[2 * slots], state, gradients);
    }
  }

  @Override
  public void gradient(StepState state) {
    if (measuring) {
      GlobalNorm.measure(norms[2 * slots + 1], state, gradients);
    }
  }

  @Override
  public void updated(StepState state) {
    measuring &= !state.isLeftOut(); // what another hook finds too far off is not averaged
  }

  @Override
  public After after(long step) {
    if (measuring && ++slots == SLOTS) {
      average();
    }
    return After.GO_ON;
  }

  /** Takes what the device has measured. */
  private void average() {
    if (slots == 0) {
      return;
    }
    gradients.device().read(MemorySegment.ofArray(host), memory, 0);
    for (int i = 0; i < slots; i++) {
      // The first batch's sum is weighted for the whole step: by 1/B where 1/b makes a mean.
      double first = (double) host[2 * i] * big[i] / small[i];
      double whole = host[2 * i + 1];
      add(first * first, whole * whole, small[i], big[i]);
    }
    slots = 0;
  }

  private void add(double first, double whole, double b, double n) {
    if (b <= 0 || n <= b || !Double.isFinite(first) || !Double.isFinite(whole)) {
      return; // an overflow, or a batch without targets
    }
    trace = DECAY * trace + (first - whole) / (1 / b - 1 / n);
    signal = DECAY * signal + (n * whole - b * first) / (n - b);
    weight = DECAY * weight + 1;
  }

  /** {@code tr(Σ)} of single targets, averaged; NaN before the first step. */
  public double trace() {
    average();
    return ranks.sum(trace / weight) / ranks.world();
  }

  /** {@code ‖G‖²}, averaged; NaN before the first step. */
  public double signal() {
    average();
    return ranks.sum(signal / weight) / ranks.world();
  }

  /** The critical batch in targets, and in rows; not a number where the noise drowns the signal. */
  @Override
  public void measure(ObjDoubleConsumer<String> out) {
    average();
    if (weight > 0) {
      double norm = signal();
      double targets = norm > 0 ? Math.max(0, trace()) / norm : Double.NaN;
      out.accept("noise_scale", targets / rowTargets);
      out.accept("critical_batch", targets);
    }
  }

  @Override
  public Map<String, double[]> save() {
    average();
    return Map.of("averages", new double[] {trace, signal, weight});
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    double[] averages = saved.get("averages");
    if (averages != null && averages.length == 3) {
      trace = averages[0];
      signal = averages[1];
      weight = averages[2];
    }
  }

  @Override
  public void close() {
    memory.close();
  }
}
