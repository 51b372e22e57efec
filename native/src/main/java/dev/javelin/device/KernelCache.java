package dev.javelin.device;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/** The kernels of one device: images are loaded at first use, names are resolved once. */
final class KernelCache {
  private static final int CHOICES = DType.values().length + 1; // a suffix or none
  private static final Set<Integer> ABOUT_THE_IMAGE =
      Set.of(
          CUresult.CUDA_ERROR_INVALID_IMAGE,
          CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU,
          CUresult.CUDA_ERROR_INVALID_PTX,
          CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
          CUresult.CUDA_ERROR_JIT_COMPILATION_DISABLED,
          CUresult.CUDA_ERROR_JIT_COMPILER_NOT_FOUND,
          CUresult.CUDA_ERROR_INVALID_SOURCE);

  private final Cuda cuda;
  private final KernelImages images;
  private final Map<String, CudaKernel[]> kernels = new ConcurrentHashMap<>();
  private final Map<String, CUmodule> modules = new HashMap<>();

  KernelCache(Cuda cuda, KernelImages images) {
    this.cuda = cuda;
    this.images = images;
  }

  /** The instance of a kernel by the suffixes of up to two types; allocates at first use only. */
  CudaKernel kernel(String name, @Nullable DType first, @Nullable DType second) {
    @Nullable CudaKernel[] instances = kernels.get(name);
    if (instances == null) {
      instances = kernels.computeIfAbsent(name, n -> new @Nullable CudaKernel[CHOICES * CHOICES]);
    }
    int i =
        (first == null ? 0 : first.ordinal() + 1)
            + CHOICES * (second == null ? 0 : second.ordinal() + 1);
    CudaKernel kernel = instances[i];
    if (kernel == null) {
      try (Turn _ = cuda.turn()) {
        kernel = instances[i];
        if (kernel == null) {
          kernel = resolve(name + suffix(first) + suffix(second));
          instances[i] = kernel;
        }
      }
    }
    return kernel;
  }

  long launches(String prefix) {
    long sum = 0;
    for (CudaKernel[] instances : kernels.values()) {
      for (CudaKernel kernel : instances) {
        sum += kernel != null && kernel.name().startsWith(prefix) ? kernel.launches : 0;
      }
    }
    return sum;
  }

  private static String suffix(@Nullable DType t) {
    return t == null ? "" : "_" + t.suffix();
  }

  /**
   * The family of a kernel is the longest beginning of its name, ending before an underscore, for
   * which there is an image: {@code rms_norm} for {@code rms_norm_forward_bf16}.
   */
  private CudaKernel resolve(String name) {
    List<String> tried = new ArrayList<>();
    for (int end = name.length(); end > 0; end = name.lastIndexOf('_', end - 1)) {
      String family = name.substring(0, end);
      CUmodule module = module(family);
      if (module != null) {
        return function(module, family, name);
      }
      tried.add(family);
    }
    throw CudaException.noImage(name, String.join(", ", tried), cuda.properties().emulated());
  }

  private @Nullable CUmodule module(String family) {
    CUmodule loaded = modules.get(family);
    if (loaded != null) {
      return loaded;
    }
    CudaProperties gpu = cuda.properties();
    byte[] image = images.find(family, gpu.capability(), gpu.emulated());
    if (image == null) {
      return null;
    }
    cuda.requireNoCapture("loading the kernels '" + family + "'");
    cuda.bind();
    CUmodule module = new CUmodule();
    int result = JCudaDriver.cuModuleLoadData(module, image);
    if (ABOUT_THE_IMAGE.contains(result)) {
      throw CudaException.imageRefused(
          result, CudaDriver.named(result), family, gpu.capability(), gpu.driverVersion());
    }
    cuda.checkAfterwards(result, "loading the kernels '" + family + "'");
    modules.put(family, module);
    return module;
  }

  private CudaKernel function(CUmodule module, String family, String name) {
    cuda.requireNoCapture("looking up kernel " + name); // the driver may load it only now
    cuda.bind();
    Handles.Function function = new Handles.Function();
    int result = JCudaDriver.cuModuleGetFunction(function, module, name);
    if (result == CUresult.CUDA_ERROR_NOT_FOUND) {
      throw new CudaException(
          result,
          "the image of kernels '" + family + "' has no kernel " + name + " (" + family + ".cu)");
    }
    CudaDriver.check(result, "looking up kernel " + name);
    return new CudaKernel(cuda, name, function);
  }

  /** A failed device refuses this too; what failed has been reported where it was noticed. */
  void unload() {
    for (CUmodule module : modules.values()) {
      int ignored = JCudaDriver.cuModuleUnload(module);
    }
    modules.clear();
    kernels.clear();
  }
}
