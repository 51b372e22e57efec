package dev.javelin.train.settings;

import dev.javelin.device.DType;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.WeightUpdate;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Where a run computes, and in which numbers. The result does not depend on {@code threads}.
 *
 * @param precision in which numbers weights and activations are stored; masters and moments are
 *     fp32
 * @param weightUpdate how weights of a half type take updates smaller than their last place
 * @param device one of {@link #NAMES}; {@code auto} takes a GPU that can run the model, else the
 *     CPU
 * @param threads of the CPU; {@code null} for one per core
 * @param memory what a run may take at most: with the CPU all of the process, with a GPU what lies
 *     there; {@code null} for what this machine, or its container, has
 * @param memoryCheck whether a run that will not fit is refused before it starts
 */
public record DeviceSpec(
    @Also({"dtype"}) Precision precision,
    WeightUpdate weightUpdate,
    String device,
    @Also({"num_threads"}) @Nullable Integer threads,
    @Nullable ByteSize memory,
    boolean memoryCheck) {
  /** What a run has where nothing else is said. */
  public static final DeviceSpec DEFAULT =
      new DeviceSpec(Precision.FP32, WeightUpdate.MASTERS, "auto", null, null, true);

  public DeviceSpec {
    Checks.require(isName(device), "--device must be one of " + NAMES + ", got " + device);
    Checks.require(
        threads == null || threads >= 1 && threads <= MOST_THREADS,
        "--threads must lie between 1 and " + MOST_THREADS + ", got " + threads);
  }

  public DeviceSpec withPrecision(Precision value) {
    return Components.with(this, "precision", value);
  }

  public DeviceSpec withWeightUpdate(WeightUpdate value) {
    return Components.with(this, "weightUpdate", value);
  }

  public DeviceSpec withDevice(String value) {
    return Components.with(this, "device", value);
  }

  public DeviceSpec withThreads(@Nullable Integer value) {
    return Components.with(this, "threads", value);
  }

  public DeviceSpec withMemory(@Nullable ByteSize value) {
    return Components.with(this, "memory", value);
  }

  public DeviceSpec withMemoryCheck(boolean value) {
    return Components.with(this, "memoryCheck", value);
  }

  /** The values of {@code device}. */
  public static final String NAMES = "auto|cpu|cuda[:N]|emulator";

  public static final int MOST_THREADS = 1024;

  /** Whether {@code name} is one of {@link #NAMES}. */
  public static boolean isName(String name) {
    return name.matches("auto|cpu|emulator|cuda(:\\d{1,3})?");
  }

  /**
   * The numbers that a model is trained in.
   *
   * @throws dev.javelin.train.data.InputException where they cannot be updated as asked
   */
  public Precision numbers() {
    Checks.require(
        weightUpdate == WeightUpdate.MASTERS || precision.weights() == DType.BF16,
        "--weight-update %s needs --precision bf16, got %s"
            .formatted(weightUpdate.name().toLowerCase(Locale.ROOT), precision.name()));
    return precision.withUpdate(weightUpdate);
  }

  /** With a number of threads. */
  public DeviceSpec effective() {
    return withThreads(effectiveThreads());
  }

  /** Threads as given, or one per core. */
  public int effectiveThreads() {
    return threads == null
        ? Math.min(Runtime.getRuntime().availableProcessors(), MOST_THREADS)
        : threads;
  }
}
