package dev.javelin.tensor.step;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.javelin.device.Addressable;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * What changes from step to step, in 80 bytes of device memory: kernels read it there and never get
 * it as a launch argument, so a step can be captured once and replayed. The host writes the first
 * half before a step; the device decides the second half, and the host reads it later.
 *
 * <pre>
 *  0 seed            i64      32 loss scale     f32
 *  8 learning rate   f32      36 gradient norm  f32   of the unscaled gradient
 * 12 1/N targets     f32      40 clip factor    f32
 * 16 step            i32      44 gradient scale f32   clip factor / loss scale; 0 where skipped
 * 20 first sequence  i32      48 applied steps  i32   Adam's t
 * 24 loss            f64      52 skipped steps  i32
 *                             56 growth tracker i32   finite steps since the scale changed
 *                             60 overflow       i32   1 where the last step is skipped
 *                             64 bad steps      i32   in a row, that no smaller loss scale can mend
 *                             68 last bad step  i32   −1 where there was none
 *                             72 spoiled        i32   1 where the optimizer's state is not finite
 * </pre>
 */
public final class StepState implements Addressable, AutoCloseable {
  private static final long BYTES = 80;
  private static final long SEED = 0;
  private static final long LEARNING_RATE = 8;
  private static final long INVERSE_TARGETS = 12;
  private static final long STEP = 16;
  private static final long FIRST_SEQUENCE = 20;
  private static final long LOSS = 24;
  private static final long LOSS_SCALE = 32;
  private static final long GRAD_NORM = 36;
  private static final long CLIP_FACTOR = 40;
  private static final long GRAD_SCALE = 44;
  private static final long APPLIED_STEPS = 48;
  private static final long SKIPPED_STEPS = 52;
  private static final long GROWTH_TRACKER = 56;
  private static final long OVERFLOW = 60;
  private static final long BAD_STEPS = 64;
  private static final long LAST_BAD_STEP = 68;
  private static final long SPOILED = 72;

  /** Keeps the clip factor finite for a zero gradient; PyTorch's value. */
  private static final double CLIP_EPSILON = 1e-6;

  /** Norm that an update may have: beyond it the square of an element may not fit fp32. */
  private static final double LARGEST_UPDATE = 1e18;

  private final Memory memory;
  private boolean leftOut;
  private final int[] written =
      new int[(int) LOSS / Integer.BYTES]; // the host's words, as they are

  private StepState(Memory memory) {
    this.memory = memory;
  }

  /** A state before the first step, with loss scale 1. */
  public static StepState on(Device device) {
    StepState state = new StepState(device.allocate(BYTES));
    state.restore(new Carried(1, 0, 0, 0));
    state.begin(0, 0, 0, 1);
    return state;
  }

  /** What outlives a step and belongs in a checkpoint. */
  public record Carried(float lossScale, int growthTracker, int appliedSteps, int skippedSteps) {}

  public Carried carried() {
    return new Carried(lossScale(), growthTracker(), appliedSteps(), skippedSteps());
  }

  public void restore(Carried c) {
    put(LOSS_SCALE, c.lossScale());
    put(GROWTH_TRACKER, c.growthTracker());
    put(APPLIED_STEPS, c.appliedSteps());
    put(SKIPPED_STEPS, c.skippedSteps());
    put(CLIP_FACTOR, 1f);
    put(GRAD_SCALE, 1 / c.lossScale());
    put(LAST_BAD_STEP, -1);
    forgive();
  }

  /** Bad steps no longer count, and the optimizer's state has been mended. */
  public void forgive() {
    put(BAD_STEPS, 0);
    put(SPOILED, 0);
  }

  /**
   * Set by the host before the first micro-batch of a step; the step's loss becomes 0.
   *
   * @param step attempted steps so far, which also picks the step's random masks
   * @param inverseTargets 1/N, N being the valid targets of the whole step
   */
  public void begin(long seed, int step, float learningRate, float inverseTargets) {
    put(SEED, seed);
    put(LEARNING_RATE, learningRate);
    put(INVERSE_TARGETS, inverseTargets);
    put(STEP, step);
    put(FIRST_SEQUENCE, 0);
    put(LOSS, 0L);
    leftOut = false;
  }

