package dev.javelin.bench;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Memory;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * One piece of work that we and PyTorch are timed with, and that {@link Predict} has a time for.
 *
 * @param bench {@code matmul} ({@link MatmulShape}), {@code attn} ({@link AttentionShape}), {@code
 *     op} ({@link OpCase}), {@code train} ({@link ModelCase}), {@code launch} (so many small
 *     kernels, {@code eager-500} or {@code graph-500}), or {@code copy} ({@code h2d-BYTES}, h for
 *     pinned host memory and d for the GPU's)
 */
record GpuCase(String bench, String name, DType type) {

  /** Work that is ready to run, and what it holds. */
  record Work(Runnable run, Runnable close) {}

  /** What is done in one run, in the unit that its speed is given in. */
  record Rate(double amount, String unit) {
    double at(double millis) {
      return amount / millis * 1e3;
    }
  }

  /** The type as the peer calls it. */
  String torchType() {
    return switch (type) {
      case BF16 -> "bf16";
      case F16 -> "fp16";
      case F32, I32, I64, U8 -> "fp32";
    };
  }

  /** The ways in which PyTorch does it. */
  List<String> torchVariants() {
    return switch (bench) {
      case "attn" -> List.of("flash", "cudnn");
      case "op" -> name.startsWith("adamw") ? List.of("eager") : List.of("eager", "compile");
      case "train" -> List.of("eager", "compile");
      default -> List.of("eager");
    };
  }

  /** Allocates it and runs it once: fails where there is no kernel, or too little memory. */
  Work on(Cuda cuda) {
    return switch (bench) {
      case "launch" -> launches(cuda);
      case "copy" -> copies(cuda);
      default -> {
        Deque<AutoCloseable> owned = new ArrayDeque<>();
        try {
          Runnable run = prepare(Operands.on(cuda, type), owned);
          run.run(); // says so if there is no kernel, or too little memory
          yield new Work(run, () -> close(owned));
        } catch (RuntimeException e) {
          close(owned);
          throw e;
        }
      }
    };
  }

  private Runnable prepare(Operands operands, Deque<AutoCloseable> owned) {
    owned.push(operands);
    return switch (bench) {
      case "matmul" -> MatmulShape.parse(name).on(operands);
      case "attn" -> AttentionShape.parse(name).on(operands);
      case "op" -> OpCase.on(operands, name);
      case "train" -> {
        TrainStep step = new TrainStep(name, operands);
        owned.push(step);
        yield step::run;
      }
      default -> throw new IllegalArgumentException("no such benchmark: " + bench);
    };
  }

  private static void close(Deque<AutoCloseable> owned) {
    while (!owned.isEmpty()) {
      try {
        owned.pop().close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
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

  /** What it asks of a device at least; of launches and copies nothing is said. */
  Cost cost() {
    return StepCost.sum(parts());
  }

  /** Its kernels, one after the other, where they are bound by different things. */
  List<StepCost.Part> parts() {
    return switch (bench) {
      case "matmul" -> whole(MatmulShape.parse(name).cost(type));
      case "attn" -> whole(AttentionShape.parse(name).cost(type));
      case "op" -> OpCase.parts(name, type);
      case "train" -> StepCost.of(ModelCase.parse(name), type);
      default -> List.of();
    };
  }

  private List<StepCost.Part> whole(Cost cost) {
    return List.of(new StepCost.Part(name, 1, cost));
  }

  /** The time that it takes at least on that card; 0 where nothing is said. */
  double predictedMillis(Card card) {
    return StepCost.millis(parts(), card);
  }

  /** Empty for launches. FLOPs are those that the mathematics asks for. */
  Optional<Rate> rate() {
    return switch (bench) {
      case "matmul" -> Optional.of(new Rate(MatmulShape.parse(name).flops() / 1e12, "TFLOP/s"));
      case "attn" -> Optional.of(new Rate(AttentionShape.parse(name).flops() / 1e12, "TFLOP/s"));
      case "op" -> {
        Cost cost = cost();
        yield Optional.of(
            cost.tensorFlops() > 0
                ? new Rate(cost.tensorFlops() / 1e12, "TFLOP/s")
                : new Rate(cost.bytes() / 1e9, "GB/s"));
      }
      case "train" -> Optional.of(new Rate(ModelCase.parse(name).tokens(), "tokens/s"));
      case "copy" -> {
        double bytes = name.startsWith("d2d") ? 2.0 * number() : number();
        yield Optional.of(new Rate(bytes / 1e9, "GB/s"));
      }
      default -> Optional.empty();
    };
  }

  @Override
  public String toString() {
    boolean typed = !bench.equals("launch") && !bench.equals("copy");
    return bench + " " + name + (typed ? " " + torchType() : "");
  }

  /** What is measured on a GPU: the shapes of torch_peer.py, and what else a step does. */
  static List<GpuCase> forGpu() {
    List<GpuCase> cases = new ArrayList<>();
    add(cases, "launch", DType.F32, "eager-500", "graph-500");
    add(cases, "copy", DType.U8, "d2d-1073741824", "h2d-268435456", "d2h-268435456");
    matmul(cases);
    attention(cases);
    for (DType t : List.of(DType.BF16, DType.F32)) {
      operators(cases, t, 32768, 2048, 5632, 32000, "32x1024x32x64");
    }
    add(cases, "op", DType.BF16, "linear-cross-entropy-32768x768x50304", "adamw-134217728");
    add(cases, "op", DType.F32, "global-norm-134217728", "adamw-134217728");
    add(
        cases,
        "train",
        DType.BF16,
        "gpt2-124m-32x1024",
        "llama-124m-32x1024",
        "llama-350m-16x1024",
        "llama-1b-8x1024");
    add(cases, "train", DType.F16, "gpt2-124m-32x1024");
    add(cases, "train", DType.F32, "gpt2-124m-8x1024");
    return cases;
  }

  private static void matmul(List<GpuCase> cases) {
    add(
        cases,
        "matmul",
        DType.BF16,
        "1024x1024x1024-nn",
        "2048x2048x2048-nn",
        "4096x4096x4096-nn",
        "4096x4096x4096-nt",
        "8192x8192x8192-nn",
        "8192x8192x8192-nt",
        "16384x16384x16384-nn",
        "32768x2304x768-nt",
        "32768x3072x768-nt",
        "32768x768x3072-nt",
        "32768x50304x768-nt",
        "32768x768x2304-nn",
        "768x2304x32768-tn",
        "3072x768x32768-tn",
        "16384x11264x2048-nt",
        "16384x2048x5632-nt",
        "2048x11264x16384-tn");
    add(cases, "matmul", DType.F16, "4096x4096x4096-nt");
    add(cases, "matmul", DType.F32, "1024x1024x1024-nt", "4096x4096x4096-nt");
  }

  private static void attention(List<GpuCase> cases) {
    for (String shape :
        List.of(
            "b32h12k12t1024d64",
            "b16h32k4t2048d64",
            "b8h16k16t4096d128",
            "b2h16k16t16384d128",
            "b4h32k8t4096d128")) {
      add(cases, "attn", DType.BF16, shape, shape + "-backward");
    }
    add(cases, "attn", DType.F16, "b32h12k12t1024d64", "b32h12k12t1024d64-backward");
    add(cases, "attn", DType.F32, "b4h12k12t1024d64", "b4h12k12t1024d64-backward");
  }

  /** The operators of a step besides products and attention. */
  private static void operators(
      List<GpuCase> cases,
      DType type,
      int rows,
      int width,
      int hidden,
      int vocabulary,
      String heads) {
    String wide = rows + "x" + width;
    String mlp = rows + "x" + hidden;
    String logits = rows / 4 + "x" + vocabulary;
    String tokens = rows + "x" + width + "x" + vocabulary;
    add(
        cases,
        "op",
        type,
        "copy-" + wide,
        "rmsnorm-" + wide,
        "rmsnorm-backward-" + wide,
        "add-rmsnorm-" + wide,
        "add-rmsnorm-backward-" + wide,
        "layernorm-" + wide,
        "layernorm-backward-" + wide,
        "add-layernorm-" + wide,
        "add-layernorm-backward-" + wide,
        "swiglu-" + mlp,
        "swiglu-backward-" + mlp,
        "gelu-" + mlp,
        "gelu-backward-" + mlp,
        "softmax-" + rows + "x" + rows / 32,
        "rope-" + heads,
        "dropout-" + wide,
        "bias-gradient-" + wide,
        "cross-entropy-" + logits,
        "cross-entropy-backward-" + logits,
        "embedding-" + tokens,
        "embedding-backward-" + tokens);
  }

  /** The same kinds, small enough for the emulated device. */
  static List<GpuCase> forEmulator() {
    List<GpuCase> cases = new ArrayList<>();
    add(cases, "launch", DType.F32, "eager-20", "graph-20");
    add(cases, "copy", DType.U8, "d2d-65536", "h2d-65536", "d2h-65536");
    add(cases, "matmul", DType.BF16, "32x64x48-nt", "32x64x48-nn", "32x64x48-tn");
    add(cases, "matmul", DType.F16, "32x64x48-nt");
    add(cases, "matmul", DType.F32, "32x64x48-nt");
    add(cases, "attn", DType.BF16, "b1h2k1t33d64", "b1h2k1t33d64-backward");
    add(cases, "attn", DType.F32, "b1h2k1t33d64", "b1h2k1t33d64-backward");
    for (DType t : List.of(DType.BF16, DType.F32)) {
      operators(cases, t, 32, 64, 96, 65, "1x8x2x32");
      add(cases, "op", t, "linear-cross-entropy-32x64x65", "adamw-1000");
    }
    add(cases, "op", DType.F32, "global-norm-1000");
    for (DType t : List.of(DType.F32, DType.BF16, DType.F16)) {
      add(cases, "train", t, "gpt2-tiny-2x16", "llama-tiny-2x16");
    }
    return cases;
  }

  private static void add(List<GpuCase> cases, String bench, DType type, String... names) {
    for (String name : names) {
      cases.add(new GpuCase(bench, name, type));
    }
  }
}
