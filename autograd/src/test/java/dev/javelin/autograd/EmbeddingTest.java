package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class EmbeddingTest {

  static List<Golden.Case> golden() {
    return Golden.cases("embedding");
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    c.weights("weight", "wte", "wpe")
        .cuda()
        .check(
            in -> {
              Tensor ids = in.constant("ids");
              if (c.has("wpe")) {
                Tensor positions = in.tape().alloc(DType.I32, ids.shape());
                Embedding.positions(positions, 0);
                return Functional.embedding(in.get("wte"), ids, in.get("wpe"), positions);
              }
              Var w = in.get("weight");
              Var x = Functional.embedding(w, ids, c.params().path("padding_idx").asInt(-1));
              if (!c.name().contains("tied_head")) {
                return x;
              }
              // logits [2, 4, 11] = Σ over C of [2, 4, 1, C] times [11, C]
              return Algebra.sum(
                  Algebra.multiply(x.reshape(2, 4, 1, w.shape().last()), w), false, -1);
            });
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,7,3", "7,31,2", "33,127,5", "13,130,40", "70,3,1", "300,9,7"})
  void gathersRowsAndSumsTheGradientsOfRepeatedIds(int tokens, int cols, int vocabulary) {
    int[] ids = new Random(tokens).ints(tokens, 0, vocabulary).toArray();
    OpCheck.of("embedding", in -> Functional.embedding(in[0], in[1].value()))
        .weight("table", vocabulary, cols)
        .ids("ids", ids, tokens)
        .oracle(in -> oracle(in[0], in[1], cols))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,7,3", "7,31,2", "33,127,5"})
  void takesRowsOfWhatWasComputed(int taken, int cols, int seqLen) {
    int[] rows = new Random(taken).ints(taken, 0, 2 * seqLen).toArray();
    OpCheck.of("rows", in -> Algebra.rows(in[0], in[1].value()))
        .input("x", 2, seqLen, cols)
        .ids("rows", rows, taken)
        .oracle(in -> oracle(in[0], in[1], cols))
        .cuda()
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
        .cuda()
        .run();
  }

  @Test
  void positionsCountOnFromWhatWasReadBefore() {
    try (Cpu cpu = Cpu.open(1)) {
      assertThat(positions(cpu)).containsExactly(5, 6, 7, 5, 6, 7);
    }
  }

  @Test
  @RequiresCuda
  void positionsCountOnFromWhatWasReadBeforeOnAGpuToo() {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      assertThat(positions(cuda)).containsExactly(5, 6, 7, 5, 6, 7);
    }
  }

  private static double[] positions(Device device) {
    try (Workspace ws = Workspace.poisoned(device, 1 << 12)) {
      Tensor ids = ws.alloc(DType.I32, Shape.of(2, 3));
      Embedding.positions(ids, 5);
      return Tensors.toDoubles(ids);
    }
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
