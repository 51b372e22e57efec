package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.TestCuda;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.Workspace;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Holds operators against reference values that PyTorch computed in float64: {@code
 * src/test/resources/golden/ops}, whose {@code manifest.json} lists cases with parameters and
 * tensors. Inputs stand under their own names, outputs as {@code out} or {@code out_<name>}, the
 * gradients that reach them as {@code gout…}, the inputs' gradients as {@code grad_<input>}.
 *
 * <p>A case is run in F32, and one whose inputs are bf16 or f16 numbers in these types as well. The
 * measure is max|got − reference| / max|reference| over a tensor.
 *
 * <pre>{@code
 * static List<Golden.Case> cases() {
 *   return Golden.cases("rmsnorm", c -> c.has("weight"));
 * }
 * @ParameterizedTest @MethodSource("cases")
 * void agreesWithPyTorch(Golden.Case c) {
 *   c.weights("weight").check(in -> Functional.rmsNorm(in.get("x"), in.get("weight"), c.number("eps")));
 * }
 * }</pre>
 */
public final class Golden {
  private static final Path DIRECTORY = Path.of("src/test/resources/golden/ops");

  private Golden() {}

  /** The names of all cases of all files, as {@link Case#name} gives them. */
  static List<String> names() {
    List<String> names = new ArrayList<>();
    manifest()
        .get("ops")
        .properties()
        .forEach(
            file ->
                file.getValue()
                    .get("cases")
                    .forEach(c -> names.add(file.getKey() + "/" + c.get("case").asText())));
    return names;
  }

