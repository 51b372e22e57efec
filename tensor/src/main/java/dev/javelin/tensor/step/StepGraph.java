package dev.javelin.tensor.step;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.Turn;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A piece of work that is done again and again with the same shapes: a micro-step, an update. It
 * holds the work to what makes it repeatable as it stands: every run asks the workspace for the
 * same memory, so every run has the same addresses.
 *
 * <p>On a GPU the first two runs go kernel by kernel, the third is recorded into a graph, and from
 * then on the graph is replayed, one call for all of it. What differs from run to run must come
 * from memory that the host or an earlier kernel has written: batch, {@link StepState}. On the CPU
 * the work just runs.
 *
 * <p>{@code -Djavelin.eager} keeps to kernel by kernel, for a debugger or a profiler that is to see
 * Java's part of every step. So does a recording of {@link OpEvent}, while it lasts.
 */
public final class StepGraph implements AutoCloseable {
  private static final int RUNS_BEFORE_CAPTURE = 2;

  /** Whether work is recorded at all, unless its owner says otherwise. */
  public static final boolean RECORDED = !Boolean.getBoolean("javelin.eager");

  private final String name;
  private final Workspace workspace;
  private final boolean recorded;
  private int runs;
  private long fingerprint;
  private List<Workspace.Request> requests = List.of(); // of the first run
  private @Nullable CudaGraph graph;

  public StepGraph(String name, Workspace workspace) {
    this(name, workspace, RECORDED);
  }

  /**
   * @param recorded whether a GPU is to record the work
   */
  public StepGraph(String name, Workspace workspace, boolean recorded) {
    this.name = name;
    this.workspace = workspace;
    this.recorded = recorded;
  }

  /**
   * Resets the workspace and runs {@code step}, or replays it, in one turn on the device: no other
   * thread's work comes in between.
   *
   * @throws IllegalStateException where its second run asked for other memory than its first, or
   *     the run that is recorded did what a graph cannot repeat
   */
  public void run(Runnable step) {
    try (Turn _ = workspace.device().turn()) {
      switch (workspace.device()) {
        case Cpu _ -> once(step);
        case Cuda cuda -> {
          if (OpEvent.isOn()) {
            once(step);
            cuda.synchronize();
          } else if (recorded && runs >= RUNS_BEFORE_CAPTURE) {
            replay(cuda, step);
          } else {
            once(step);
          }
        }
      }
    }
  }

  private void once(Runnable step) {
    workspace.reset();
    step.run();
    runs++;
    if (runs == 1) {
      fingerprint = workspace.fingerprint();
      requests = workspace.requests();
    } else if (runs == 2) {
      requireSameRequests();
    }
  }

  private void replay(Cuda cuda, Runnable step) {
    CudaGraph recorded = graph;
    if (recorded == null) {
      recorded =
          CudaGraph.capture(
              cuda,
              () -> {
                workspace.reset();
                step.run();
              });
      graph = recorded;
      runs++;
      requireSameRequests();
      requests = List.of();
    }
    recorded.launch();
  }

  private void requireSameRequests() {
    if (fingerprint != workspace.fingerprint()) {
      throw new IllegalStateException(
          name
              + ": run "
              + runs
              + " asked for other memory than the first, so its shapes depend on something beside"
              + " the batch's; "
              + firstDifference());
    }
  }

  private String firstDifference() {
    List<Workspace.Request> now = workspace.requests();
    for (int i = 0; i < Math.min(requests.size(), now.size()); i++) {
      if (!requests.get(i).equals(now.get(i))) {
        return "request %d was %s, is now %s".formatted(i, requests.get(i), now.get(i));
      }
    }
    return "it made %d requests, now %d".formatted(requests.size(), now.size());
  }

  /** Whether the work has been recorded and is replayed. */
  public boolean isRecorded() {
    return graph != null;
  }

  /** Lets go of the graph; the workspace stays its owner's. */
  @Override
  public void close() {
    if (graph != null) {
      graph.close();
    }
  }
}
