package dev.javelin.bench;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Memory;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;

/**
 * One piece of work that we and PyTorch are timed with.
 *
 * @param bench {@code gemm} ({@link GemmShape}), {@code op} ({@link OpCase}), {@code launch} (so
 *     many small kernels, {@code eager-500} or {@code graph-500}), or {@code copy} ({@code
 *     h2d-BYTES}, h for pinned host memory and d for the GPU's)
 */
record GpuCase(String bench, String name, DType type) {

  /** Work that is ready to run, and what it holds. */
  record Work(Runnable run, Runnable close) {}

  /** The type as the peer calls it. */
  String torchType() {
    return switch (type) {
      case BF16 -> "bf16";
      case F16 -> "fp16";
      case F32, I32, I64, U8 -> "fp32";
    };
  }

  /** Allocates it. {@link UnsupportedOperationException} where kernels are missing. */
  Work on(Cuda cuda) {
    return switch (bench) {
      case "launch" -> launches(cuda);
      case "copy" -> copies(cuda);
      default -> {
        Operands operands = Operands.on(cuda, type);
        try {
          Runnable run =
              bench.equals("gemm") ? GemmShape.parse(name).on(operands) : OpCase.of(name, operands);
          run.run(); // says so if there is no kernel
          yield new Work(run, operands::close);
        } catch (UnsupportedOperationException e) {
          operands.close();
          throw e;
        }
      }
    };
  }

  private long number() {
    return Long.parseLong(name.substring(name.indexOf('-') + 1));
  }

  private Work launches(Cuda cuda) {
    DeviceMemory y = cuda.allocate(256 * Float.BYTES);
    CudaKernel fill = cuda.kernel("fill", DType.F32);
    long count = number();
    Runnable eager =
        () -> {
          for (long i = 0; i < count; i++) {
            fill.grid(1).ptr(y).f32(0).i64(256).run();
          }
        };
    if (name.startsWith("eager")) {
      return new Work(eager, y::close);
    }
    CudaGraph graph = CudaGraph.capture(cuda, eager);
    return new Work(
        graph::launch,
        () -> {
          graph.close();
          y.close();
        });
  }

  private Work copies(Cuda cuda) {
    long bytes = number();
    Memory from = name.charAt(0) == 'd' ? cuda.allocate(bytes) : cuda.pinned(bytes);
    Memory to = name.charAt(2) == 'd' ? cuda.allocate(bytes) : cuda.pinned(bytes);
    return new Work(
        () -> cuda.compute().copy(to, 0, from, 0, bytes),
        () -> {
          cuda.synchronize();
          from.close();
          to.close();
        });
  }

  /** FLOPs or, of copies, bytes read and written, in one run; empty for the rest. */
  OptionalDouble amount() {
    return switch (bench) {
      case "gemm" -> OptionalDouble.of(GemmShape.parse(name).flops());
      case "copy" -> OptionalDouble.of(name.startsWith("d2d") ? 2.0 * number() : number());
      default -> OptionalDouble.empty();
    };
  }

  @Override
  public String toString() {
    return bench
        + " "
        + name
        + (bench.equals("gemm") || bench.equals("op") ? " " + torchType() : "");
  }

  /** What is measured on a GPU. */
  static List<GpuCase> forGpu() {
    List<GpuCase> cases = new ArrayList<>();
    add(cases, "launch", DType.F32, "eager-500", "graph-500");
    add(cases, "copy", DType.U8, "d2d-1073741824", "h2d-268435456", "d2h-268435456");
    add(
        cases,
        "gemm",
        DType.BF16,
        "1024x1024x1024-nt",
        "4096x4096x4096-nt",
        "8192x8192x8192-nt",
        "32768x2304x768-nt",
        "32768x768x2304-nn",
        "2304x768x32768-tn",
        "32768x3072x768-nt",
        "32768x768x3072-nt",
        "768x3072x32768-tn",
        "16384x11264x2048-nt",
        "16384x2048x11264-nn",
        "11264x2048x16384-tn");
    add(cases, "gemm", DType.F16, "4096x4096x4096-nt");
    add(cases, "gemm", DType.F32, "1024x1024x1024-nt", "4096x4096x4096-nt");
    for (DType t : List.of(DType.BF16, DType.F32)) {
      add(
          cases,
          "op",
          t,
          "rmsnorm-32768x2048",
          "rmsnorm-backward-32768x2048",
          "cross-entropy-8192x32000",
          "gelu-32768x5632",
          "swiglu-32768x5632",
          "softmax-32768x1024",
          "rope-16x1024x12x64",
          "attention-16x1024x12x64",
          "attention-backward-16x1024x12x64");
    }
    add(cases, "op", DType.F32, "adamw-134217728");
    return cases;
  }

  /** The same kinds, small enough for the emulated device. */
  static List<GpuCase> forEmulator() {
    List<GpuCase> cases = new ArrayList<>();
    add(cases, "launch", DType.F32, "eager-20", "graph-20");
    add(cases, "copy", DType.U8, "d2d-65536", "h2d-65536", "d2h-65536");
    add(cases, "gemm", DType.BF16, "32x64x48-nt", "32x64x48-nn", "32x64x48-tn");
    add(cases, "gemm", DType.F16, "32x64x48-nt");
    add(cases, "gemm", DType.F32, "32x64x48-nt");
    for (DType t : List.of(DType.BF16, DType.F32)) {
      add(
          cases,
          "op",
          t,
          "rmsnorm-8x64",
          "rmsnorm-backward-8x64",
          "cross-entropy-8x65",
          "gelu-8x64",
          "swiglu-8x64",
          "softmax-8x64",
          "rope-1x8x2x32",
          "attention-1x8x2x32",
          "attention-backward-1x8x2x32");
    }
    add(cases, "op", DType.F32, "adamw-1000");
    return cases;
  }

  private static void add(List<GpuCase> cases, String bench, DType type, String... names) {
    for (String name : names) {
      cases.add(new GpuCase(bench, name, type));
    }
  }
}
