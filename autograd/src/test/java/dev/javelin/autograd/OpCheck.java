package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Holds an operator against an independent computation: its outputs against a scalar oracle in
 * {@code double}, its gradients against central differences of that oracle, for each element type,
 * in memory poisoned with NaN. It also demands that
 *
 * <ul>
 *   <li>using the operator twice adds the gradients up;
 *   <li>a gradient does not depend on which other inputs want one;
 *   <li>one thread and three give the same bits;
 *   <li>two inputs of one shape may be the same variable.
 * </ul>
 *
 * <p>With {@link #cuda()} it demands the same of the operator's CUDA kernels, that they agree with
 * the CPU's, and that they give the same bits when run again.
 *
 * <pre>{@code
 * OpCheck.of("rms_norm", in -> Functional.rmsNorm(in[0], in[1], 1e-5f))
 *     .input("x", 3, 7).weight("w", 7)
 *     .oracle(in -> …).run();
 * }</pre>
 */
public final class OpCheck {
  /** The operator under test, from its inputs' variables to its outputs'. */
  public interface Op {
    List<Var> apply(Var[] in);
  }

  private enum Role {
    INPUT,
    WEIGHT,
    CONSTANT
  }

  private record Input(String name, Role role, DType fixed, Shape shape, double[] values) {}

  private static final int ALL_ELEMENTS = 160;

  private final String name;
  private final Op op;
  private final List<Input> inputs = new ArrayList<>();
  private final Random random = new Random(1234);
  private @Nullable Function<double[][], double[][]> oracle;
  private List<DType> dtypes = List.of(DType.F32, DType.BF16, DType.F16);
  private double factor = 1;
  private double step = 1e-4;
  private boolean aliasing = true;
  private boolean cuda;

  private OpCheck(String name, Op op) {
    this.name = name;
    this.op = op;
  }

  public static OpCheck of(String name, Function<Var[], Var> op) {
    return new OpCheck(name, in -> List.of(op.apply(in)));
  }

  public static OpCheck ofSeveral(String name, Op op) {
    return new OpCheck(name, op);
  }

  /** An activation of the checked type, standard normal, with a gradient of its own type. */
  public OpCheck input(String name, int... dims) {
    return input(name, x -> x, dims);
  }

  /**
   * An activation whose normal values go through {@code map} first, for instance to make them
   * positive.
   */
  public OpCheck input(String name, DoubleUnaryOperator map, int... dims) {
    return add(name, Role.INPUT, DType.F32, map, dims);
  }

  /** A parameter of the checked type: its gradient is F32. */
  public OpCheck weight(String name, int... dims) {
    return add(name, Role.WEIGHT, DType.F32, x -> x, dims);
  }

  /** A parameter whose normal values go through {@code map} first. */
  public OpCheck weight(String name, DoubleUnaryOperator map, int... dims) {
    return add(name, Role.WEIGHT, DType.F32, map, dims);
  }

  /** Integers without gradient. */
  public OpCheck ids(String name, int[] values, int... dims) {
    inputs.add(
        new Input(
            name,
            Role.CONSTANT,
            DType.I32,
            Shape.of(dims),
            Arrays.stream(values).asDoubleStream().toArray()));
    return this;
  }

  /** Numbers without gradient that stay F32 whatever type is checked. */
  public OpCheck constant(String name, double[] values, int... dims) {
    double[] rounded = values.clone();
    for (int i = 0; i < rounded.length; i++) {
      rounded[i] = (float) rounded[i];
    }
    inputs.add(new Input(name, Role.CONSTANT, DType.F32, Shape.of(dims), rounded));
    return this;
  }

  private OpCheck add(String name, Role role, DType fixed, DoubleUnaryOperator map, int... dims) {
    Shape shape = Shape.of(dims);
    double[] v = new double[(int) shape.elements()];
    for (int i = 0; i < v.length; i++) {
      v[i] = map.applyAsDouble(random.nextGaussian());
    }
    inputs.add(new Input(name, role, fixed, shape, v));
    return this;
  }

  /** The outputs' elements in row-major order, from the inputs'. */
  public OpCheck oracle(Function<double[][], double[]> f) {
    this.oracle = in -> new double[][] {f.apply(in)};
    return this;
  }

  public OpCheck oracleOfSeveral(Function<double[][], double[][]> f) {
    this.oracle = f;
    return this;
  }

  public OpCheck dtypes(DType... only) {
    this.dtypes = List.of(only);
    return this;
  }

  /** Multiplies the tolerances, where the length of the sums in the operator asks for it. */
  public OpCheck tolerance(double times) {
    this.factor = times;
    return this;
  }

  /** The step of the central differences, 1e-4 unless told. */
  public OpCheck step(double h) {
    this.step = h;
    return this;
  }

  /** For operators whose equally shaped inputs must not be the same tensor. */
  public OpCheck withoutAliasing() {
    this.aliasing = false;
    return this;
  }

  /**
   * For operators with kernels for a GPU: checks these too. Where tests have no such device, the
   * test is skipped after all else has been checked.
   */
  public OpCheck cuda() {
    this.cuda = true;
    return this;
  }

  public void run() {
    for (DType t : dtypes) {
      run(t);
    }
    if (cuda && TestCuda.isWanted()) {
      assumeTrue(
          TestCuda.missing().isEmpty(), () -> "checked on the CPU only: " + TestCuda.missing());
    }
  }

  private void run(DType t) {
    double[][] in = new double[inputs.size()][];
    for (int i = 0; i < in.length; i++) {
      Input input = inputs.get(i);
      in[i] = input.role == Role.CONSTANT ? input.values : rounded(input.values, t);
    }
    double[][] expected = expected(in);
    double[][] gout = new double[expected.length][];
    for (int o = 0; o < gout.length; o++) {
      gout[o] = rounded(random.doubles(expected[o].length, -1, 1).toArray(), t);
    }

    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3)) {
      Result once = check(one, t, in, expected, gout);
      Result threads = execute(three, t, in, gout, wanted(), 1);
      assertSameBits("3 threads", t, threads, once);
      for (int i = 0; i < in.length; i++) {
        if (wanted()[i]) {
          checkGradient(t, in, gout, i, once.grads[i]);
        }
      }
      checkAliased(one, t, in, gout);
      if (cuda && TestCuda.missing().isEmpty()) {
        checkCuda(t, in, expected, gout, once);
      }
    }
  }

  private boolean[] wanted() {
    boolean[] all = new boolean[inputs.size()];
    for (int i = 0; i < all.length; i++) {
      all[i] = inputs.get(i).role != Role.CONSTANT;
    }
    return all;
  }

  /** What holds on any device: the outputs' values, and how gradients combine. */
  private Result check(
      Device device, DType t, double[][] in, double[][] expected, double[][] gout) {
    Result once = execute(device, t, in, gout, wanted(), 1);
    for (int o = 0; o < expected.length; o++) {
      assertClose(
          "output " + o + " on " + device, t, once.outputs[o], expected[o], outputTolerance(t));
      assertThat(Tolerances.rms(once.outputs[o], expected[o]))
          .as("%s %s: output %d on %s, root of the mean square", name, t, o, device)
          .isLessThanOrEqualTo(factor * Tolerances.rms(t, longestSum()));
    }
    Result twice = execute(device, t, in, gout, wanted(), 2);
    for (int i = 0; i < in.length; i++) {
      if (!wanted()[i]) {
        continue;
      }
      double[] doubled = Arrays.stream(once.grads[i]).map(g -> 2 * g).toArray();
      assertClose(
          "gradient of " + inputs.get(i).name + " used twice on " + device,
          t,
          twice.grads[i],
          doubled,
          gradTolerance(t));

      boolean[] alone = new boolean[in.length];
      alone[i] = true;
      assertThat(execute(device, t, in, gout, alone, 1).grads[i])
          .as("%s %s: gradient of %s while the others are frozen", name, t, inputs.get(i).name)
          .isEqualTo(once.grads[i]);
    }
    return once;
  }

  /** Each device is within the tolerance of the truth, so they differ by twice that at most. */
  private void checkCuda(DType t, double[][] in, double[][] expected, double[][] gout, Result cpu) {
    try (Cuda device = TestCuda.open(new BundledKernels())) {
      Result once = check(device, t, in, expected, gout);
      for (int i = 0; i < in.length; i++) {
        if (wanted()[i]) {
          assertClose(
              "gradient of " + inputs.get(i).name + " on " + device + " against the CPU's",
              t,
              once.grads[i],
              cpu.grads[i],
              2 * gradTolerance(t));
        }
      }
      assertSameBits(device + " again", t, execute(device, t, in, gout, wanted(), 1), once);
      checkAliased(device, t, in, gout);
    }
  }

  private void assertSameBits(String what, DType t, Result got, Result want) {
    assertThat(got.outputs).as("%s %s: outputs with %s", name, t, what).isDeepEqualTo(want.outputs);
    assertThat(got.grads).as("%s %s: gradients with %s", name, t, what).isDeepEqualTo(want.grads);
  }

  /** f(x, x): the gradients of both places meet in one destination. */
  private void checkAliased(Device device, DType t, double[][] in, double[][] gout) {
    if (!aliasing
        || in.length != 2
        || inputs.get(0).role != Role.INPUT
        || inputs.get(1).role != Role.INPUT
        || !inputs.get(0).shape.equals(inputs.get(1).shape)) {
      return;
    }
    double[][] same = {in[0], in[0]};
    Shape shape = inputs.get(0).shape;
    try (Workspace ws = Workspace.apart(device);
        Memory values = device.allocate(t.bytes(shape.elements()));
        Memory gradients = device.allocate(t.bytes(shape.elements()))) {
      Tape tape = new Tape(ws);
      Tensor grad = Tensor.of(gradients, 0, t, shape);
      Var x = tape.leaf(Tensors.of(values, 0, t, shape, in[0]), new Grad(grad, false));
      List<Var> outs = op.apply(new Var[] {x, x});
      tape.backward(outs, gradients(ws, outs, gout));
      checkGradient(t, same, gout, 2, Tensors.toDoubles(grad));
    }
  }

  private double[][] expected(double[][] in) {
    if (oracle == null) {
      throw new IllegalStateException("OpCheck " + name + " has no oracle");
    }
    return oracle.apply(in);
  }

  private record Result(double[][] outputs, double[][] grads) {}

  private Result execute(
      Device device, DType t, double[][] in, double[][] gout, boolean[] wanted, int times) {
    List<Memory> memories = new ArrayList<>();
    try (Workspace ws = Workspace.apart(device)) {
      Tape tape = new Tape(ws);
      Var[] vars = new Var[in.length];
      Tensor[] grads = new Tensor[in.length];
      for (int i = 0; i < in.length; i++) {
        Input input = inputs.get(i);
        DType type = input.role == Role.CONSTANT ? input.fixed : t;
        Memory memory = device.allocate(type.bytes(input.shape.elements()));
        memories.add(memory);
        Tensor value = Tensors.of(memory, 0, type, input.shape, in[i]);
        if (!wanted[i]) {
          vars[i] = tape.constant(value);
          continue;
        }
        DType gradType = input.role == Role.WEIGHT ? DType.F32 : t;
        Memory gradMemory = device.allocate(gradType.bytes(input.shape.elements()));
        memories.add(gradMemory);
        grads[i] = Tensor.of(gradMemory, 0, gradType, input.shape);
        if (input.role == Role.WEIGHT) {
          vars[i] =
              tape.param(new Parameter(input.name, value, grads[i], new Group("all", 1, 0, false)));
        } else {
          Tensors.poison(grads[i]);
          vars[i] = tape.leaf(value, new Grad(grads[i], false));
        }
      }
      List<Var> outs = new ArrayList<>();
      List<Tensor> dys = new ArrayList<>();
      for (int n = 0; n < times; n++) {
        List<Var> o = op.apply(vars);
        outs.addAll(o);
        dys.addAll(gradients(ws, o, gout));
      }
      Result r = new Result(new double[gout.length][], new double[in.length][]);
      for (int o = 0; o < gout.length; o++) {
        r.outputs[o] = Tensors.toDoubles(outs.get(o).value());
      }
      boolean any = outs.stream().anyMatch(Var::requiresGrad);
      if (any) {
        tape.backward(outs, dys);
      }
      for (int i = 0; i < in.length; i++) {
        if (grads[i] != null) {
          r.grads[i] = Tensors.toDoubles(grads[i]);
        }
      }
      return r;
    } finally {
      memories.forEach(Memory::close);
    }
  }

  private static List<Tensor> gradients(Workspace ws, List<Var> outs, double[][] gout) {
    List<Tensor> dys = new ArrayList<>();
    for (int o = 0; o < outs.size(); o++) {
      Tensor dy = ws.alloc(outs.get(o).value().dtype(), outs.get(o).shape());
      Tensors.fill(dy, gout[o]);
      dys.add(dy);
    }
    return dys;
  }

  /**
   * Compares with central differences: each element of a small input, a sample and a random
   * direction of a large one.
   */
  private void checkGradient(DType t, double[][] in, double[][] gout, int index, double[] got) {
    boolean both = index == in.length; // aliased: input 0 and 1 move together
    double[] x = in[both ? 0 : index];
    int[] picks =
        x.length <= ALL_ELEMENTS
            ? java.util.stream.IntStream.range(0, x.length).toArray()
            : random.ints(ALL_ELEMENTS / 4, 0, x.length).toArray();
    double scale = 0;
    for (double g : got) {
      assertThat(g).as("%s %s: gradient is written everywhere", name, t).isFinite();
      scale = Math.max(scale, Math.abs(g));
    }
    String what = both ? "f(x, x)" : inputs.get(index).name;
    double tolerance = gradTolerance(t) * Math.max(scale, 1e-3);
    for (int p : picks) {
      double[] direction = new double[x.length];
      direction[p] = 1;
      double want = derivative(in, gout, index, direction);
      assertThat(Math.abs(got[p] - want))
          .as(
              "%s %s: gradient of %s[%d] is %s, central differences say %s",
              name, t, what, p, got[p], want)
          .isLessThanOrEqualTo(tolerance);
    }
    if (picks.length < x.length) {
      double[] direction = random.doubles(x.length, -1, 1).toArray();
      double dot = 0;
      for (int i = 0; i < x.length; i++) {
        dot += direction[i] * got[i];
      }
      double want = derivative(in, gout, index, direction);
      assertThat(Math.abs(dot - want))
          .as(
              "%s %s: gradient of %s along a random direction is %s, central differences say %s",
              name, t, what, dot, want)
          .isLessThanOrEqualTo(tolerance * Math.sqrt(x.length));
    }
  }

  private double derivative(double[][] in, double[][] gout, int index, double[] direction) {
    return (weighted(in, gout, index, direction, step)
            - weighted(in, gout, index, direction, -step))
        / (2 * step);
  }

  private double weighted(double[][] in, double[][] gout, int index, double[] direction, double h) {
    boolean both = index == in.length;
    double[][] moved = in.clone();
    double[] x = in[both ? 0 : index].clone();
    for (int i = 0; i < x.length; i++) {
      x[i] += h * direction[i];
    }
    if (both) {
      moved[0] = x;
      moved[1] = x;
    } else {
      moved[index] = x;
    }
    double[][] out = expected(moved);
    double sum = 0;
    for (int o = 0; o < out.length; o++) {
      for (int i = 0; i < out[o].length; i++) {
        sum += out[o][i] * gout[o][i];
      }
    }
    return sum;
  }

  private void assertClose(String what, DType t, double[] got, double[] want, double tolerance) {
    assertThat(got).as("%s %s: %s", name, t, what).hasSameSizeAs(want);
    double scale = 0;
    double worst = 0;
    int at = 0;
    for (int i = 0; i < got.length; i++) {
      assertThat(got[i]).as("%s %s: %s[%d]", name, t, what, i).isFinite();
      scale = Math.max(scale, Math.abs(want[i]));
      if (Math.abs(got[i] - want[i]) > worst) {
        worst = Math.abs(got[i] - want[i]);
        at = i;
      }
    }
    assertThat(worst)
        .as(
            "%s %s: %s differs most at %d (got %s, want %s)",
            name, t, what, at, got.length == 0 ? 0 : got[at], got.length == 0 ? 0 : want[at])
        .isLessThanOrEqualTo(tolerance * Math.max(scale, 1e-6));
  }

  /** No operator adds up more terms for one element than the largest input has. */
  private long longestSum() {
    return inputs.stream().mapToLong(i -> i.shape.elements()).max().orElse(1);
  }

  private double outputTolerance(DType t) {
    return factor * Tolerances.output(t);
  }

  private double gradTolerance(DType t) {
    return factor * Tolerances.gradient(t);
  }

  private static double[] rounded(double[] v, DType t) {
    double[] r = new double[v.length];
    for (int i = 0; i < r.length; i++) {
      r[i] = Tensors.round(v[i], t);
    }
    return r;
  }
}
