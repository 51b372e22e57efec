package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The table of a step's operators against the kernels that a step launches. */
@RequiresEmulator
class StepCostTest {
  private static final String PRODUCT = "matmul";
  private static final String NONE = "";

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void eachOperatorIsCountedAsOftenAsItsKernelIsLaunched(boolean gpt2) {
    ModelCase c = ModelCase.tiny(gpt2, 3);
    Map<String, Long> counted = new TreeMap<>();
    for (StepCost.Part p : StepCost.of(c, DType.BF16)) {
      counted.merge(kernel(p.what(), gpt2), (long) p.times(), Long::sum);
    }
    counted.remove(NONE);
    Map<String, Long> launched = new TreeMap<>(counted);
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Operands operands = Operands.on(cuda, DType.BF16);
        TrainStep step = new TrainStep(c, operands)) {
      launched.replaceAll((kernel, _) -> -launches(cuda, kernel));
      step.run();
      launched.replaceAll((kernel, before) -> before + launches(cuda, kernel));
    }
    assertThat(counted).isEqualTo(launched);
  }

  private static long launches(Cuda cuda, String kernel) {
    long all = cuda.launches(kernel);
    return kernel.equals(PRODUCT) ? all - cuda.launches("matmul_sum") : all;
  }

  /** How the name begins of the kernel that an operator launches once. */
  private static String kernel(String operator, boolean gpt2) {
    String norm = gpt2 ? "layer_norm" : "rms_norm";
    return switch (operator) {
      case "embedding" -> "embedding_forward";
      case "embedding, backward" -> "embedding_backward";
      case "norm", "residual + norm" -> norm + "_forward";
      case "norm, backward", "residual + norm, backward" -> norm + "_backward";
      case "rotary positions", "rotary positions, backward" -> "rope_turn";
      case "attention" -> "attention_forward";
      case "attention, backward" -> "attention_backward_delta";
      case "GELU in the epilogue" -> NONE;
      case "GELU, backward" -> "activate_backward";
      case "SwiGLU" -> "glu_forward";
      case "SwiGLU, backward" -> "glu_backward";
      case "cross-entropy, both ways" -> "linear_cross_entropy";
      case "global norm" -> "global_norm_partial";
      case "AdamW" -> "adam_w_step";
      default -> operator.endsWith(", db") ? "bias_gradient" : PRODUCT;
    };
  }

  @Test
  void theLaunchesOfTheCommittedTableAreThoseOfAStep() throws Exception {
    Path table = Path.of("..", Predict.TABLE);
    assumeTrue(Files.exists(table), "the GPU kit leaves the documents at home");
    String page = Files.readString(table);
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(page.substring(page.indexOf(Predict.LAUNCHES)))
          .as(Predict.TABLE + " is older than the code: run bench/predict.sh")
          .isEqualTo(Predict.launches(cuda));
    }
  }
}
