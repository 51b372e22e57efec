package dev.javelin.bench;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Optional;

/**
 * cuBLAS through FFM: the library of whatever CUDA is installed, looked up when asked for, so that
 * neither JCublas nor CUDA 12 is needed.
 */
final class Cublas implements MatmulBaseline {
  private static final List<String> LIBRARIES =
      List.of("libcublas.so.13", "libcublas.so.12", "libcublas.so");

  // cublas_api.h, library_types.h
  private static final int OP_N = 0;
  private static final int OP_T = 1;
  private static final int CUDA_R_32F = 0;
  private static final int CUDA_R_16F = 2;
  private static final int CUDA_R_16BF = 14;
  private static final int COMPUTE_32F = 68;
  private static final int MATMUL_DEFAULT = -1;

  private final Arena arena = Arena.ofConfined();
  private final MethodHandle matmul;
  private final MethodHandle destroy;
  private final long handle;
  private final int version;
  private final long alpha; // the address of 1
  private final long beta; // the address of 0

  private Cublas(SymbolLookup library, Cuda cuda) throws Throwable {
    this.matmul =
        function(
            library,
            "cublasGemmEx",
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT);
    this.destroy = function(library, "cublasDestroy_v2", JAVA_LONG);
    MemorySegment out = arena.allocate(JAVA_LONG);
    cuda.synchronize(); // makes its context the thread's, which cublasCreate takes
    check((int) function(library, "cublasCreate_v2", ADDRESS).invokeExact(out), "cublasCreate");
    this.handle = out.get(JAVA_LONG, 0);
    check(
        (int)
            function(library, "cublasSetStream_v2", JAVA_LONG, JAVA_LONG)
                .invokeExact(handle, cuda.compute().number()),
        "cublasSetStream");
    check(
        (int) function(library, "cublasGetVersion_v2", JAVA_LONG, ADDRESS).invokeExact(handle, out),
        "cublasGetVersion");
    this.version = out.get(JAVA_INT, 0);
    this.alpha = arena.allocateFrom(JAVA_FLOAT, 1f).address();
    this.beta = arena.allocateFrom(JAVA_FLOAT, 0f).address();
  }

  /** Empty where there is none, or the device is the emulated one. */
  static Optional<Cublas> open(Cuda cuda) {
    if (cuda.properties().emulated()) {
      return Optional.empty();
    }
    for (String name : LIBRARIES) {
      SymbolLookup library;
      try {
        library = SymbolLookup.libraryLookup(name, Arena.global());
      } catch (IllegalArgumentException absent) {
        continue;
      }
      try {
        return Optional.of(new Cublas(library, cuda));
      } catch (Throwable e) {
        throw new IllegalStateException(name + " does not start: " + e.getMessage(), e);
      }
    }
    return Optional.empty();
  }

  @Override
  public String name() {
    return "cuBLAS " + version / 10000 + "." + version / 100 % 100;
  }

  /** cuBLAS is column-major: to it, row-major c is cᵀ = b · aᵀ. */
  @Override
  public void nt(Addressable c, Addressable a, Addressable b, DType type, int m, int n, int k) {
    int t =
        switch (type) {
          case F32 -> CUDA_R_32F;
          case BF16 -> CUDA_R_16BF;
          case F16 -> CUDA_R_16F;
          case I32, I64, U8 ->
              throw new IllegalArgumentException("matmul baseline: no product of " + type);
        };
    int status;
    try {
      status =
          (int)
              matmul.invokeExact(
                  handle,
                  OP_T,
                  OP_N,
                  n,
                  m,
                  k,
                  alpha,
                  b.address(),
                  t,
                  k,
                  a.address(),
                  t,
                  k,
                  beta,
                  c.address(),
                  t,
                  n,
                  COMPUTE_32F,
                  MATMUL_DEFAULT);
    } catch (Throwable e) {
      throw new IllegalStateException("cublasGemmEx", e);
    }
    check(status, "cublasGemmEx " + type + " " + m + " x " + n + " x " + k);
  }

  private static void check(int status, String what) {
    if (status != 0) {
      throw new IllegalStateException(what + ": cublasStatus_t " + status);
    }
  }

  private static MethodHandle function(
      SymbolLookup library, String name, MemoryLayout... parameters) {
    return Linker.nativeLinker()
        .downcallHandle(
            library.find(name).orElseThrow(() -> new IllegalStateException("no " + name)),
            FunctionDescriptor.of(JAVA_INT, parameters));
  }

  @Override
  public void close() {
    try {
      int ignored = (int) destroy.invokeExact(handle);
    } catch (Throwable e) {
      throw new IllegalStateException("cublasDestroy", e);
    }
    arena.close();
  }
}
