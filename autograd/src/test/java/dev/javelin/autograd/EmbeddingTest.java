package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.Workspace;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EmbeddingTest {

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,7,3", "7,31,2", "33,127,5", "13,130,40"})
  void gathersRowsAndSumsTheGradientsOfRepeatedIds(int tokens, int cols, int vocabulary) {
    int[] ids = new Random(tokens).ints(tokens, 0, vocabulary).toArray();
    OpCheck.of("embedding", in -> Functional.embedding(in[0], in[1].value()))
        .weight("table", vocabulary, cols)
        .ids("ids", ids, tokens)
        .oracle(in -> oracle(in[0], in[1], cols))
        .run();
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,5,7", "3,4,33"})
  void addsLearnedPositions(int batch, int seqLen, int cols) {
    int vocabulary = 4;
    int[] ids = new Random(cols).ints(batch * seqLen, 0, vocabulary).toArray();
    int[] positions = new int[ids.length];
    for (int i = 0; i < ids.length; i++) {
      positions[i] = 1 + i % seqLen;
    }
    OpCheck.of("embedding", in -> Functional.embedding(in[0], in[1].value(), in[2], in[3].value()))
        .weight("table", vocabulary, cols)
        .ids("ids", ids, batch, seqLen)
        .weight("positionTable", seqLen + 2, cols)
        .ids("positions", positions, batch, seqLen)
        .oracle(
            in -> {
              double[] y = oracle(in[0], in[1], cols);
              double[] p = oracle(in[2], in[3], cols);
              for (int i = 0; i < y.length; i++) {
                y[i] += p[i];
              }
              return y;
            })
        .run();
  }

  @Test
  void anIdOutsideTheVocabularyIsNamed() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu)) {
      Tape tape = Tape.inference(ws);
      Var table = tape.constant(ws.alloc(DType.F32, Shape.of(11, 6)));
      for (int bad : new int[] {-1, 11, 70_000}) {
        Tensor ids = ws.alloc(DType.I32, Shape.of(3));
        Tensors.fill(ids, new double[] {10, 0, bad});
        assertThatThrownBy(() -> Functional.embedding(table, ids))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                "embedding: ids holds " + bad + " at index 2, outside the vocabulary of 11");
      }
    }
  }

  private static double[] oracle(double[] table, double[] ids, int cols) {
    double[] y = new double[ids.length * cols];
    for (int n = 0; n < ids.length; n++) {
      System.arraycopy(table, (int) ids[n] * cols, y, n * cols, cols);
    }
    return y;
  }
}
