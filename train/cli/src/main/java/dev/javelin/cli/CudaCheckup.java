package dev.javelin.cli;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaException;
import dev.javelin.device.CudaProperties;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.KernelImages;
import dev.javelin.kernels.cuda.FillCuda;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Supplier;

/**
 * The doctor's look at CUDA: driver, GPUs, the kernels of this build, the emulated device. What is
 * said to work has been tried: taking memory, loading a kernel, waiting for work.
 */
record CudaCheckup(KernelImages images, BiConsumer<String, String> line) {
  private static final String FAMILY = "fill"; // in every build that has kernels

  /** Reports, and returns what is to be added to the verdict. */
  String run() {
    boolean works = gpus();
    line.accept(
        "GPU kernels",
        images.find(FAMILY, 80, false) == null
            ? "not in this build: ./javelin builds them where it finds a driver and CUDA's nvcc, 13.0 or later"
            : "in this build, for compute capability 8.0 and later");
    line.accept("Emulator", emulator());
    return works ? ", or on a GPU the models whose operators have kernels there" : "";
  }

  private boolean gpus() {
    if (!Cuda.hasDriver()) {
      line.accept("CUDA", "no driver found; to use a GPU install NVIDIA's, r580 or later");
      return false;
    }
    List<CudaProperties> all;
    try {
      all = Cuda.list();
    } catch (CudaException e) {
      line.accept("CUDA", e.getMessage());
      return false;
    }
    if (all.isEmpty()) {
      line.accept("CUDA", "a driver, but no GPU: see nvidia-smi and CUDA_VISIBLE_DEVICES");
    }
    boolean works = false;
    for (CudaProperties gpu : all) {
      line.accept("cuda:" + gpu.ordinal(), gpu.describe());
      String failure = failure(() -> Cuda.open(gpu.ordinal(), images));
      line.accept("", failure.isEmpty() ? "works: it takes memory, work and kernels" : failure);
      works |= failure.isEmpty();
    }
    return works;
  }

  /** One process has one driver: with NVIDIA's loaded, the emulated one cannot be tried. */
  private String emulator() {
    if (!Cuda.hasEmulator()) {
      return "not in this build: --device emulator builds it, on Linux with g++";
    }
    if (Cuda.hasDriver()) {
      return "in this build (--device emulator)";
    }
    String failure = failure(() -> Cuda.emulated(images));
    return failure.isEmpty()
        ? "works (--device emulator): the GPU's kernels on the processor, for tests"
        : failure;
  }

  private static String failure(Supplier<Cuda> open) {
    try (Cuda cuda = open.get();
        DeviceMemory memory = cuda.allocate(DType.F32.bytes(1))) {
      FillCuda.constant(cuda, memory, DType.F32, 1, 1);
      cuda.synchronize();
      return "";
    } catch (CudaException e) {
      return e.getMessage();
    }
  }
}
