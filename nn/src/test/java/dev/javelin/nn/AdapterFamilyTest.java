package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Adapters of all linear layers of every family, whatever its files pack or reorder. */
class AdapterFamilyTest {
  @TempDir Path dir;

  static List<Path> directories() throws IOException {
    try (Stream<Path> list = Files.list(Path.of("src/test/resources/golden/families"))) {
      return list.filter(d -> Files.exists(d.resolve("config.json")))
          .filter(d -> !d.getFileName().toString().contains("bert"))
          .sorted()
          .toList();
    }
  }

  @ParameterizedTest
  @MethodSource("directories")
  void adaptedReadBackAndMergedAreOne(Path directory) {
    for (boolean dora : new boolean[] {false, true}) {
      try (Cpu cpu = Cpu.open(1);
          ParameterBuffer<Transformer> base =
              HuggingFace.load(
                  cpu,
                  TransformerConfig.read(directory),
                  Precision.FP32,
                  Grouping.frozen(),
                  directory);
          ParameterBuffer<Adapters> adapters =
              Adapters.create(
                  base,
                  Precision.FP32,
                  LoraConfig.of(3).withDora(dora),
                  Grouping.decayMatrices(0),
                  1,
                  5)) {
        assertClose("fresh", logits(base.model()), logits(adapters.model().on(base.model())), 1e-5);
        Random random = new Random(8);
        for (Parameter p : adapters.named().values()) {
          if (p.name().endsWith(".up")) {
            float[] values = new float[(int) p.value().elements()];
            for (int i = 0; i < values.length; i++) {
              values[i] = (float) random.nextGaussian() * 0.05f;
            }
            adapters.put(p, 0, values, values.length);
          }
        }
        double[] wanted = logits(adapters.model().on(base.model()));
        assertThat(wanted).isNotEqualTo(logits(base.model()));
        Adapters.save(adapters, dir);
        try (ParameterBuffer<Adapters> back =
                Adapters.load(
                    base, Precision.FP32, LoraConfig.read(dir), Grouping.frozen(), 1, dir);
            ParameterBuffer<Transformer> merged = Adapters.merged(adapters, base, Precision.FP32)) {
          assertThat(logits(back.model().on(base.model()))).isEqualTo(wanted);
          assertClose("merged", logits(merged.model()), wanted, 1e-4);
        }
      }
    }
  }

  private static double[] logits(Transformer model) {
    try (Workspace workspace = Workspace.on(model.tokens().value().device())) {
      Tensor ids = workspace.alloc(DType.I32, Shape.of(1, 9));
      ids.fromHost(MemorySegment.ofArray(new int[] {3, 1, 4, 1, 5, 9, 2, 6, 5}));
      return floats(model.forward(Tape.inference(workspace), ids).value());
    }
  }
}
