package dev.javelin.tensor;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Tensors, workspace and the step's state in a GPU's memory. */
@RequiresCuda
class CudaTensorTest {
  private final Cuda cuda = TestCuda.open(new BundledKernels());
  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cuda.close();
    cpu.close();
  }

  private static float[] floats(Tensor t) {
    return t.toHost().toArray(JAVA_FLOAT);
  }

  @Test
  void viewsKnowTheirAddress() {
    try (DeviceMemory m = cuda.allocate(4096)) {
      Tensor t = Tensor.of(m, 256, DType.F32, Shape.of(4, 8));
      assertThat(t.device()).isSameAs(cuda);
      assertThat(t.address()).isEqualTo(m.address() + 256);
      assertThat(t.slice(0, 2, 3).address()).isEqualTo(m.address() + 256 + 2 * 8 * 4);
      assertThat(t.slice(1, 3, 5).address()).isEqualTo(m.address() + 256 + 3 * 4);
    }
  }

  @Test
  void theHostCannotReachDeviceMemoryNorAKernelHostMemory() {
    try (DeviceMemory m = cuda.allocate(64);
        HostMemory h = cpu.allocate(64)) {
      assertThatThrownBy(() -> Tensor.of(m, 0, DType.F32, Shape.of(3)).segment())
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("F32[3] lies on " + cuda)
          .hasMessageContaining("toHost()");
      assertThatThrownBy(() -> Tensor.of(h, 0, DType.F32, Shape.of(3)).address())
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("host memory");
    }
  }

  @Test
  void tensorsTravelBetweenDevices() {
    try (DeviceMemory m = cuda.allocate(4096);
        DeviceMemory n = cuda.allocate(4096);
        HostMemory h = cpu.allocate(4096)) {
      Shape shape = Shape.of(3, 31);
      Tensor host = Tensor.of(h, 0, DType.F32, shape);
      float[] values = new float[93];
      for (int i = 0; i < values.length; i++) {
        values[i] = i + 0.5f;
      }
      host.fromHost(MemorySegment.ofArray(values));
      Tensor a = Tensor.of(m, 512, DType.F32, shape);
      Tensor b = Tensor.of(n, 256, DType.F32, shape);
      a.copyFrom(host);
      b.copyFrom(a);
      assertThat(floats(b)).isEqualTo(values);
      Fill.zero(host);
      host.copyFrom(b);
      assertThat(floats(host)).isEqualTo(values);
      assertThatThrownBy(() -> b.copyFrom(a.reshape(93)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("copyFrom: the source must have the shape");
    }
  }

  @Test
  void fillsDenseRowsOfAPackedTensorAndConstants() {
    try (DeviceMemory m = cuda.allocate(4096)) {
      Tensor t = Tensor.of(m, 0, DType.F32, Shape.of(5, 7));
      Fill.constant(t, 1.5f);
      Fill.zero(t.slice(1, 2, 4));
      float[] got = floats(t);
      for (int i = 0; i < got.length; i++) {
        assertThat(got[i]).isEqualTo(i % 7 == 2 || i % 7 == 3 ? 0f : 1.5f);
      }
    }
  }

  @Test
  void anEndedLeaseHasNoAddress() {
    try (Workspace ws = Workspace.poisoned(cuda, 1 << 16)) {
      Tensor t = ws.alloc(DType.U8, Shape.of(300), "rms_norm");
      assertThat(t.toHost().toArray(JAVA_BYTE)).containsOnly(0xFF); // poisoned
      assertThat(t.address() % 256).isZero();
      ws.release(t);
      assertThatThrownBy(t::address)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("rms_norm");
    }
  }

  @Test
  void equalRequestsGetEqualAddressesAndTakeMemoryOnce() {
    try (Workspace ws = Workspace.on(cuda, 1 << 20)) {
      ws.alloc(DType.F32, Shape.of(1000));
      long first = ws.alloc(DType.BF16, Shape.of(33, 127)).address();
      long fingerprint = ws.fingerprint();
      long allocations = cuda.allocations();
      ws.reset();
      ws.alloc(DType.F32, Shape.of(1000));
      assertThat(ws.alloc(DType.BF16, Shape.of(33, 127)).address()).isEqualTo(first);
      assertThat(ws.fingerprint()).isEqualTo(fingerprint);
      assertThat(cuda.allocations()).isEqualTo(allocations);
      assertThat(ws.requests()).hasSize(2);
    }
  }

  @Test
  void aWorkspaceDoesNotGrowWhileAStepIsRecorded() {
    try (Workspace ws = Workspace.on(cuda, 1 << 16)) {
      ws.alloc(DType.U8, Shape.of(1000));
      assertThatThrownBy(() -> CudaGraph.capture(cuda, () -> ws.alloc(DType.U8, Shape.of(1 << 20))))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("recorded into a graph");
    }
  }

  @Test
  void theStepsStateIsWrittenInOrderAndReadBack() {
    try (StepState state = StepState.on(cuda)) {
      state.restore(new StepState.Carried(65536, 7, 11, 3));
      state.begin(1L << 40 | 5, 42, 3e-4f, 0.125f);
      state.firstSequence(16);
      assertThat(state.seed()).isEqualTo(1L << 40 | 5);
      assertThat(state.step()).isEqualTo(42);
      assertThat(state.learningRate()).isEqualTo(3e-4f);
      assertThat(state.inverseTargets()).isEqualTo(0.125f);
      assertThat(state.firstSequence()).isEqualTo(16);
      assertThat(state.loss()).isZero();
      assertThat(state.carried()).isEqualTo(new StepState.Carried(65536, 7, 11, 3));
      assertThat(floats(state.lossScaleTensor())).containsExactly(65536);
      assertThat(state.lossScaleTensor().address()).isEqualTo(state.address() + 32);
      assertThat(floats(state.inverseTargetsTensor())).containsExactly(0.125f);
    }
  }

  @Test
  @RequiresEmulator
  void whatHasNotChangedIsNotWrittenAgain() {
    try (StepState state = StepState.on(cuda)) {
      state.begin(7, 1, 1e-3f, 0.5f);
      state.firstSequence(0);
      long calls = TestCuda.calls("cu");
      state.begin(7, 2, 2e-3f, 0.5f);
      state.firstSequence(0);
      assertThat(TestCuda.calls("cu") - calls).isEqualTo(4); // step, rate, the loss's two words
      assertThat(state.step()).isEqualTo(2);
      assertThat(state.learningRate()).isEqualTo(2e-3f);
      assertThat(state.inverseTargets()).isEqualTo(0.5f);
    }
  }
}
