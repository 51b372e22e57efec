package dev.javelin.train.estimate;

import java.util.Locale;

/**
 * The memory of a run at its peak, in bytes.
 *
 * @param weights all of them, frozen ones and those of a model beside included
 * @param gradients of the trained weights, fp32
 * @param masters fp32 weights that updates go to, where the weights themselves are of a half type
 * @param moments what the optimizer keeps from step to step
 * @param activations what the forward pass keeps for the backward pass, at the peak of a step
 * @param activationGradients of activations, at that time
 * @param logits of the head, at that time; those of objectives that keep all are activations
 * @param scratch what operators need for themselves at that time, and the buffers of the threads
 * @param fragmentation gaps between what is alive in the workspace
 * @param batch what a step and an evaluation read
 * @param other tables of positions, averages of weights, and what else there is on the device
 * @param jvm what Java takes on the host
 */
public record MemoryTable(
    long weights,
    long gradients,
    long masters,
    long moments,
    long activations,
    long activationGradients,
    long logits,
    long scratch,
    long fragmentation,
    long batch,
    long other,
    JvmMemory jvm) {

  /** All that lies on the device. */
  public long device() {
    return weights
        + gradients
        + masters
        + moments
        + activations
        + activationGradients
        + logits
        + scratch
        + fragmentation
        + batch
        + other;
  }

  /** All that the process takes where the device is the processor. */
  public long total() {
    return device() + jvm.total();
  }

  /** The table, a line each, under a name of the device. */
  public String format(String device, boolean onHost) {
    StringBuilder out = new StringBuilder();
    line(out, "weights", weights);
    line(out, "gradients", gradients);
    line(out, "masters (fp32)", masters);
    line(out, "optimizer state", moments);
    line(out, "activations", activations);
    line(out, "gradients of activations", activationGradients);
    line(out, "logits", logits);
    line(out, "workspace of operators", scratch);
    line(out, "fragmentation", fragmentation);
    line(out, "batch", batch);
    line(out, "tables, averages, other", other);
    line(out, device, device());
    line(out, "Java heap", jvm.heap());
    line(out, "Java code", jvm.code());
    line(out, "Java metaspace", jvm.metaspace());
    line(out, "threads, the VM itself", jvm.vm());
    line(out, onHost ? "all" : "host", onHost ? total() : jvm.total());
    return out.toString();
  }

  private static void line(StringBuilder out, String name, long bytes) {
    if (bytes != 0) {
      out.append(String.format(Locale.ROOT, "%-26s %12s%n", name, size(bytes)));
    }
  }

  /** {@code 12.3 MB}, of 1000 kB each. */
  public static String size(long bytes) {
    return bytes < 10_000
        ? String.format(Locale.ROOT, "%,d bytes", bytes)
        : bytes < 1_000_000
            ? String.format(Locale.ROOT, "%.1f kB", bytes / 1e3)
            : bytes < 10_000_000_000L
                ? String.format(Locale.ROOT, "%,.1f MB", bytes / 1e6)
                : String.format(Locale.ROOT, "%,.2f GB", bytes / 1e9);
  }
}
