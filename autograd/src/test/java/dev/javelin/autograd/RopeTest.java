package dev.javelin.autograd;

import static java.lang.Double.NaN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Rotation.Pairing;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class RopeTest {
  private static final float EPS = 1e-5f; // as in RmsNormTest

  @ParameterizedTest
  @CsvSource({
    "1,1,1,2,1,0,HALVES",
    "2,7,3,16,8,0,HALVES",
    "1,5,2,31,13,3,HALVES",
    "1,3,4,64,32,1,HALVES",
    "1,2,3,96,32,0,HALVES",
    "1,2,2,640,320,0,HALVES",
    "1,1,1,2,1,0,NEIGHBOURS",
    "2,7,3,16,8,0,NEIGHBOURS",
    "1,5,2,31,13,3,NEIGHBOURS",
    "1,3,4,64,32,1,NEIGHBOURS",
    "1,2,1,672,288,1,NEIGHBOURS"
  })
  void turnsPairsAndTurnsGradientsBack(
      int b, int t, int h, int d, int pairs, int offset, Pairing pairing) {
    int rows = t + offset;
    double[] cos = cos(rows, pairs);
    double[] sin = sin(rows, pairs);
    OpCheck.of(
            "rope",
            in ->
                Functional.rope(
                    in[0], Rotation.of(in[1].value(), in[2].value()).from(offset).pairing(pairing)))
        .input("x", b, t, h, d)
        .constant("cos", cos, rows, pairs)
        .constant("sin", sin, rows, pairs)
        .oracle(in -> turn(in[0], in[1], in[2], t, h, d, pairs, offset, pairing))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"1,1,1,1,2", "2,7,4,2,16", "1,33,3,3,10", "1,9,2,1,64"})
  void turnsQueriesAndKeysTogether(int b, int t, int h, int kv, int d) {
    OpCheck.ofSeveral(
            "qk_rope",
            in -> {
              Rotation r = Rotation.of(in[2].value(), in[3].value());
              Heads y = Functional.qkRope(new Heads(in[0], in[1], in[1]), r);
              return List.of(y.q(), y.k());
            })
        .input("q", b, t, h, d)
        .input("k", b, t, kv, d)
        .constant("cos", cos(t, d / 2), t, d / 2)
        .constant("sin", sin(t, d / 2), t, d / 2)
        .oracleOfSeveral(
            in ->
                new double[][] {turn(in[0], in[2], in[3], t, h), turn(in[1], in[2], in[3], t, kv)})
        .cuda()
        .run();
  }

  /** Both write to one gradient: the keys' kernel must add to what the queries' left. */
  @Test
  void queriesMayBeTheKeys() {
    OpCheck.ofSeveral(
            "qk_rope of one tensor",
            in -> {
              Rotation r = Rotation.of(in[1].value(), in[2].value());
              Heads y = Functional.qkRope(new Heads(in[0], in[0], in[0]), r);
              return List.of(y.q(), y.k());
            })
        .input("x", 2, 7, 3, 16)
        .constant("cos", cos(7, 8), 7, 8)
        .constant("sin", sin(7, 8), 7, 8)
        .oracleOfSeveral(
            in -> {
              double[] y = turn(in[0], in[1], in[2], 7, 3);
              return new double[][] {y, y};
            })
        .cuda()
        .run();
  }

  /** As in a block: parts of one packed tensor, whose gradients land in the packing. */
  @ParameterizedTest
  @CsvSource({"2,9,4,2,6", "1,5,3,1,16"})
  void turnsPartsOfAPackedTensor(int b, int t, int h, int kv, int d) {
    int width = (h + 2 * kv) * d;
    OpCheck.ofSeveral(
            "qk_norm_rope of a packed tensor",
            in -> {
              Rotation r = Rotation.of(in[3].value(), in[4].value());
              Heads y = Functional.qkNormRope(Functional.heads(in[0], h, kv), in[1], in[2], EPS, r);
              return List.of(y.q(), y.k());
            })
        .input("qkv", b, t, width)
        .weight("qWeight", d)
        .weight("kWeight", d)
        .constant("cos", cos(t, d / 2), t, d / 2)
        .constant("sin", sin(t, d / 2), t, d / 2)
        .oracleOfSeveral(
            in -> {
              double[] q = AttentionTest.columns(in[0], b * t, 0, h * d);
              double[] k = AttentionTest.columns(in[0], b * t, h * d, (h + kv) * d);
              return new double[][] {
                turn(RmsNormTest.oracle(q, in[1], d), in[3], in[4], t, h),
                turn(RmsNormTest.oracle(k, in[2], d), in[3], in[4], t, kv)
              };
            })
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"1,1,1,1,2", "2,7,4,2,16", "1,33,3,3,10", "1,9,2,1,64", "1,2,2,1,576"})
  void normalisesBeforeItTurns(int b, int t, int h, int kv, int d) {
    OpCheck.ofSeveral(
            "qk_norm_rope",
            in -> {
              Rotation r = Rotation.of(in[4].value(), in[5].value());
              Heads x = new Heads(in[0], in[1], in[1]);
              Heads y = Functional.qkNormRope(x, in[2], in[3], EPS, r);
              return List.of(y.q(), y.k());
            })
        .input("q", b, t, h, d)
        .input("k", b, t, kv, d)
        .weight("qWeight", d)
        .weight("kWeight", d)
        .constant("cos", cos(t, d / 2), t, d / 2)
        .constant("sin", sin(t, d / 2), t, d / 2)
        .oracleOfSeveral(
            in -> {
              double[] q = RmsNormTest.oracle(in[0], in[2], d);
              double[] k = RmsNormTest.oracle(in[1], in[3], d);
              return new double[][] {turn(q, in[4], in[5], t, h), turn(k, in[4], in[5], t, kv)};
            })
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"2,7,4,2,16", "1,33,3,3,10", "1,2,2,1,576"})
  void addsAnOffsetToTheWeights(int b, int t, int h, int kv, int d) {
    OpCheck.ofSeveral(
            "qk_norm_rope with an offset",
            in -> {
              Rotation r = Rotation.of(in[4].value(), in[5].value());
              Heads x = new Heads(in[0], in[1], in[1]);
              Heads y = Functional.qkNormRope(x, in[2], in[3], EPS, 1, r);
              return List.of(y.q(), y.k());
            })
        .input("q", b, t, h, d)
        .input("k", b, t, kv, d)
        .weight("qWeight", d)
        .weight("kWeight", d)
        .constant("cos", cos(t, d / 2), t, d / 2)
        .constant("sin", sin(t, d / 2), t, d / 2)
        .oracleOfSeveral(
            in -> {
              double[] q = RmsNormTest.oracle(in[0], RmsNormTest.shifted(in[2], 1), d);
              double[] k = RmsNormTest.oracle(in[1], RmsNormTest.shifted(in[3], 1), d);
              return new double[][] {turn(q, in[4], in[5], t, h), turn(k, in[4], in[5], t, kv)};
            })
        .cuda()
        .run();
  }

  /** As in a block: the packed projections, turned, attend; every gradient lands in the packing. */
  @Test
  void feedsAttentionFromAPackedTensor() {
    int b = 2;
    int t = 9;
    int h = 4;
    int kv = 2;
    int d = 6;
    OpCheck.of(
            "qk_norm_rope and attention",
            in -> {
              Rotation r = Rotation.of(in[3].value(), in[4].value());
              Heads x = Functional.heads(in[0], h, kv);
              Heads y = Functional.qkNormRope(x, in[1], in[2], EPS, r);
              return Functional.attention(y.q(), y.k(), y.v(), AttentionMask.CAUSAL);
            })
        .input("qkv", b, t, (h + 2 * kv) * d)
        .weight("qWeight", d)
        .weight("kWeight", d)
        .constant("cos", cos(t, d / 2), t, d / 2)
        .constant("sin", sin(t, d / 2), t, d / 2)
        .oracle(
            in -> {
              double[] q = AttentionTest.columns(in[0], b * t, 0, h * d);
              double[] k = AttentionTest.columns(in[0], b * t, h * d, (h + kv) * d);
              double[] v = AttentionTest.columns(in[0], b * t, (h + kv) * d, (h + 2 * kv) * d);
              double[] qr = turn(RmsNormTest.oracle(q, in[1], d), in[3], in[4], t, h);
              double[] kr = turn(RmsNormTest.oracle(k, in[2], d), in[3], in[4], t, kv);
              return AttentionTest.Oracle.of(b, t, t, h, kv, d).apply(qr, kr, v);
            })
        .cuda()
        .run();
  }

  static List<Golden.Case> cases() {
    return Golden.cases("rope");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithPyTorch(Golden.Case c) {
    int rows = 0;
    for (double p : c.values("position_ids")) {
      rows = Math.max(rows, (int) p + 1);
    }
    int dim = c.params().path("rotary_dim").asInt(c.shape("x").last());
    double[] frequencies = frequencies(c, dim);
    double[] cos = new double[rows * dim / 2];
    double[] sin = new double[rows * dim / 2];
    for (int i = 0; i < cos.length; i++) {
      double angle = i / (dim / 2) * frequencies[i % (dim / 2)];
      cos[i] = Math.cos(angle);
      sin[i] = Math.sin(angle);
    }
    Shape shape = Shape.of(rows, dim / 2);
    Pairing pairing =
        c.params().get("style").asText().equals("half") ? Pairing.HALVES : Pairing.NEIGHBOURS;
    c.cuda()
        .check(
            in -> {
              Rotation r =
                  Rotation.of(
                          tensor(in.tape().workspace(), shape, cos),
                          tensor(in.tape().workspace(), shape, sin))
                      .at(in.constant("position_ids"))
                      .pairing(pairing);
              return Functional.rope(in.get("x").transpose(1, 2), r).transpose(1, 2);
            });
  }

  private static double[] frequencies(Golden.Case c, int dim) {
    double[] f = new double[dim / 2];
    for (int i = 0; i < f.length; i++) {
      f[i] = Math.pow(c.params().get("theta").asDouble(), -2.0 * i / dim);
      var scaling = c.params().path("rope_scaling");
      double factor = scaling.path("factor").asDouble(1);
      switch (scaling.path("rope_type").asText("default")) {
        case "default" -> {}
        case "linear" -> f[i] /= factor;
        case "llama3" -> {
          double low = scaling.get("low_freq_factor").asDouble();
          double high = scaling.get("high_freq_factor").asDouble();
          double turns =
              scaling.get("original_max_position_embeddings").asDouble() * f[i] / (2 * Math.PI);
          double smooth = Math.max(0, Math.min(1, (turns - low) / (high - low)));
          f[i] = (1 - smooth) * f[i] / factor + smooth * f[i];
        }
        default -> throw new IllegalArgumentException(scaling.toString());
      }
    }
    return f;
  }

  @Test
  void namesPositionsOutsideTheTable() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20)) {
      Var x = new Tape(ws).constant(ws.alloc(DType.F32, Shape.of(1, 4, 2, 8)));
      Tensor table = ws.alloc(DType.F32, Shape.of(5, 4));
      Rotation r = Rotation.of(table, table);
      assertThatThrownBy(() -> Functional.rope(x, r.from(2)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("rope: positions from 2 to 6 are outside the table of 5");
      Tensor positions = tensorI32(ws, 0, 1, 7, 2);
      assertThatThrownBy(() -> Functional.rope(x, r.at(positions)))
          .hasMessageContaining("positions holds 7 at index 2, outside the table of 5");
      Tensor wide = ws.alloc(DType.F32, Shape.of(5, 5));
      assertThatThrownBy(() -> Functional.rope(x, Rotation.of(wide, wide)))
          .hasMessageContaining("more than half of a head");
    }
  }

  /** A GPU's host does not see them; the loss does. */
  @Test
  @RequiresCuda
  void positionsOutsideTheTableGiveNotANumberOnAGpu() {
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace ws = Workspace.poisoned(cuda, 1 << 20)) {
      Var x = new Tape(ws).constant(tensor(ws, Shape.of(1, 3, 1, 4), ones(12)));
      Tensor cos = tensor(ws, Shape.of(5, 1), ones(5));
      Tensor sin = tensor(ws, Shape.of(5, 1), new double[5]);
      Rotation r = Rotation.of(cos, sin).at(tensorI32(ws, 4, 5, -1));
      assertThat(Tensors.toDoubles(Functional.rope(x, r).value()))
          .containsExactly(1, 1, 1, 1, NaN, NaN, 1, 1, NaN, NaN, 1, 1);
    }
  }

  private static double[] ones(int n) {
    double[] v = new double[n];
    Arrays.fill(v, 1);
    return v;
  }

  private static Tensor tensorI32(Workspace ws, double... values) {
    Tensor t = ws.alloc(DType.I32, Shape.of(values.length));
    Tensors.fill(t, values);
    return t;
  }

  private static Tensor tensor(Workspace ws, Shape shape, double[] values) {
    Tensor t = ws.alloc(DType.F32, shape);
    Tensors.fill(t, values);
    return t;
  }

  private static double[] cos(int rows, int pairs) {
    double[] c = new double[rows * pairs];
    for (int i = 0; i < c.length; i++) {
      c[i] = Math.cos(i / pairs * Math.pow(100, -1.0 * (i % pairs) / pairs));
    }
    return c;
  }

  private static double[] sin(int rows, int pairs) {
    double[] s = new double[rows * pairs];
    for (int i = 0; i < s.length; i++) {
      s[i] = Math.sin(i / pairs * Math.pow(100, -1.0 * (i % pairs) / pairs));
    }
    return s;
  }

  /** Halves, all features, from position 0 on. */
  private static double[] turn(double[] x, double[] cos, double[] sin, int time, int heads) {
    int pairs = cos.length / time;
    return turn(x, cos, sin, time, heads, 2 * pairs, pairs, 0, Pairing.HALVES);
  }

  private static double[] turn(
      double[] x,
      double[] cos,
      double[] sin,
      int time,
      int heads,
      int dim,
      int pairs,
      int offset,
      Pairing pairing) {
    double[] y = x.clone();
    for (int row = 0; row < x.length / dim; row++) {
      int angle = (row / heads % time + offset) * pairs;
      for (int i = 0; i < pairs; i++) {
        int a = row * dim + (pairing == Pairing.HALVES ? i : 2 * i);
        int b = row * dim + (pairing == Pairing.HALVES ? i + pairs : 2 * i + 1);
        y[a] = x[a] * cos[angle + i] - x[b] * sin[angle + i];
        y[b] = x[b] * cos[angle + i] + x[a] * sin[angle + i];
      }
    }
    return y;
  }
}
