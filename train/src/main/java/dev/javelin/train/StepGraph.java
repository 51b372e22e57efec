package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.tensor.Workspace;

/**
 * A piece of work that is done again and again with the same shapes: a micro-step, an update. It
 * holds the work to what makes capture possible on a device with graphs: every run asks the
 * workspace for the same memory, so every run has the same addresses. On the CPU it just runs.
 */
public final class StepGraph {
  private final String name;
  private final Workspace workspace;
  private int runs;
  private long fingerprint;

  public StepGraph(String name, Workspace workspace) {
    this.name = name;
    this.workspace = workspace;
  }

  /**
   * Resets the workspace and runs {@code step}.
   *
   * @throws IllegalStateException where its second run asked for other memory than its first
   */
  public void run(Runnable step) {
    switch (workspace.device()) {
      case Cpu _ -> {
        workspace.reset();
        step.run();
      }
    }
    runs++;
    if (runs == 1) {
      fingerprint = workspace.fingerprint();
    } else if (runs == 2 && fingerprint != workspace.fingerprint()) {
      throw new IllegalStateException(
          name
              + ": the second run asked for other memory than the first (fingerprints "
              + Long.toHexString(fingerprint)
              + " and "
              + Long.toHexString(workspace.fingerprint())
              + "), so its shapes depend on something beside the batch's");
    }
  }
}
