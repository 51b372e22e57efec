package dev.javelin.nn;

import dev.javelin.device.Cuda;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What {@link RaggedPassTest} holds on the CPU. */
@RequiresCuda
class RaggedPassCudaTest {

  @ParameterizedTest
  @CsvSource({"llama-tiny, true", "gemma2-tiny, true", "mistral-window-tiny, false"})
  void batchedIsAloneBitForBit(String name, boolean fp32) {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      RaggedPassTest.check(cuda, name, fp32 ? Precision.FP32 : Precision.BF16);
    }
  }
}