  /**
   * Set by the host before each micro-batch: the index in the step's batch of its first sequence.
   */
  public void firstSequence(int index) {
    put(FIRST_SEQUENCE, index);
  }

  /** Where kernels read 1/N: F32, one element. */
  public Tensor inverseTargetsTensor() {
    return Tensor.of(memory, INVERSE_TARGETS, DType.F32, Shape.of());
  }

  /** Where kernels read the loss scale: F32, one element; the root gradient of a backward pass. */
  public Tensor lossScaleTensor() {
    return Tensor.of(memory, LOSS_SCALE, DType.F32, Shape.of());
  }

  /** Where kernels read the learning rate: F32, one element. */
  public Tensor learningRateTensor() {
    return Tensor.of(memory, LEARNING_RATE, DType.F32, Shape.of());
  }

  /** Where kernels read {@link #gradScale}: F32, one element. */
  public Tensor gradScaleTensor() {
    return Tensor.of(memory, GRAD_SCALE, DType.F32, Shape.of());
  }

  public long seed() {
    return now().get(JAVA_LONG, SEED);
  }

  public float learningRate() {
    return number(LEARNING_RATE);
  }

  public float inverseTargets() {
    return number(INVERSE_TARGETS);
  }

  public int step() {
    return integer(STEP);
  }

  public int firstSequence() {
    return integer(FIRST_SEQUENCE);
  }

  /** Sum over the step's micro-batches of their losses, each weighted by 1/N. */
  public double loss() {
    return now().get(JAVA_DOUBLE, LOSS);
  }

  public float lossScale() {
    return number(LOSS_SCALE);
  }

  /** L2 norm of the unscaled gradient, before clipping. */
  public float gradNorm() {
    return number(GRAD_NORM);
  }

  public float clipFactor() {
    return number(CLIP_FACTOR);
  }

  /** What the optimizer multiplies every gradient by: clip factor / loss scale. */
  public float gradScale() {
    return number(GRAD_SCALE);
  }

  /** Steps that changed the weights, this one included. */
  public int appliedSteps() {
    return integer(APPLIED_STEPS);
  }

  public int skippedSteps() {
    return integer(SKIPPED_STEPS);
  }

  public int growthTracker() {
    return integer(GROWTH_TRACKER);
  }

  /**
   * Steps in a row, up to the last, that were skipped though the loss scale could not become
   * smaller: loss or gradient was not finite, or the gradient beyond fp32, or the optimizer's state
   * spoiled.
   */
  public int badSteps() {
    return integer(BAD_STEPS);
  }

  /** The last of all {@link #badSteps}, as {@link #step} counts; −1 where there was none. */
  public int lastBadStep() {
    return integer(LAST_BAD_STEP);
  }

  /** Whether the optimizer's state was not finite before the last step, which so was skipped. */
  public boolean isSpoiled() {
    return integer(SPOILED) != 0;
  }

  /** Set before {@link #decide} on the CPU, by {@link dev.javelin.tensor.op.GlobalNorm}. */
  public void spoiled(boolean is) {
    put(SPOILED, is ? 1 : 0);
  }

  /** Whether the step is skipped: see {@link #decide}. */
  public boolean overflow() {
    return integer(OVERFLOW) != 0;
  }

  /**
   * Leaves out the step that has been decided: its update does nothing but clear the gradients, and
   * it counts as skipped. The loss scale stays as decided. Waits for the device.
   */
  public void skip() {
    if (!overflow()) {
      put(APPLIED_STEPS, appliedSteps() - 1);
      put(SKIPPED_STEPS, skippedSteps() + 1);
      put(CLIP_FACTOR, 0f);
      put(GRAD_SCALE, 0f);
      put(OVERFLOW, 1);
      leftOut = true;
    }
  }

  /** Whether {@link #skip} left out this step, though its gradient was finite. */
  public boolean isLeftOut() {
    return leftOut;
  }

  /** Adds a micro-batch's loss; the loss kernel's part on the CPU. */
  public void addLoss(double loss) {
    put(LOSS, Double.doubleToRawLongBits(loss() + loss));
  }

