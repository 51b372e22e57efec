package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class AttentionTest {

  /** The definition, with the whole matrix of scores, in {@code double}. */
  record Oracle(
      int batch,
      int queries,
      int keys,
      int heads,
      int kvHeads,
      int dim,
      boolean causal,
      int window,
      int @Nullable [] lengths,
      int @Nullable [] keyMask,
      int @Nullable [] starts,
      double @Nullable [] slopes,
      double softCap,
      double scale) {

    static Oracle of(int batch, int queries, int keys, int heads, int kvHeads, int dim) {
      return new Oracle(
          batch,
          queries,
          keys,
          heads,
          kvHeads,
          dim,
          true,
          0,
          null,
          null,
          null,
          null,
          0,
          1 / Math.sqrt(dim));
    }

    /** What a weight is multiplied by after the softmax. */
    interface Factor {
      double of(int b, int h, int i, int j);
    }

    double[] apply(double[] q, double[] k, double[] v) {
      return apply(q, k, v, (b, h, i, j) -> 1);
    }

    double[] apply(double[] q, double[] k, double[] v, Factor factor) {
      double[] o = new double[q.length];
      double[] p = new double[keys];
      for (int row = 0; row < batch * queries * heads; row++) {
        int b = row / (queries * heads);
        int i = row / heads % queries;
        int h = row % heads;
        int kvHead = h / (heads / kvHeads);
        double sum = 0;
        double max = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < keys; j++) {
          p[j] = score(q, k, b, i, h, j, kvHead, row);
          max = Math.max(max, p[j]);
        }
        for (int j = 0; j < keys && max > Double.NEGATIVE_INFINITY; j++) {
          p[j] = Math.exp(p[j] - max);
          sum += p[j];
        }
        for (int j = 0; j < keys && sum > 0; j++) {
          double weight = p[j] / sum * factor.of(b, h, i, j);
          for (int d = 0; d < dim; d++) {
            o[row * dim + d] += weight * v[((b * keys + j) * kvHeads + kvHead) * dim + d];
          }
        }
      }
      return o;
    }

    private double score(double[] q, double[] k, int b, int i, int h, int j, int kvHead, int row) {
      int position = keys - queries + i;
      boolean seen =
          (!causal || j <= position)
              && (window == 0 || position - window < j)
              && (lengths == null || j < lengths[b])
              && (keyMask == null || keyMask[b * keys + j] != 0)
              && (starts == null || j >= starts[b * queries + i]);
      if (!seen) {
        return Double.NEGATIVE_INFINITY;
      }
      double s = 0;
      for (int d = 0; d < dim; d++) {
        s += q[row * dim + d] * k[((b * keys + j) * kvHeads + kvHead) * dim + d];
      }
      s *= scale;
      s = softCap == 0 ? s : softCap * Math.tanh(s / softCap);
      return slopes == null ? s : s - slopes[h] * (position - j);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1,1,1,1,1,1",
    "2,2,2,2,1,7",
    "1,7,7,2,2,33",
    "2,5,31,4,2,16",
    "1,33,33,3,1,8",
    "2,1,12,4,2,31"
  })
  void matchesItsDefinitionAndItsDerivatives(int b, int tq, int tk, int h, int kv, int d) {
    check(Oracle.of(b, tq, tk, h, kv, d), AttentionMask.CAUSAL).run();
  }

  @Test
  void seesAllKeysWithoutACausalMask() {
    Oracle o = new Oracle(2, 9, 9, 2, 1, 7, false, 0, null, null, null, null, 0, 1 / Math.sqrt(7));
    check(o, AttentionMask.FULL).run();
  }

  @Test
  void seesAWindowOfKeys() {
    Oracle o = new Oracle(1, 20, 23, 2, 2, 7, true, 5, null, null, null, null, 0, 1 / Math.sqrt(7));
    check(o, AttentionMask.CAUSAL.window(5)).run();
  }

  @Test
  void capsItsScores() {
    Oracle o =
        new Oracle(1, 11, 11, 2, 1, 16, true, 0, null, null, null, null, 1.5, 1 / Math.sqrt(16));
    check(o, AttentionMask.CAUSAL.softCap(1.5f)).run();
  }

  @Test
  void honoursLengthsKeyMaskDocumentsAndSlopes() {
    int[] lengths = {3, 9};
    int[] keys = {1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1};
    int[] starts = {0, 0, 2, 2, 2, 5, 5, 7, 7, 0, 0, 0, 3, 3, 3, 3, 8, 8};
    double[] slopes = {0.5, 0.25};
    Oracle o =
        new Oracle(2, 9, 9, 2, 1, 8, true, 6, lengths, keys, starts, slopes, 2.5, 1 / Math.sqrt(8));
    OpCheck.of(
            "attention",
            in ->
                Functional.attention(
                    in[0],
                    in[1],
                    in[2],
                    AttentionMask.CAUSAL
                        .window(6)
                        .softCap(2.5f)
                        .lengths(in[3].value())
                        .keys(in[4].value())
                        .documents(in[5].value())
                        .slopes(in[6].value())))
        .input("q", 2, 9, 2, 8)
        .input("k", 2, 9, 1, 8)
        .input("v", 2, 9, 1, 8)
        .ids("lengths", lengths, 2)
        .ids("keys", keys, 2, 9)
        .ids("starts", starts, 2, 9)
        .constant("slopes", slopes, 2)
        .oracle(in -> o.apply(in[0], in[1], in[2]))
        .cuda()
        .run();
  }

  /** The parts of a packed tensor are read and their gradients written in place. */
  @Test
  void worksInsideAPackedTensor() {
    int b = 2;
    int t = 13;
    int h = 4;
    int kv = 2;
    int d = 5;
    Oracle o = Oracle.of(b, t, t, h, kv, d);
    OpCheck.of(
            "packed attention",
            in -> {
              Heads heads = Functional.heads(in[0], h, kv);
              return Functional.attention(heads.q(), heads.k(), heads.v(), AttentionMask.CAUSAL);
            })
        .input("qkv", b, t, (h + 2 * kv) * d)
        .oracle(
            in ->
                o.apply(
                    columns(in[0], b * t, 0, h * d),
                    columns(in[0], b * t, h * d, (h + kv) * d),
                    columns(in[0], b * t, (h + kv) * d, (h + 2 * kv) * d)))
        .cuda()
        .run();
  }

  static double[] columns(double[] x, int rows, int from, int to) {
    int width = x.length / rows;
    double[] out = new double[rows * (to - from)];
    for (int r = 0; r < rows; r++) {
      System.arraycopy(x, r * width + from, out, r * (to - from), to - from);
    }
    return out;
  }

  static List<Golden.Case> cases() {
    return Golden.cases("attention");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithPyTorch(Golden.Case c) {
    c.tolerance(2)
        .cuda()
        .check(
            in -> {
              Var q = in.get("q").transpose(1, 2);
              Var k = in.get("k").transpose(1, 2);
              Var v = in.get("v").transpose(1, 2);
              AttentionMask mask = mask(c, in, q.tape().workspace());
              return Functional.attention(q, k, v, mask, c.number("scale")).transpose(1, 2);
            });
  }

  private static AttentionMask mask(Golden.Case c, Golden.Inputs in, Workspace ws) {
    AttentionMask m =
        c.params().get("causal").asBoolean() ? AttentionMask.CAUSAL : AttentionMask.FULL;
    if (!c.params().get("window").isNull()) {
      m = m.window(c.params().get("window").asInt());
    }
    if (!c.params().get("softcap").isNull()) {
      m = m.softCap(c.number("softcap"));
    }
    if (c.params().get("alibi").asBoolean()) {
      float[] slopes = AttentionMask.alibiSlopes(c.shape("q").dim(1));
      m = m.slopes(tensor(ws, slopes));
    }
    if (c.has("pad_mask")) {
      m = m.keys(in.constant("pad_mask"));
    }
    return c.has("doc_ids") ? m.documents(starts(ws, c.shape("doc_ids"), c.values("doc_ids"))) : m;
  }

  private static Tensor tensor(Workspace ws, float[] values) {
    Tensor t = ws.alloc(DType.F32, Shape.of(values.length));
    double[] wide = new double[values.length];
    for (int i = 0; i < wide.length; i++) {
      wide[i] = values[i];
    }
    Tensors.fill(t, wide);
    return t;
  }

  /** Where the document of each position begins, from ids that are equal within a document. */
  private static Tensor starts(Workspace ws, Shape shape, double[] ids) {
    double[] starts = new double[ids.length];
    for (int i = 0; i < ids.length; i++) {
      boolean begins = i % shape.last() == 0 || ids[i] != ids[i - 1];
      starts[i] = begins ? i % shape.last() : starts[i - 1];
    }
    Tensor t = ws.alloc(DType.I32, shape);
    Tensors.fill(t, starts);
    return t;
  }

  static List<Golden.Case> alibi() {
    return Golden.cases("alibi");
  }

  /**
   * Without queries the scores are the biases alone, and with values that are the identity the
   * output is their softmax.
   */
  @ParameterizedTest
  @MethodSource("alibi")
  void biasesOfAlibiAreThoseOfTheReference(Golden.Case c) {
    float[] slopes = AttentionMask.alibiSlopes(c.shape("slopes").last());
    double[] expected = c.values("slopes");
    for (int h = 0; h < slopes.length; h++) {
      assertThat((double) slopes[h]).isEqualTo(expected[h]);
    }
    int t = c.shape("bias").last();
    double[] bias = c.values("bias"); // [H, T, T]
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20)) {
      Tensor zero = ws.alloc(DType.F32, Shape.of(1, t, slopes.length, t));
      Tensors.fill(zero, new double[t * slopes.length * t]);
      Tensor identity = ws.alloc(DType.F32, zero.shape());
      double[] ones = new double[t * slopes.length * t];
      for (int i = 0; i < t * slopes.length; i++) {
        ones[i * t + i / slopes.length] = 1;
      }
      Tensors.fill(identity, ones);
      Tape tape = Tape.inference(ws);
      Var q = tape.constant(zero);
      AttentionMask mask = AttentionMask.CAUSAL.slopes(tensor(ws, slopes));
      double[] got =
          Tensors.toDoubles(Functional.attention(q, q, tape.constant(identity), mask).value());
      for (int row = 0; row < t * slopes.length; row++) {
        int i = row / slopes.length;
        int from = (row % slopes.length * t + i) * t;
        double sum = 0;
        for (int j = 0; j <= i; j++) {
          sum += Math.exp(bias[from + j]);
        }
        for (int j = 0; j < t; j++) {
          double p = j <= i ? Math.exp(bias[from + j]) / sum : 0;
          assertThat(got[row * t + j])
              .as("%s, query %d, head %d, key %d", c, i, row % slopes.length, j)
              .isCloseTo(p, within(1e-6));
        }
      }
    }
    c.assertAllRead();
  }

  @Test
  void namesWhatDoesNotFit() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20)) {
      Tape tape = new Tape(ws);
      Var q = tape.constant(ws.alloc(DType.F32, Shape.of(1, 4, 3, 8)));
      Var k = tape.constant(ws.alloc(DType.F32, Shape.of(1, 4, 2, 8)));
      Var few = tape.constant(ws.alloc(DType.F32, Shape.of(1, 3, 3, 8)));
      assertThatThrownBy(() -> Functional.attention(q, k, k, AttentionMask.CAUSAL))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("attention: the heads of q must be a multiple of those of k");
      assertThatThrownBy(() -> Functional.attention(q, few, few, AttentionMask.CAUSAL))
          .hasMessageContaining("at least as many keys as queries");
      Tensor lengths = ws.alloc(DType.I32, Shape.of(2));
      assertThatThrownBy(() -> Functional.attention(q, q, q, AttentionMask.CAUSAL.lengths(lengths)))
          .hasMessageContaining("mask.lengths must be [1], got [2]");
      assertThatThrownBy(() -> AttentionMask.FULL.window(3))
          .hasMessageContaining("AttentionMask.CAUSAL");
    }
  }

  private static OpCheck check(Oracle o, AttentionMask mask) {
    return OpCheck.of("attention", in -> Functional.attention(in[0], in[1], in[2], mask))
        .input("q", o.batch, o.queries, o.heads, o.dim)
        .input("k", o.batch, o.keys, o.kvHeads, o.dim)
        .input("v", o.batch, o.keys, o.kvHeads, o.dim)
        .oracle(in -> o.apply(in[0], in[1], in[2]))
        .cuda();
  }
}
