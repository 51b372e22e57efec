package quarkus;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Families;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import io.quarkus.runtime.QuarkusApplication;
import io.quarkus.runtime.annotations.QuarkusMain;
import jakarta.inject.Inject;

/** Continues the prompts of the command line. */
@QuarkusMain
public class Application implements QuarkusApplication {
  @Inject Inference inference;

  @Override
  public int run(String... prompts) {
    for (String prompt : prompts) {
      String reply =
          inference
              .generate(Request.of(prompt).maxNewTokens(40).sampler(new Sampler(0.8, 0, 0.95, 7)))
              .text();
      System.out.println(prompt + reply);
      check(reply.length() == 40, "a reply of forty characters");
    }
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
    System.out.println("quarkus: trained, wrote, and found what it needs");
    return 0;
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
