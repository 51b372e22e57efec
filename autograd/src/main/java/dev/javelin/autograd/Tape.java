package dev.javelin.autograd;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.OpEvent;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A list of closures: each differentiable function runs its operator forward and records here how
 * to run it backward. What a closure captures is what is saved.
 *
 * <p>A node owns the memory requested since the node before it, and the gradients of its own
 * outputs. Both are dead once its closure has run, and are released then.
 */
public final class Tape {
  private final Workspace workspace;
  private final boolean recording;
  private final List<Node> nodes = new ArrayList<>();
  private final List<Var> leaves = new ArrayList<>();
  private final Map<Parameter, Var> parameters = new IdentityHashMap<>();
  private int mark;
  private @Nullable Node running;
  private String part = ""; // of the model, see part
  private int layer = Probe.NO_LAYER;
  private @Nullable Probe probe;
  private long since; // the end of the function before, in nanoseconds, where there is a probe
  private int told; // functions
  private int shown; // requests of memory, up to here
  private Probe.@Nullable Step latest;

  private record Node(
      String name,
      int from,
      int to,
      List<Var> outputs,
      Consumer<List<Var>> backward,
      Probe.@Nullable Step step) {}

  private Tape(Workspace workspace, boolean recording) {
    this.workspace = workspace;
    this.recording = recording;
    this.mark = workspace.mark();
    if (OpEvent.isOn()) {
      watch(new OpTimes());
    }
  }

  /** A tape that records one step in the workspace. */
  public Tape(Workspace workspace) {
    this(workspace, true);
  }

  /** A tape on which nothing is recorded. */
  public static Tape inference(Workspace workspace) {
    return new Tape(workspace, false);
  }

  public Workspace workspace() {
    return workspace;
  }

  public boolean isRecording() {
    return recording;
  }

  /** A tensor without gradient. */
  public Var constant(Tensor t) {
    return Var.of(this, t, false);
  }

  /** A parameter; the same variable for the same parameter, however often it is asked for. */
  public Var param(Parameter p) {
    Var v = parameters.get(p);
    if (v == null) {
      v = Var.of(this, p);
      parameters.put(p, v);
    }
    return v;
  }

  /** A leaf whose gradient is written to {@code grad}; a constant where that is {@code null}. */
  public Var leaf(Tensor value, @Nullable Grad grad) {
    Var v = Var.leaf(this, value, grad);
    leaves.add(v);
    return v;
  }

  /** What a function reads, for {@link #record}; {@code null} for an input it does without. */
  public static @Nullable Var[] inputs(@Nullable Var... inputs) {
    return inputs;
  }

  /** Whether any of the variables wants a gradient. */
  public static boolean tracks(@Nullable Var... inputs) {
    for (Var v : inputs) {
      if (v != null && v.requiresGrad()) {
        return true;
      }
    }
    return false;
  }

  /** A new contiguous tensor of this step. */
  public Tensor alloc(DType dtype, Shape shape) {
    return workspace.alloc(dtype, shape, Workspace.ACTIVATIONS);
  }

  Tensor allocGradient(DType dtype, Shape shape) {
    return workspace.alloc(
        dtype, shape, running == null ? "the step's backward pass" : running.name());
  }

  /**
   * Records how {@code y}'s gradient becomes its inputs'.
   *
   * @param inputs {@link #inputs}; where none of them wants a gradient, nothing is recorded
   * @param backward given {@code y}'s variable, whose {@link Var#dy} is complete
   */
  public Var record(String name, Tensor y, @Nullable Var[] inputs, Consumer<Var> backward) {
    Var out = recordAhead(name, y, inputs, backward);
    tell();
    return out;
  }

  /**
   * The same for several outputs, of which those that nobody used have no gradient: {@link
   * Var#dyOrNull}.
   */
  public List<Var> record(
      String name, List<Tensor> ys, @Nullable Var[] inputs, Consumer<List<Var>> backward) {
    return record(name, ys, inputs, tracks(inputs), backward);
  }

  /**
   * The same where more than the inputs may want a gradient.
   *
   * @param tracks whether anything does
   */
  List<Var> record(
      String name,
      List<Tensor> ys,
      @Nullable Var[] inputs,
      boolean tracks,
      Consumer<List<Var>> backward) {
    List<Var> outs = new ArrayList<>(ys.size());
    for (Tensor y : ys) {
      outs.add(Var.of(this, y, recording && tracks));
    }
    add(name, inputs, outs, backward);
    tell();
    return outs;
  }

  /** {@link #record} of what has not run yet; {@link #tell} when it has. */
  Var recordAhead(String name, Tensor y, @Nullable Var[] inputs, Consumer<Var> backward) {
    Var out = Var.of(this, y, recording && tracks(inputs));
    add(name, inputs, List.of(out), outs -> backward.accept(outs.get(0)));
    return out;
  }

