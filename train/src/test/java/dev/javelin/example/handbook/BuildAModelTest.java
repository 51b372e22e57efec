package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Init;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.Workspace;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BuildAModelTest {
  private static final String LINE = "the cat sat on the mat, and the dog sat on the log. ";

  @TempDir Path dir;

  @Test
  void newDigitsAreRead() throws IOException {
    assertThat(Digits.train(600)).isGreaterThan(0.95);
  }

  @Test
  void anUntrainedReaderGuesses() throws IOException {
    assertThat(Digits.train(1)).isLessThan(0.5);
  }

  @Test
  void theWriterLearnsIsSavedAndWritesOn() throws IOException {
    assertThat(CharacterModel.train(LINE.repeat(20), 150, dir)).isLessThan(0.2);
    try (Safetensors file = Safetensors.open(dir.resolve("model.safetensors"))) {
      assertThat(file.entries().keySet())
          .contains("mix.taps", "mix.in.weight", "block.attn.qkv.weight", "head.weight");
    }
    String text = CharacterModel.generate(dir, LINE.substring(0, 20), 60, 1);
    assertThat(text).hasSize(80).startsWith(LINE.substring(0, 20)).contains("sat on the ");
    assertThat(CharacterModel.generate(dir, LINE.substring(0, 20), 60, 1)).isEqualTo(text);
  }

  /** What stands behind a place changes nothing there; what stands before it does. */
  @Test
  void theWriterLooksBackOnly() {
    float[] before = logits(1, 2, 3, 4, 5, 6);
    float[] after = logits(1, 2, 3, 4, 7, 6);
    int places = 4 * 10;
    assertThat(Arrays.copyOf(after, places)).isEqualTo(Arrays.copyOf(before, places));
    assertThat(Arrays.copyOfRange(after, places, places + 10))
        .isNotEqualTo(Arrays.copyOfRange(before, places, places + 10));
  }

  private static float[] logits(int... ids) {
    try (Cpu cpu = Cpu.open(1);
        var parameters = CharacterModel.allocate(cpu, 10);
        Workspace workspace = Workspace.on(cpu, 4 << 20)) {
      Init.normal(parameters, 1);
      Tape tape = Tape.inference(workspace);
      Tensor seen = tape.alloc(DType.I32, Shape.of(1, ids.length));
      seen.fromHost(MemorySegment.ofArray(ids));
      return parameters.model().logits(tape, seen).value().toFloats();
    }
  }
}
