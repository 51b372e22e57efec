package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.bench.Prediction.Unit;
import dev.javelin.device.DType;
import dev.javelin.kernels.cuda.MatmulHopperPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The model of our kernels for 9.0. That its page is up to date, {@link PredictTest} sees to. */
class PipelinesTest {
  private static final Path ROOT = Path.of("..");

  private final Pipelines pipelines;

  PipelinesTest() throws IOException {
    pipelines = Pipelines.on(SmMachine.H200, ROOT);
  }

  /** What each source says in words. */
  @ParameterizedTest
  @ValueSource(strings = {"256", "192", "128", "256_pair", "192_pair", "128_pair"})
  void ringsAreAsDeepAsTheirSourcesSay(String name) throws IOException {
    Path source = ROOT.resolve("kernels/src/main/cuda/matmul_hopper_%s.cu".formatted(name));
    int columns = Integer.parseInt(name.substring(0, 3));
    int stages = MatmulHopperPlan.inParts(columns, 1, 64).stages();
    assertThat(Files.readString(source)).contains("from a ring of " + stages + " steps");
  }

  @Test
  void noUnitIsBusyForLongerThanTheKernelTakes() {
    for (GpuCase c : GpuCase.forGpu()) {
      boolean product = c.bench().equals("matmul");
      if (c.type() == DType.BF16 && (product || c.bench().equals("attn"))) {
        TensorShape shape = product ? MatmulShape.parse(c.name()) : AttentionShape.parse(c.name());
        Prediction p = pipelines.hopper(shape).prediction();
        for (Unit u : Unit.values()) {
          assertThat(u.busy(p.use()))
              .as(c + ", " + u.label)
              .isBetween(0.0, p.use().clocks() * (1 + 1e-9));
        }
        assertThat(p.expected()).as(c.toString()).isGreaterThan(p.floor());
      }
    }
  }

  /** The tensor cores' clocks are the FLOPs': of products whole tiles, of attention the mask's. */
  @Test
  void tensorCoresDoWhatTheMathematicsAsksFor() {
    Prediction p = pipelines.hopper(MatmulShape.parse("8192x8192x8192-nn")).prediction();
    double tiles = Math.ceil(64.0 * 43 / 132); // of 128 by 192, each 128 steps
    assertThat(p.use().tensor()).isEqualTo(tiles * 128 * 2 * 128.0 * 192 * 64 / 4096);
  }

  @Test
  void multicastAndWhatAttentionIsMadeOfHelp() {
    MatmulShape square = MatmulShape.parse("8192x8192x8192-nn");
    assertThat(pipelines.hopper(square).prediction().expected())
        .isLessThan(pipelines.alone(square).prediction().expected());
    AttentionShape wide = AttentionShape.parse("b4h16k16t8192d128");
    double[] expected = {
      pipelines.hopper(wide).prediction().expected(),
      pipelines.forward(wide, true, true, true).prediction().expected(),
      pipelines.forward(wide, true, false, true).prediction().expected(),
      pipelines.forward(wide, false, false, true).prediction().expected()
    };
    assertThat(expected).isSorted().doesNotHaveDuplicates();
  }
}
