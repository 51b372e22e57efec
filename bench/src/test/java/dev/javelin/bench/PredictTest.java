package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class PredictTest {
  private static final Path ROOT = Path.of("..");

  @Test
  void theCommittedTableIsWhatTheCodeSays() throws IOException {
    String page = Files.readString(ROOT.resolve(Predict.TABLE));
    assertThat(page.substring(0, page.indexOf(Predict.LAUNCHES)))
        .as(Predict.TABLE + " is older than the code: run bench/predict.sh")
        .isEqualTo(Predict.table(ROOT));
  }

  @Test
  void aStepsProductsAreThoseOfTheModel() {
    for (String name : List.of("gpt2-124m-2x1024", "llama-350m-1x256", "llama-1b-1x64")) {
      ModelCase c = ModelCase.parse(name);
      ModelCase.Model m = c.model();
      double flops = StepCost.sum(StepCost.of(c, DType.BF16)).tensorFlops();
      // 6·N for each token, of matrices only, and attention's 2 and 7 products over half the scores
      double matrices = 6.0 * c.tokens() * matrixElements(m);
      double attention = 9.0 * m.layers() * m.width() * c.tokens() * c.length();
      assertThat(flops).as(name).isCloseTo(matrices + attention, within(1e-9 * flops));
    }
  }

  private static double matrixElements(ModelCase.Model m) {
    double mlp = (m.isGpt2() ? 2.0 : 3.0) * m.width() * m.ffn();
    double attention = (double) m.width() * (2 * m.width() + 2 * m.keyWidth());
    return m.layers() * (mlp + attention) + (double) m.vocabulary() * m.width();
  }

  @Test
  void aKernelIsBoundByItsSlowestPart() {
    Card card = new Card("card", 1000, 100, 10, "");
    assertThat(card.millis(new Cost(1e9, 0, 0))).isEqualTo(1);
    assertThat(card.millis(new Cost(1e9, 3e11, 0))).isEqualTo(3);
    assertThat(card.millis(new Cost(1e9, 3e11, 5e10))).isEqualTo(5);
    assertThat(card.bound(new Cost(1e9, 0, 0))).isEqualTo("memory");
    assertThat(card.bound(new Cost(1e9, 3e11, 0))).isEqualTo("tensor cores");
    assertThat(card.bound(new Cost(1e9, 3e11, 5e10))).isEqualTo("fp32");
  }

  @Test
  void theParametersOfAModelAreThoseThatItAllocates() {
    ModelCase.Model m = ModelCase.parse("gpt2-124m-1x1024").model();
    assertThat(m.parameters() + 1024L * 768).isEqualTo(124_475_904L); // vocabulary 50304
  }
}
