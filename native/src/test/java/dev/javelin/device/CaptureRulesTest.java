package dev.javelin.device;

import static jcuda.driver.CUresult.CUDA_ERROR_CAPTURED_EVENT;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
import static jcuda.driver.CUresult.CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
import static jcuda.driver.CUresult.CUDA_SUCCESS;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntSupplier;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * What a driver refuses while a stream is recorded, asked of it directly, past the checks of {@link
 * Cuda}: on a GPU this holds our reading of the manual, and with it the emulated driver, to the
 * driver itself.
 */
@RequiresCuda
class CaptureRulesTest {
  private static final int THREAD_LOCAL = 1;

  private final Cuda cuda = TestCuda.open((family, capability, emulated) -> null);
  private final DeviceMemory memory = cuda.allocate(256);
  private final CudaEvent event = cuda.event();
  private final CudaEvent second = cuda.event();

  @AfterEach
  void close() {
    event.close();
    second.close();
    memory.close();
    cuda.close();
  }

  private int begin() {
    return JCudaDriver.cuStreamBeginCapture(cuda.compute().handle(), THREAD_LOCAL);
  }

  private int end() {
    return end(new CUgraph());
  }

  private int end(CUgraph graph) {
    return JCudaDriver.cuStreamEndCapture(cuda.compute().handle(), graph);
  }

  private int record(CudaEvent e, CudaStream stream) {
    return JCudaDriver.cuEventRecord(e.handle(), stream.handle());
  }

  private int await(CudaStream stream, CudaEvent e) {
    return JCudaDriver.cuStreamWaitEvent(stream.handle(), e.handle(), 0);
  }

  private int fill(CudaStream stream, int word, int value) {
    return JCudaDriver.cuMemsetD32Async(memory.base().plus(4L * word), value, 1, stream.handle());
  }

  private int[] words(int count) {
    int[] words = new int[count];
    cuda.read(MemorySegment.ofArray(words), memory, 0);
    return words;
  }

  @Test
  void whatWaitsReservesOrFreesSpoilsARecording() {
    cuda.compute().record(event);
    event.synchronize();
    Map<String, IntSupplier> calls = new LinkedHashMap<>();
    calls.put("cuMemAlloc", () -> JCudaDriver.cuMemAlloc(new Handles.Address(), 256));
    calls.put("cuMemFree", () -> JCudaDriver.cuMemFree(memory.base()));
    calls.put("cuCtxSynchronize", JCudaDriver::cuCtxSynchronize);
    calls.put(
        "cuStreamSynchronize", () -> JCudaDriver.cuStreamSynchronize(cuda.compute().handle()));
    calls.put("cuEventSynchronize", () -> JCudaDriver.cuEventSynchronize(event.handle()));
    calls.put("cuEventQuery", () -> JCudaDriver.cuEventQuery(event.handle()));
    calls.forEach(
        (name, call) -> {
          assertThat(begin()).as(name).isEqualTo(CUDA_SUCCESS);
          assertThat(call.getAsInt()).as(name).isEqualTo(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
          assertThat(end()).as(name).isEqualTo(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
        });
    assertThat(fill(cuda.compute(), 0, 7)).isEqualTo(CUDA_SUCCESS); // and the device goes on
    assertThat(words(1)).containsExactly(7);
  }

  @Test
  void aForkThatIsNotJoinedSpoilsARecording() {
    assertThat(begin()).isEqualTo(CUDA_SUCCESS);
    assertThat(record(event, cuda.compute())).isEqualTo(CUDA_SUCCESS);
    assertThat(await(cuda.transfer(), event)).isEqualTo(CUDA_SUCCESS);
    assertThat(fill(cuda.transfer(), 0, 5)).isEqualTo(CUDA_SUCCESS);
    assertThat(end()).isEqualTo(CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  }

  @Test
  void aForkThatWorksOnAfterItWasJoinedIsNotJoined() {
    assertThat(begin()).isEqualTo(CUDA_SUCCESS);
    record(event, cuda.compute());
    await(cuda.transfer(), event);
    record(second, cuda.transfer());
    await(cuda.compute(), second);
    assertThat(fill(cuda.transfer(), 0, 5)).isEqualTo(CUDA_SUCCESS);
    assertThat(end()).isEqualTo(CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
  }

  @Test
  void aForkThatIsJoinedIsPartOfTheGraph() {
    assertThat(begin()).isEqualTo(CUDA_SUCCESS);
    record(event, cuda.compute());
    await(cuda.transfer(), event);
    assertThat(fill(cuda.transfer(), 0, 5)).isEqualTo(CUDA_SUCCESS);
    assertThat(fill(cuda.compute(), 1, 6)).isEqualTo(CUDA_SUCCESS);
    record(second, cuda.transfer());
    await(cuda.compute(), second);
    CUgraph graph = new CUgraph();
    assertThat(end(graph)).isEqualTo(CUDA_SUCCESS);
    CUgraphExec executable = new CUgraphExec();
    assertThat(JCudaDriver.cuGraphInstantiate(executable, graph, 0)).isEqualTo(CUDA_SUCCESS);
    assertThat(words(2)).containsExactly(0, 0);
    assertThat(JCudaDriver.cuGraphLaunch(executable, cuda.compute().handle()))
        .isEqualTo(CUDA_SUCCESS);
    assertThat(words(2)).containsExactly(5, 6);
    assertThat(JCudaDriver.cuGraphExecDestroy(executable)).isEqualTo(CUDA_SUCCESS);
    assertThat(JCudaDriver.cuGraphDestroy(graph)).isEqualTo(CUDA_SUCCESS);
  }

  @Test
  void nobodyWaitsForAnEventOfARecording() {
    assertThat(begin()).isEqualTo(CUDA_SUCCESS);
    assertThat(record(event, cuda.compute())).isEqualTo(CUDA_SUCCESS);
    CUgraph graph = new CUgraph();
    assertThat(end(graph)).isEqualTo(CUDA_SUCCESS);
    assertThat(JCudaDriver.cuGraphDestroy(graph)).isEqualTo(CUDA_SUCCESS);
    assertThat(JCudaDriver.cuEventSynchronize(event.handle())).isEqualTo(CUDA_ERROR_CAPTURED_EVENT);
    assertThat(JCudaDriver.cuEventQuery(event.handle())).isEqualTo(CUDA_ERROR_CAPTURED_EVENT);
    cuda.compute().record(event); // outside of a recording it is a point in time again
    event.synchronize();
    assertThat(event.isDone()).isTrue();
  }

  @Test
  void aRecordingDoesNotWaitForWhatCameBeforeIt() {
    cuda.transfer().record(event);
    assertThat(begin()).isEqualTo(CUDA_SUCCESS);
    assertThat(await(cuda.compute(), event)).isEqualTo(CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    assertThat(end()).isEqualTo(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  }

  @Test
  void aRecordingEndsOnTheThreadThatBeganIt() throws InterruptedException {
    assertThat(begin()).isEqualTo(CUDA_SUCCESS);
    AtomicInteger said = new AtomicInteger();
    Thread other =
        new Thread(
            () -> {
              cuda.bind();
              said.set(end());
            });
    other.start();
    other.join();
    assertThat(said).hasValue(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
    CUgraph graph = new CUgraph();
    assertThat(end(graph)).isEqualTo(CUDA_SUCCESS);
    assertThat(JCudaDriver.cuGraphDestroy(graph)).isEqualTo(CUDA_SUCCESS);
  }
}
