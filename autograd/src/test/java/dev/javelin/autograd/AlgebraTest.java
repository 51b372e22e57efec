package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class AlgebraTest {
  static List<Golden.Case> golden() {
    return Golden.cases("tensor");
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    String name = c.name().substring("tensor/".length());
    if (name.equals("split3_last")) {
      c.cuda()
          .checkSeveral(
              in -> in.get("x").split(-1, 5, 5, 5).stream().map(Algebra::contiguous).toList());
    } else {
      c.cuda().check(in -> composed(c, name, in));
    }
  }

  private static Var composed(Golden.Case c, String name, Golden.Inputs in) {
    Var x = in.get("x");
    JsonNode p = c.params();
    return switch (name.split("_")[0]) {
      case "transpose" ->
          c.has("w")
              ? Algebra.sum( // [2, 4, 3, 1] times [3, 5]
                  Algebra.multiply(
                      Algebra.contiguous(x.transpose(1, 2)).reshape(2, 4, 3, 1), in.get("w")),
                  false,
                  2)
              : Algebra.contiguous(x.transpose(0, 1));
      case "permute" -> Algebra.contiguous(Algebra.permute(x, ints(p.get("perm"))));
      case "add" -> Algebra.add(x, in.get("y"));
      case "sub" -> Algebra.subtract(x, in.get("y"));
      case "mul" -> Algebra.multiply(x, in.get("y"));
      case "div" -> Algebra.divide(x, in.get("y"));
      case "sum" -> Algebra.sum(x, p.get("keepdim").asBoolean(), ints(p.get("dims")));
      case "mean" -> Algebra.mean(x, p.get("keepdim").asBoolean(), ints(p.get("dims")));
      case "long" -> Algebra.sum(x, false);
      case "max" -> Algebra.max(x, p.get("dim").asInt());
      case "var" -> {
        Var d = Algebra.subtract(x, Algebra.mean(x, true, -1));
        yield Algebra.mean(Algebra.multiply(d, d), false, -1);
      }
      case "concat" -> Algebra.concat(p.get("dim").asInt(), x, in.get("y"));
      case "slice" ->
          Algebra.contiguous(
              Algebra.slice(x, p.get("dim").asInt(), p.get("start").asInt(), p.get("end").asInt()));
      case "repeat" -> Algebra.repeatInterleave(x, p.get("dim").asInt(), p.get("repeats").asInt());
      case "reused" -> Algebra.add(Algebra.multiply(x, x), x);
      case "exp" -> Algebra.exp(x);
      case "log" -> Algebra.log(x);
      case "sqrt" -> Algebra.sqrt(x);
      case "rsqrt" -> {
        Tensor one = in.tape().alloc(x.value().dtype(), Shape.of());
        Tensors.fill(one, new double[] {1});
        yield Algebra.divide(in.tape().constant(one), Algebra.sqrt(x));
      }
      case "pow3" -> Algebra.multiply(Algebra.multiply(x, x), x);
      default -> throw new AssertionError("no function for golden case " + name);
    };
  }

  private static int[] ints(JsonNode list) {
    int[] values = new int[list.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = list.get(i).asInt();
    }
    return values;
  }

  private record Binary(
      String name,
      BiFunction<Var, Var, Var> op,
      DoubleBinaryOperator f,
      DoubleUnaryOperator domain) {}

  private static final Binary[] BINARY = {
    new Binary("add", Algebra::add, (a, b) -> a + b, x -> x),
    new Binary("subtract", Algebra::subtract, (a, b) -> a - b, x -> x),
    new Binary("multiply", Algebra::multiply, (a, b) -> a * b, x -> x),
    new Binary("divide", Algebra::divide, (a, b) -> a / b, x -> 1 + Math.abs(x))
  };

  static Stream<Arguments> shapes() {
    return Stream.of(
        Arguments.of(new int[] {}, new int[] {}),
        Arguments.of(new int[] {7}, new int[] {7}),
        Arguments.of(new int[] {3, 33}, new int[] {33}),
        Arguments.of(new int[] {3, 4}, new int[] {3, 1}),
        Arguments.of(new int[] {3, 1, 5}, new int[] {4, 1}),
        Arguments.of(new int[] {31}, new int[] {}),
        Arguments.of(new int[] {2, 1, 16}, new int[] {2, 3, 16}),
        Arguments.of(new int[] {1}, new int[] {127}));
  }

  @ParameterizedTest
  @MethodSource("shapes")
  void arithmeticIsBroadcastAndItsGradientSummed(int[] a, int[] b) {
    for (Binary f : BINARY) {
      Shape y = Shape.of(broadcast(a, b));
      OpCheck check = OpCheck.of(f.name, in -> f.op.apply(in[0], in[1]));
      if (f.name.equals("divide")) {
        check.withoutAliasing(); // the gradient of x / x is nothing but rounding
      }
      check
          .input("a", f.domain, a)
          .input("b", f.domain, b)
          .oracle(
              in -> {
                double[] out = new double[(int) y.elements()];
                for (int i = 0; i < out.length; i++) {
                  out[i] = f.f.applyAsDouble(in[0][from(y, i, a)], in[1][from(y, i, b)]);
                }
                return out;
              })
          .tolerance(2)
          .cuda()
          .run();
    }
  }

  @Test
  void longRowsAndManyThreadsMakeNoDifference() {
    OpCheck.of("add", in -> Algebra.add(in[0], in[1]))
        .input("a", 3, 2001)
        .input("b", 3, 2001)
        .oracle(in -> zip(in[0], in[1], (a, b) -> a + b))
        .cuda()
        .run();
  }

  private record Unary(
      String name, Function<Var, Var> op, DoubleUnaryOperator f, DoubleUnaryOperator domain) {}

  @Test
  void functionsOfOneElement() {
    Unary[] all = {
      new Unary("scale", x -> Algebra.scale(x, -0.25f), x -> -0.25 * x, x -> x),
      new Unary("exp", Algebra::exp, Math::exp, x -> x),
      new Unary("log", Algebra::log, Math::log, x -> 0.5 + Math.abs(x)),
      new Unary("sqrt", Algebra::sqrt, Math::sqrt, x -> 0.5 + Math.abs(x))
    };
    for (Unary f : all) {
      for (int n : new int[] {1, 7, 33, 1100}) {
        OpCheck.of(f.name, in -> f.op.apply(in[0]))
            .input("x", f.domain, n)
            .oracle(in -> Arrays.stream(in[0]).map(f.f).toArray())
            .cuda()
            .run();
      }
    }
  }

  static Stream<Arguments> reductions() {
    return Stream.of(
        Arguments.of(new int[] {33}, new int[] {}, false),
        Arguments.of(new int[] {3, 7}, new int[] {-1}, false),
        Arguments.of(new int[] {3, 7}, new int[] {0}, true),
        Arguments.of(new int[] {3, 4, 5}, new int[] {0, 2}, false),
        Arguments.of(new int[] {2, 3, 2, 5}, new int[] {1, 2}, true),
        Arguments.of(new int[] {2, 1100}, new int[] {1}, false),
        Arguments.of(new int[] {2, 4104}, new int[] {1}, false), // in pieces, from here on
        Arguments.of(new int[] {100, 3}, new int[] {0}, false),
        Arguments.of(new int[] {70, 16}, new int[] {0}, true),
        Arguments.of(new int[] {5, 1, 3}, new int[] {1}, false));
  }

  @ParameterizedTest
  @MethodSource("reductions")
  void sumsAndMeansGoOverAnyDimensions(int[] shape, int[] dims, boolean keep) {
    Shape x = Shape.of(shape);
    boolean[] goes = new boolean[shape.length];
    for (int i = 0; i < shape.length; i++) {
      goes[i] = dims.length == 0;
    }
    for (int d : dims) {
      goes[x.axis(d)] = true;
    }
    int[] kept = shape.clone();
    int count = 1;
    for (int i = 0; i < kept.length; i++) {
      count *= goes[i] ? kept[i] : 1;
      kept[i] = goes[i] ? 1 : kept[i];
    }
    int n = count;
    Function<double[], double[]> sum =
        in -> {
          double[] out = new double[(int) Shape.of(kept).elements()];
          for (int i = 0; i < in.length; i++) {
            out[from(x, i, kept)] += in[i];
          }
          return out;
        };
    OpCheck.of("sum", in -> Algebra.sum(in[0], keep, dims))
        .input("x", shape)
        .oracle(in -> sum.apply(in[0]))
        .tolerance(2)
        .cuda()
        .run();
    OpCheck.of("mean", in -> Algebra.mean(in[0], keep, dims))
        .input("x", shape)
        .oracle(in -> Arrays.stream(sum.apply(in[0])).map(v -> v / n).toArray())
        .tolerance(2)
        .cuda()
        .run();
  }

  @Test
  void reductionsKeepOrDropTheirDimensions() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu)) {
      Var x = Tape.inference(ws).constant(ws.alloc(DType.F32, Shape.of(2, 3, 4)));
      assertThat(Algebra.sum(x, false).shape()).isEqualTo(Shape.of());
      assertThat(Algebra.sum(x, true).shape()).isEqualTo(Shape.of(1, 1, 1));
      assertThat(Algebra.mean(x, false, 1).shape()).isEqualTo(Shape.of(2, 4));
      assertThat(Algebra.mean(x, true, -1).shape()).isEqualTo(Shape.of(2, 3, 1));
    }
  }

  @Test
  void manyNumbersOfOneSizeAddUpWithoutDrift() {
    int n = 1_000_000; // of which 64 at a time are added in fp32, all else in double
    try (Cpu cpu = Cpu.open(2);
        Workspace ws = Workspace.on(cpu)) {
      Tensor x = ws.alloc(DType.F32, Shape.of(n));
      double[] values = new double[n];
      Arrays.fill(values, 0.1f);
      Tensors.fill(x, values);
      Var v = Tape.inference(ws).constant(x);
      double rows = Tensors.toDoubles(Algebra.sum(v, false).value())[0];
      Var columns = Algebra.sum(v.reshape(n / 4, 4), false, 0);
      assertThat(rows).isCloseTo(n * (double) 0.1f, within(n * 0.1 * 64 * 0x1p-24));
      for (double c : Tensors.toDoubles(columns.value())) {
        assertThat(c).isEqualTo((float) (n / 4 * (double) 0.1f));
      }
    }
  }

  @Test
  void maxTakesTheFirstOfEquals() {
    for (int dim : new int[] {0, 1, -1}) {
      OpCheck.of("max", in -> Algebra.max(in[0], dim))
          .input("x", 3, 4, 5)
          .oracle(in -> maxOracle(in[0], new int[] {3, 4, 5}, dim))
          .cuda()
          .run();
    }
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20)) {
      Tensor x = ws.alloc(DType.F32, Shape.of(2, 3));
      Tensors.fill(x, new double[] {1, 5, 5, 7, 7, 7});
      Tensor dx = ws.alloc(DType.F32, Shape.of(2, 3));
      Tape tape = new Tape(ws);
      tape.backward(Algebra.sum(Algebra.max(tape.leaf(x, new Grad(dx, false)), -1), false));
      assertThat(Tensors.toDoubles(dx)).containsExactly(0, 1, 0, 1, 0, 0);
    }
  }

  @Test
  void layoutsChangeWithoutChangingElements() {
    OpCheck.of("permute", in -> Algebra.contiguous(Algebra.permute(in[0], 2, 0, 3, 1)))
        .input("x", 2, 3, 4, 5)
        .oracle(in -> permuted(in[0], new int[] {2, 3, 4, 5}, 2, 0, 3, 1))
        .cuda()
        .run();
    OpCheck.of("transpose", in -> Algebra.contiguous(in[0].transpose(0, 1)))
        .input("x", 33, 7)
        .oracle(in -> permuted(in[0], new int[] {33, 7}, 1, 0))
        .cuda()
        .run();
    OpCheck.of("slice", in -> Algebra.contiguous(Algebra.slice(in[0], 1, 1, 3)))
        .input("x", 3, 4, 5)
        .oracle(in -> sliced(in[0], new int[] {3, 4, 5}, 1, 3))
        .cuda()
        .run();
    OpCheck.of("concat", in -> Algebra.concat(1, in[0], in[1]))
        .input("a", 3, 4, 5)
        .input("b", 3, 2, 5)
        .oracle(
            in -> {
              double[] y = new double[3 * 6 * 5];
              for (int i = 0; i < 3; i++) {
                System.arraycopy(in[0], i * 20, y, i * 30, 20);
                System.arraycopy(in[1], i * 10, y, i * 30 + 20, 10);
              }
              return y;
            })
        .cuda()
        .run();
    OpCheck.of("repeat", in -> Algebra.repeatInterleave(in[0], 1, 3))
        .input("x", 2, 2, 5)
        .oracle(
            in -> {
              double[] y = new double[2 * 6 * 5];
              for (int i = 0; i < y.length; i++) {
                y[i] = in[0][i / 30 * 10 + i / 15 % 2 * 5 + i % 5];
              }
              return y;
            })
        .tolerance(2)
        .cuda()
        .run();
  }

  @Test
  void arithmeticTakesAnyStrides() {
    OpCheck.of(
            "multiply",
            in -> Algebra.multiply(in[0].transpose(0, 1), Algebra.slice(in[1], 1, 2, 5)))
        .input("a", 3, 17)
        .input("b", 17, 6)
        .oracle(
            in -> {
              double[] y = new double[17 * 3];
              for (int i = 0; i < y.length; i++) {
                y[i] = in[0][i % 3 * 17 + i / 3] * in[1][i / 3 * 6 + i % 3 + 2];
              }
              return y;
            })
        .cuda()
        .run();
  }

  @Test
  void castsRoundToNearest() {
    for (DType to : new DType[] {DType.F32, DType.BF16, DType.F16}) {
      try (Cpu cpu = Cpu.open(1);
          Workspace ws = Workspace.poisoned(cpu, 1 << 20)) {
        double[] values = new Random(3).doubles(100, -3, 3).map(v -> (float) v).toArray();
        Tensor x = ws.alloc(DType.F32, Shape.of(100));
        Tensors.fill(x, values);
        Tensor dx = ws.alloc(DType.F32, Shape.of(100));
        Tensor dy = ws.alloc(to, Shape.of(100));
        Tensors.fill(dy, values);
        Tape tape = new Tape(ws);
        Var y = Algebra.cast(tape.leaf(x, new Grad(dx, false)), to);
        double[] rounded = Arrays.stream(values).map(v -> Tensors.round(v, to)).toArray();
        assertThat(Tensors.toDoubles(y.value())).isEqualTo(rounded);
        if (to != DType.F32) {
          tape.backward(List.of(y), List.of(dy));
          assertThat(Tensors.toDoubles(dx)).isEqualTo(rounded);
        }
      }
    }
  }

  @Test
  void emptyTensorsAreSummedToZero() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20)) {
      Var x = Tape.inference(ws).constant(ws.alloc(DType.F32, Shape.of(0, 3)));
      assertThat(Tensors.toDoubles(Algebra.sum(x, false, 0).value())).containsOnly(0).hasSize(3);
      assertThat(Algebra.add(x, x).shape()).isEqualTo(Shape.of(0, 3));
    }
  }

  @Test
  void shapesThatDoNotFitAreNamed() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu)) {
      Tape tape = Tape.inference(ws);
      Var a = tape.constant(ws.alloc(DType.F32, Shape.of(3, 4)));
      Var b = tape.constant(ws.alloc(DType.F32, Shape.of(3)));
      assertThatThrownBy(() -> Algebra.add(a, b))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "add: shapes [[3, 4], [3]] cannot be broadcast: sizes 4 and 3 meet in dimension -1");
      assertThatThrownBy(() -> Algebra.permute(a, 0, 0))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> Algebra.slice(a, 1, 2, 5))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> Algebra.broadcastTo(a, 3, 1))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> Algebra.concat(0, a, b))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  /**
   * Index in a tensor of shape {@code to} of what is broadcast to element {@code i} of {@code y}.
   */
  private static int from(Shape y, int i, int[] to) {
    int at = 0;
    int stride = 1;
    for (int d = 1; d <= to.length; d++) {
      int index = i % y.dim(-d);
      i /= y.dim(-d);
      at += to[to.length - d] == 1 ? 0 : index * stride;
      stride *= to[to.length - d];
    }
    return at;
  }

  private static int[] broadcast(int[] a, int[] b) {
    int[] y = new int[Math.max(a.length, b.length)];
    for (int d = 1; d <= y.length; d++) {
      int m = d <= a.length ? a[a.length - d] : 1;
      int n = d <= b.length ? b[b.length - d] : 1;
      y[y.length - d] = Math.max(m, n);
    }
    return y;
  }

  private static double[] zip(double[] a, double[] b, DoubleBinaryOperator f) {
    double[] y = new double[a.length];
    for (int i = 0; i < y.length; i++) {
      y[i] = f.applyAsDouble(a[i], b[i]);
    }
    return y;
  }

  private static double[] permuted(double[] x, int[] shape, int... order) {
    int[] strides = new int[shape.length];
    int s = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = s;
      s *= shape[i];
    }
    double[] y = new double[x.length];
    for (int i = 0; i < y.length; i++) {
      int rest = i;
      int at = 0;
      for (int d = order.length - 1; d >= 0; d--) {
        at += rest % shape[order[d]] * strides[order[d]];
        rest /= shape[order[d]];
      }
      y[i] = x[at];
    }
    return y;
  }

  private static double[] sliced(double[] x, int[] shape, int from, int to) {
    double[] y = new double[shape[0] * (to - from) * shape[2]];
    for (int i = 0; i < y.length; i++) {
      int row = (to - from) * shape[2];
      y[i] = x[i / row * shape[1] * shape[2] + from * shape[2] + i % row];
    }
    return y;
  }

  private static double[] maxOracle(double[] x, int[] shape, int dim) {
    int axis = dim < 0 ? dim + shape.length : dim;
    int[] order = new int[shape.length];
    for (int i = 0, j = 0; i < shape.length; i++) {
      if (i != axis) {
        order[j++] = i;
      }
    }
    order[shape.length - 1] = axis;
    double[] p = permuted(x, shape, order);
    double[] y = new double[x.length / shape[axis]];
    for (int i = 0; i < y.length; i++) {
      y[i] = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < shape[axis]; j++) {
        y[i] = Math.max(y[i], p[i * shape[axis] + j]);
      }
    }
    return y;
  }
}