  private static JsonNode manifest() {
    try {
      return new ObjectMapper().readTree(DIRECTORY.resolve("manifest.json").toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** All cases of one file, without its extension. */
  public static List<Case> cases(String file) {
    return cases(file, c -> true);
  }

  public static List<Case> cases(String file, Predicate<Case> filter) {
    try (Safetensors tensors = Safetensors.open(DIRECTORY.resolve(file + ".safetensors"))) {
      List<Case> cases = new ArrayList<>();
      for (JsonNode node : manifest().get("ops").get(file).get("cases")) {
        Case c = new Case(file, node, tensors);
        if (filter.test(c)) {
          cases.add(c);
        }
      }
      assertThat(cases).as("golden cases of " + file).isNotEmpty();
      return cases;
    }
  }

  private record Reference(String role, DType dtype, Shape shape, double[] values) {}

  /** One case: an operator's inputs, parameters, outputs and gradients. */
  public static final class Case {
    private final String name;
    private final JsonNode params;
    private final double suggested;
    private final Map<String, Reference> tensors = new LinkedHashMap<>();
    private final Set<String> read = new HashSet<>();
    private Set<String> weights = Set.of();
    private double factor = 1;
    private boolean cuda;

    private Case(String file, JsonNode node, Safetensors data) {
      String prefix = node.get("case").asText();
      this.name = file + "/" + prefix;
      this.params = node.get("params");
      this.suggested = node.path("suggested_rtol").asDouble();
      for (JsonNode t : node.get("tensors")) {
        Safetensors.Entry e = data.get(t.get("name").asText());
        tensors.put(
            e.name().substring(prefix.length() + 1),
            new Reference(
                t.get("role").asText(),
                e.dtype(),
                e.shape(),
                Tensors.toDoubles(e.data(), e.dtype(), (int) e.shape().elements())));
      }
    }

    public String name() {
      return name;
    }

    public boolean has(String tensor) {
      return tensors.containsKey(tensor);
    }

    public Shape shape(String tensor) {
      return reference(tensor).shape;
    }

    public double[] values(String tensor) {
      return reference(tensor).values;
    }

    /** The case's parameters: layout, flags, formula. */
    public JsonNode params() {
      return params;
    }

    public float number(String param) {
      return (float) params.get(param).asDouble();
    }

    private Reference reference(String tensor) {
      Reference r = tensors.get(tensor);
      if (r == null) {
        throw new IllegalArgumentException(
            name + " has no " + tensor + ", only " + tensors.keySet());
      }
      read.add(tensor);
      return r;
    }

    /** Fails where a tensor of the case was neither given to the operator nor compared with it. */
    public void assertAllRead() {
      assertThat(read).as("tensors of %s that were read", name).isEqualTo(tensors.keySet());
    }

    /** Inputs that are parameters: their gradients are F32 and accumulate. */
    public Case weights(String... names) {
      weights = Set.of(names);
      return this;
    }

    /** Multiplies the tolerances, for operators with long sums. */
    public Case tolerance(double times) {
      factor = times;
      return this;
    }

    /**
     * For operators with kernels for a GPU: runs the case on these too, on the emulated device in
     * all of {@link TestMachine#andRough}. Where tests have no such device, the test is skipped
     * after the CPU has been checked.
     */
    public Case cuda() {
      cuda = true;
      return this;
    }

    /** F32, and the half types if the inputs are exact in them. */
    public List<DType> types() {
      boolean half =
          tensors.values().stream().anyMatch(r -> r.dtype == DType.BF16 || r.dtype == DType.F16);
      return half ? List.of(DType.F32, DType.BF16, DType.F16) : List.of(DType.F32);
    }

    /** Runs an operator of one output in all {@link #types}. */
    public void check(Function<Inputs, Var> op) {
      checkSeveral(in -> List.of(op.apply(in)));
    }

    /** Runs an operator of several outputs, in the manifest's order, in all {@link #types}. */
    public void checkSeveral(Function<Inputs, List<Var>> op) {
      try (Cpu cpu = Cpu.open(2)) {
        for (DType t : types()) {
          check(cpu, t, op);
        }
      }
      assertAllRead();
      if (cuda && TestCuda.isWanted()) {
        assumeTrue(
            TestCuda.missing().isEmpty(), () -> "checked on the CPU only: " + TestCuda.missing());
        for (TestMachine machine : TestMachine.andRough()) {
          try (Cuda device = machine.open(new BundledKernels())) {
            for (DType t : types()) {
              check(device, t, op);
            }
          } catch (AssertionError | RuntimeException e) {
            throw new AssertionError(name + " on " + machine, e);
          } finally {
            TestMachine.restore();
          }
        }
      }
    }

    private void check(Device device, DType t, Function<Inputs, List<Var>> op) {
      try (Workspace ws = Workspace.apart(device);
          Inputs in = new Inputs(this, t, ws)) {
        List<Var> outs = op.apply(in);
        List<String> names =
            tensors.entrySet().stream()
                .filter(e -> e.getValue().role.equals("output"))
                .map(Map.Entry::getKey)
                .toList();
        assertThat(outs).as(name).hasSameSizeAs(names);
        List<Tensor> dys = new ArrayList<>();
        for (int o = 0; o < outs.size(); o++) {
          Tensor y = outs.get(o).value();
          compare(names.get(o), t, Tensors.toDoubles(y), outputTolerance(t));
          dys.add(upstream(names.get(o), y, ws));
        }
        if (in.gradients.isEmpty()) {
          return;
        }
        in.tape.backward(outs, dys);
        in.gradients.forEach(
            (input, grad) ->
                compare("grad_" + input, t, Tensors.toDoubles(grad), gradTolerance(t)));
      }
    }

    private Tensor upstream(String output, Tensor y, Workspace ws) {
      Tensor dy = ws.alloc(y.dtype(), y.shape());
      String gout = "g" + output;
      if (has(gout)) {
        Tensors.fill(dy, values(gout));
      } else {
        Fill.constant(dy, 1f);
      }
      return dy;
    }

    private double outputTolerance(DType t) {
      return factor * Math.max(Tolerances.output(t), types().size() == 1 ? suggested : 0);
    }

    private double gradTolerance(DType t) {
      return factor * Math.max(Tolerances.gradient(t), types().size() == 1 ? suggested : 0);
    }

    private void compare(String tensor, DType t, double[] got, double tolerance) {
      double[] want = values(tensor);
      assertThat(got).as("%s %s %s", name, t, tensor).hasSameSizeAs(want);
      double scale = 0;
      double worst = 0;
      int at = 0;
      for (int i = 0; i < want.length; i++) {
        assertThat(got[i]).as("%s %s %s[%d]", name, t, tensor, i).isFinite();
        scale = Math.max(scale, Math.abs(want[i]));
        if (Math.abs(got[i] - want[i]) > worst) {
          worst = Math.abs(got[i] - want[i]);
          at = i;
        }
      }
      assertThat(worst)
          .as(
              "%s %s: %s differs most at %d of %d (got %s, want %s)",
              name,
              t,
              tensor,
              at,
              want.length,
              want.length == 0 ? 0 : got[at],
              want.length == 0 ? 0 : want[at])
          .isLessThanOrEqualTo(tolerance * Math.max(scale, 1e-30));
    }

    @Override
    public String toString() {
      return name;
    }
  }

  /** The inputs of a case on a tape. */
  public static final class Inputs implements AutoCloseable {
    private final Case golden;
    private final Device device;
    private final List<Memory> memories = new ArrayList<>();
    private final Tape tape;
    private final Map<String, Var> vars = new LinkedHashMap<>();
    private final Map<String, Tensor> gradients = new LinkedHashMap<>();

    private Inputs(Case golden, DType t, Workspace ws) {
      this.golden = golden;
      this.device = ws.device();
      this.tape = new Tape(ws);
      golden.tensors.forEach(
          (name, r) -> {
            if (r.role.equals("input")) {
              vars.put(name, variable(name, t, r));
            }
          });
    }

    private Var variable(String name, DType t, Reference r) {
      Tensor value = place(t, r.shape);
      Tensors.fill(value, r.values);
      if (!golden.has("grad_" + name)) {
        return tape.constant(value);
      }
      boolean weight = golden.weights.contains(name);
      Tensor grad = place(weight ? DType.F32 : t, r.shape);
      gradients.put(name, grad);
      if (weight) {
        Fill.zero(grad);
        return tape.param(new Parameter(name, value, grad, new Group("all", 1, 0, false)));
      }
      Tensors.poison(grad);
      return tape.leaf(value, new Grad(grad, false));
    }

    private Tensor place(DType t, Shape shape) {
      Memory memory = device.allocate(Math.max(1, t.bytes(shape.elements())));
      memories.add(memory);
      return Tensor.of(memory, 0, t, shape);
    }

    public Tape tape() {
      return tape;
    }

    public Var get(String name) {
      Var v = vars.get(name);
      if (v == null) {
        throw new IllegalArgumentException(
            golden + " has inputs " + vars.keySet() + ", not " + name);
      }
      golden.read.add(name);
      return v;
    }

    @Override
    public void close() {
      memories.forEach(Memory::close);
    }

    /** A constant input, ids or masks, in its own type. */
    public Tensor constant(String name) {
      Reference r = golden.reference(name);
      Tensor t = place(r.dtype, r.shape);
      Tensors.fill(t, r.values);
      return t;
    }
  }
}