  private void add(
      String name, @Nullable Var[] inputs, List<Var> outs, Consumer<List<Var>> backward) {
    int to = workspace.mark();
    if (probe != null) {
      latest = new Probe.Step(told++, part, layer, name, Arrays.asList(inputs), outs, shown, to);
      shown = to;
    }
    if (outs.getFirst().requiresGrad()) {
      nodes.add(new Node(name, mark, to, outs, backward, latest));
      mark = to;
    }
  }

  /** Tells a probe of the latest function. */
  void tell() {
    Probe p = probe;
    Probe.Step step = latest;
    if (p != null && step != null) {
      p.forward(step, settled());
      since = System.nanoTime();
    }
  }

  /**
   * Says to which part of a model the functions that follow belong, for probes.
   *
   * @param layer from 0; {@link Probe#NO_LAYER} outside of layers
   */
  public void part(String part, int layer) {
    this.part = part;
    this.layer = layer;
  }

  /**
   * Says what the residual stream is behind a part of a layer, for probes.
   *
   * @param pending what is still to be added to {@code sum}; {@code null} for nothing
   */
  public void stream(String part, int layer, Var sum, @Nullable Var pending) {
    Probe p = probe;
    if (p != null) {
      long before = System.nanoTime();
      settle();
      p.stream(part, layer, sum, pending);
      since += System.nanoTime() - before;
    }
  }

  /** See {@link Probe#on}. */
  void watch(Probe p) {
    Probe first = probe;
    probe = first == null ? p : new Probes(first, p);
    shown = first == null ? workspace.mark() : shown;
    since = System.nanoTime();
  }

  /** Nanoseconds of the function that is over, once the device has done its work. */
  private long settled() {
    settle();
    return System.nanoTime() - since;
  }

  /** Waits for the device; while a step is being recorded there is nothing to wait for. */
  private void settle() {
    Device device = workspace.device();
    if (!(device instanceof Cuda cuda && cuda.isCapturing())) {
      device.synchronize();
    }
  }

  /**
   * Runs all closures in reverse, starting from d(loss)/d(loss) = 1. The value of the loss stays
   * readable until the workspace is reset.
   *
   * @throws IllegalArgumentException where the loss is not a single F32 number
   */
  public void backward(Var loss) {
    Tensor one = workspace.alloc(DType.F32, loss.value().shape(), "the root of backward");
    Fill.constant(one, 1f);
    backward(loss, one);
  }

  /**
   * The same, starting from d(loss)/d(loss) = {@code scale}: one F32 number, such as the loss scale
   * of a step.
   */
  public void backward(Var loss, Tensor scale) {
    Tensor l = loss.value();
    if (l.elements() != 1 || l.dtype() != DType.F32) {
      throw new IllegalArgumentException(
          "backward: the loss must be one F32 number, got " + l.form());
    }
    if (!loss.requiresGrad()) {
      throw new IllegalArgumentException(
          "backward: the loss depends on no parameter that wants a gradient");
    }
    backward(List.of(loss), List.of(scale));
  }

  /**
   * Runs all closures in reverse, starting from the given gradients of some outputs, in one turn on
   * the device. A tape runs backward once.
   */
  public void backward(List<Var> roots, List<Tensor> gradients) {
    try (Turn _ = workspace.device().turn()) {
      runBackward(roots, gradients);
    }
  }

  private void runBackward(List<Var> roots, List<Tensor> gradients) {
    for (int i = 0; i < roots.size(); i++) {
      roots.get(i).seed(gradients.get(i));
    }
    Tensor[] keep = new Tensor[2 * roots.size()];
    for (int i = 0; i < roots.size(); i++) {
      keep[2 * i] = roots.get(i).value();
      keep[2 * i + 1] = gradients.get(i);
    }
    for (int i = nodes.size() - 1; i >= 0; i--) {
      Node n = nodes.get(i);
      running = n;
      List<Var> outputs = n.outputs(); // without iterators, which would be garbage
      boolean used = false;
      for (int k = 0; k < outputs.size(); k++) {
        used |= outputs.get(k).dyOrNull() != null;
      }
      if (used) {
        run(n);
      }
      workspace.releaseExcept(n.from(), n.to(), keep);
      for (int k = 0; k < outputs.size(); k++) {
        outputs.get(k).releaseGradient();
      }
      nodes.remove(i); // lets go of what the closure captured
    }
    running = null;
    leaves.forEach(Var::completeGradient);
  }

  private void run(Node n) {
    Probe p = probe;
    Probe.Step step = n.step();
    if (p == null || step == null) {
      n.backward().accept(n.outputs());
      return;
    }
    p.gradient(step);
    since = System.nanoTime();
    n.backward().accept(n.outputs());
    p.backward(step, settled());
  }

  /** Names of the recorded nodes, in forward order. */
  public List<String> names() {
    return nodes.stream().map(Node::name).toList();
  }
}
