package dev.javelin.train.settings;

import dev.javelin.nn.Precision;
import org.jspecify.annotations.Nullable;

/**
 * Where a run computes, and in which numbers. The result does not depend on {@code threads}.
 *
 * @param precision in which numbers weights and activations are stored; masters and moments are
 *     fp32
 * @param device one of {@link #NAMES}; {@code auto} takes a GPU that can run the model, else the
 *     CPU
 * @param threads of the CPU; {@code null} for one per core
 * @param memory what a run may take at most: with the CPU all of the process, with a GPU what lies
 *     there; {@code null} for what this machine, or its container, has
 * @param memoryCheck whether a run that will not fit is refused before it starts
 */
public record DeviceSpec(
    @Also({"dtype"}) Precision precision,
    String device,
    @Also({"num_threads"}) @Nullable Integer threads,
    @Nullable ByteSize memory,
    boolean memoryCheck) {
  /** What a run has where nothing else is said. */
  public static final DeviceSpec DEFAULT = new DeviceSpec(Precision.FP32, "auto", null, null, true);

  public DeviceSpec {
    Checks.require(isName(device), "--device must be one of " + NAMES + ", got " + device);
    Checks.require(
        threads == null || threads >= 1 && threads <= MOST_THREADS,
        "--threads must lie between 1 and " + MOST_THREADS + ", got " + threads);
  }

  public DeviceSpec withPrecision(Precision value) {
    return Components.with(this, "precision", value);
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
