package dev.javelin.device;

import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * A recorded sequence of launches and copies, handed to the GPU as one. It repeats the very same
 * launches: same addresses, same arguments. What changes from run to run must lie in memory. Any
 * thread may use it; recording and launching each take a turn on the device.
 */
public final class CudaGraph implements AutoCloseable {
  /** CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on loading batches. */
  private static final int THREAD_LOCAL = 1;

  private final Cuda cuda;
  private final CUgraphExec executable;
  private final long launches;
  private boolean closed;

  private CudaGraph(Cuda cuda, CUgraphExec executable, long launches) {
    this.cuda = cuda;
    this.executable = executable;
    this.launches = launches;
  }

  /**
   * Records what {@code body} queues on the compute stream, without running any of it. The body may
   * not reserve or free memory, copy to or from pageable host memory or wait for the device;
   * kernels that it launches should have been launched before, so that nothing need be loaded.
   *
   * @throws CudaException where the body did what a graph cannot hold
   */
  public static CudaGraph capture(Cuda cuda, Runnable body) {
    try (Turn _ = cuda.turn()) {
      cuda.bind();
      long before = cuda.launches();
      cuda.beginCapture();
      CUgraph graph = new CUgraph();
      try {
        CudaDriver.check(
            JCudaDriver.cuStreamBeginCapture(cuda.compute().handle(), THREAD_LOCAL),
            "beginning to record a graph");
        @Nullable Throwable failure = run(body);
        int result = JCudaDriver.cuStreamEndCapture(cuda.compute().handle(), graph);
        rethrow(failure, graph, result);
        CudaDriver.check(result, "recording a graph");
        CUgraphExec executable = new CUgraphExec();
        int instantiated = JCudaDriver.cuGraphInstantiate(executable, graph, 0);
        int ignored = JCudaDriver.cuGraphDestroy(graph);
        CudaDriver.check(instantiated, "making a graph executable");
        return new CudaGraph(cuda, executable, cuda.launches() - before);
      } finally {
        cuda.endCapture();
      }
    }
  }

  private static @Nullable Throwable run(Runnable body) {
    try {
      body.run();
      return null;
    } catch (RuntimeException | Error e) {
      return e;
    }
  }

  /** The body's own failure goes before what the driver says of a half-recorded graph. */
  private static void rethrow(@Nullable Throwable failure, CUgraph graph, int result) {
    if (failure == null) {
      return;
    }
    if (result == 0) {
      int ignored = JCudaDriver.cuGraphDestroy(graph);
    }
    if (failure instanceof RuntimeException e) {
      throw e;
    }
    throw (Error) failure;
  }

  /** Queues the whole graph on the compute stream. */
  public void launch() {
    try (Turn _ = cuda.turn()) {
      if (closed) {
        throw new IllegalStateException("the graph is closed");
      }
      cuda.requireNoCapture("launching a graph");
      cuda.bind();
      int result = JCudaDriver.cuGraphLaunch(executable, cuda.compute().handle());
      if (result != 0) {
        cuda.checkAfterwards(result, "launching a graph of " + launches + " kernels");
      }
    }
  }

  /** Kernels in the graph. */
  public long launches() {
    return launches;
  }

  @Override
  public void close() {
    try (Turn _ = cuda.turn()) {
      if (!closed && cuda.isOpen()) {
        cuda.bind();
        int ignored = JCudaDriver.cuGraphExecDestroy(executable);
      }
      closed = true;
    }
  }
}