  /**
   * Decides the step from the norm of the scaled gradient; the second phase of {@link
   * dev.javelin.tensor.op.GlobalNorm} on the CPU. With {@code s} the loss scale: {@code norm =
   * scaledNorm/s, clip = min(1, maxNorm/(norm + 1e-6)), gradient scale = clip/s}; then the
   * counters, and the loss scale of the next step, move on. A step is skipped where norm or loss is
   * not finite, where {@code norm·clip} is beyond 1e18, so that squares may not fit fp32, and where
   * the optimizer's state is spoiled; then the scale stays.
   *
   * @param maxNorm infinity for no clipping
   */
  public void decide(double scaledNorm, float maxNorm, LossScaling scaling) {
    double scale = lossScale();
    double norm = scaledNorm / scale;
    double factor = Math.min(1, maxNorm / (norm + CLIP_EPSILON));
    boolean spoiled = isSpoiled();
    boolean finite =
        Double.isFinite(scaledNorm)
            && Double.isFinite(loss())
            && norm * factor <= LARGEST_UPDATE
            && !spoiled;
    double clip = finite ? factor : 0;
    put(GRAD_NORM, (float) norm);
    put(CLIP_FACTOR, (float) clip);
    put(GRAD_SCALE, (float) (clip / scale));
    put(OVERFLOW, finite ? 0 : 1);
    long counter = finite ? APPLIED_STEPS : SKIPPED_STEPS;
    put(counter, integer(counter) + 1);
    if (finite) {
      put(BAD_STEPS, 0);
    } else if (spoiled || scaling.isFixed() || scale <= scaling.minScale()) {
      put(BAD_STEPS, badSteps() + 1);
      put(LAST_BAD_STEP, step());
    }
    if (!scaling.isFixed() && !spoiled) {
      moveScale(finite, scaling);
    }
  }

  private void moveScale(boolean finite, LossScaling scaling) {
    if (!finite) {
      put(LOSS_SCALE, Math.max(scaling.minScale(), lossScale() * scaling.backoffFactor()));
      put(GROWTH_TRACKER, 0);
    } else if (growthTracker() + 1 < scaling.growthInterval()) {
      put(GROWTH_TRACKER, growthTracker() + 1);
    } else {
      float grown = lossScale() * scaling.growthFactor();
      put(LOSS_SCALE, Float.isFinite(grown) ? grown : lossScale());
      put(GROWTH_TRACKER, 0);
    }
  }

  /**
   * Where kernels find all of it.
   *
   * @throws IllegalStateException for a state of the CPU
   */
  @Override
  public long address() {
    return switch (memory) {
      case DeviceMemory m -> m.address();
      case HostMemory _ ->
          throw new IllegalStateException("a kernel cannot read the step's state of the CPU");
    };
  }

  /** The state as it is now; on a GPU a copy, for which the host waits. */
  private MemorySegment now() {
    return switch (memory) {
      case HostMemory host -> host.segment();
      case DeviceMemory m -> {
        MemorySegment copy = MemorySegment.ofArray(new long[(int) BYTES / Long.BYTES]);
        m.device().read(copy, m, 0);
        yield copy;
      }
    };
  }

  private float number(long offset) {
    return now().get(JAVA_FLOAT, offset);
  }

  private int integer(long offset) {
    return now().get(JAVA_INT, offset);
  }

  private void put(long offset, float value) {
    put(offset, Float.floatToRawIntBits(value));
  }

  /** On a GPU the value travels in the command itself: nothing to wait for, nothing to keep. */
  private void put(long offset, int value) {
    switch (memory) {
      case HostMemory host -> host.segment().set(JAVA_INT, offset, value);
      case DeviceMemory m -> {
        int word = (int) offset / Integer.BYTES;
        boolean ours = word < written.length; // kernels write none of these
        if (!ours || written[word] != value) {
          m.device().fillWords(m, offset, 1, value);
        }
        if (ours) {
          written[word] = value;
        }
      }
    }
  }

  private void put(long offset, long value) {
    put(offset, (int) value);
    put(offset + Integer.BYTES, (int) (value >>> Integer.SIZE));
  }

  @Override
  public void close() {
    memory.close();
  }
}
