package boot;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Families;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.step.Workspace;
import org.springframework.boot.ApplicationArguments;
import org.springframework.boot.ApplicationRunner;
import org.springframework.stereotype.Component;

/** With {@code --check}: what is read out of jars in the jar is there. */
@Component
class Check implements ApplicationRunner {
  private final Writer writer;

  Check(Writer writer) {
    this.writer = writer;
  }

  @Override
  public void run(ApplicationArguments args) {
    if (!args.containsOption("check")) {
      return;
    }
    check(
        BundledKernels.class
            .getResource("BundledKernels.class")
            .toString()
            .startsWith("jar:nested:"),
        "classes come from a jar in the jar");
    check(writer.write("The").length() == 40, "a reply of forty characters");
    check(Families.all().containsKey("llama"), "families are found");
    if (Cuda.hasEmulator()) { // its library, JCuda's and a kernel's image
      try (Cuda cuda = Cuda.emulated(new BundledKernels());
          Workspace there = Workspace.on(cuda)) {
        Tensor x = there.alloc(DType.F32, Shape.of(1, 4));
        x.copyFrom(Tensor.of(new float[] {1, 2, 3, 4}, 1, 4));
        Tensor y = there.alloc(DType.F32, Shape.of(1, 4));
        Glu.forward(y, x, x, Activation.RELU);
        check(y.toFloats()[3] == 16, "a kernel runs, got " + y);
      }
    }
    System.out.println("spring-boot: trained, wrote, and found what it needs");
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
