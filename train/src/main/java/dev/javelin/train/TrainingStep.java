package dev.javelin.train;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Batches;
import dev.javelin.train.event.PhaseEvent;
import dev.javelin.train.event.StepEvent;
import dev.javelin.train.hook.Hooks;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.ranks.Communicator;
import dev.javelin.train.schedule.BatchRamp;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * One optimizer step: A micro-batches forward and backward into the accumulated gradient, each
 * weighted by its share of the step's targets, the sum over all ranks, then one update. Whatever
 * changes between steps is in {@link StepState}, so all steps do the same work at the same
 * addresses. On a GPU a step is one recorded graph; with A > 1 the micro-batch is one, launched A
 * times, and the update another. Hooks stand between graphs, where there are any.
 */
final class TrainingStep implements AutoCloseable {
  private final Objective objective;
  private final BatchSource source;
  private final Communicator ranks;
  private final Tensor gradients;
  private final int parts; // micro-batches of a step, A; fewer where there is a ramp
  private final @Nullable BatchRamp ramp;
  private final Workspace workspace;
  private final StepState state;
  private final Batches batches;
  private final List<StepGraph> microSteps = new ArrayList<>(); // all of a step where that is one
  private final Hooks hooks;
  private final StepGraph update; // where there are hooks, what comes before their decision
  private final StepGraph rule; // and what comes after it
  private final List<Runnable> works = new ArrayList<>();
  private final @Nullable CurvaturePass curvature;
  private final Runnable applyUpdate;
  private final Runnable measure;
  private final Runnable apply;
  private boolean begun; // a step that has not come to its end
  private boolean updating; // and had begun to move the weights

  /**
   * @param recorded whether a GPU is to record its steps, or be given them kernel by kernel
   */
  TrainingStep(Training t, Optimizer optimizer, GradientClip clip, Hooks hooks, boolean recorded) {
    CurvaturePass.check(t.objective, optimizer);
    Device device = t.parameters.weights().device();
    this.objective = t.objective;
    this.source = t.source;
    this.ranks = t.ranks;
    this.gradients = t.parameters.gradients();
    this.parts = t.parts;
    this.ramp = t.ramp;
    this.workspace = Workspace.on(device);
    this.state = StepState.on(device);
    state.restore(new StepState.Carried(clip.scaling().initialScale(), 0, 0, 0));
    this.batches = Batches.on(device, source, t.rows);
    this.hooks = hooks;
    this.update = new StepGraph("update", workspace, recorded);
    this.rule = new StepGraph("rule", workspace, recorded);
    List<Tensor> numbers = new ArrayList<>(); // that the update makes of itself
    for (FlatState kept : optimizer.state()) {
      if (kept.buffer().dtype() == DType.F32) {
        numbers.add(kept.buffer());
      }
    }
    this.measure =
        () -> {
          GlobalNorm.watch(state, numbers);
          clip.run(state, gradients);
        };
    this.apply = () -> optimizer.step(state);
    this.applyUpdate =
        () -> {
          updating = true;
          ranks.allReduce(gradients);
          measure.run();
          apply.run();
        };
    for (Batch batch : batches.all()) {
      Runnable forwardBackward =
          () -> {
            Tape tape = new Tape(workspace);
            tape.backward(objective.loss(tape, batch, state), state.lossScaleTensor());
          };
      works.add(
          parts > 1 || !hooks.all().isEmpty()
              ? forwardBackward
              : () -> {
                forwardBackward.run();
                applyUpdate.run();
              });
      microSteps.add(new StepGraph("micro-step", workspace, recorded));
    }
    this.curvature = CurvaturePass.of(t, optimizer, batches.all(), state, workspace, recorded);
  }

  StepState state() {
    return state;
  }

  Workspace workspace() {
    return workspace;
  }

  /** Micro-batches of a step, on each rank. */
  int parts(long step) {
    return ramp == null ? parts : ramp.at(step, parts);
  }

  /** Rows that a step reads, over all micro-batches and ranks. */
  int rows(long step) {
    return parts(step) * ranks.world() * batches.rows();
  }

  /** How much of a step's rows, over all micro-batches and ranks, only fills them up. */
  long padding(long place, int rows) {
    long padding = 0;
    for (int at = 0; at < rows; at += batches.rows()) {
      padding += source.padding(place + at, batches.rows());
    }
    return padding;
  }

  /** Whether weights and optimizer are those of a whole number of steps. */
  boolean isWhole() {
    return !updating;
  }

  /**
   * Does a step.
   *
   * @param place of its first row: micro-batch a of rank r reads B places from {@code place + (a ·
   *     world + r) · B} on
   * @return its targets, over all ranks
   */
  long run(long seed, long step, long place, double learningRate) {
    if (updating) {
      throw new IllegalStateException(
          "the last update was cut short, so the weights are inconsistent: load a checkpoint");
    }
    if (begun) {
      Fill.zero(gradients); // what a step that broke off has left
    }
    begun = true;
    int rows = rows(step);
    long targets = source.targets(place, rows);
    float weight = targets == 0 ? 0 : 1f / targets;
    state.begin(seed, (int) step, (float) learningRate, weight);
    if (curvature != null && curvature.isDue(step)) {
      estimate(step, place, curvature);
      state.begin(seed, (int) step, (float) learningRate, weight); // without what that has added
    }
    hooks.begin(step, place, rows);
    StepEvent event = StepEvent.begun();
    for (int micro = 0; micro < parts(step); micro++) {
      int inStep = (micro * ranks.world() + ranks.rank()) * batches.rows();
      state.firstSequence(inStep);
      int width = load(place + inStep);
      // What is prepared may lie where other threads prepare for passes of their own.
      try (Turn _ = workspace.device().turn()) {
        objective.prepare(batches.all().get(width));
        PhaseEvent phase = PhaseEvent.begun();
        microSteps.get(width).run(works.get(width));
        phase.done("micro-batch");
        hooks.accumulated(micro, state);
      }
    }
    PhaseEvent phase = PhaseEvent.begun();
    if (!hooks.all().isEmpty()) {
      updateWithHooks();
      phase.done("update");
    } else if (parts > 1) {
      update.run(applyUpdate);
      phase.done("update");
    }
    updating = false;
    begun = false;
    double loss = workspace.device() instanceof Cpu ? state.loss() : Double.NaN;
    event.done(step + 1, targets, learningRate, loss);
    return targets;
  }

  /** Seconds of a pass of the widest batch, where updates are apart, and of the update after it. */
  double[] time() {
    state.begin(0, 0, 0, 1f / batches.rows());
    long start = System.nanoTime();
    try (Turn _ = workspace.device().turn()) {
      objective.prepare(batches.all().getLast());
      microSteps.getLast().run(works.getLast());
      workspace.device().synchronize();
    }
    long middle = System.nanoTime();
    update.run(applyUpdate);
    workspace.device().synchronize();
    updating = false;
    return new double[] {(middle - start) * 1e-9, (System.nanoTime() - middle) * 1e-9};
  }

  /**
   * Does once all that steps may do, for a device that only counts its memory.
   *
   * @return what was alive at the peak, by owner
   */
  SequencedMap<String, Long> rehearse() {
    List<SequencedMap<String, Long>> peaks = new ArrayList<>();
    for (int width = 0; width < works.size(); width++) {
      try (Turn _ = workspace.device().turn()) {
        objective.prepare(batches.all().get(width));
        microSteps.get(width).run(works.get(width));
      }
      peaks.add(workspace.atPeak());
    }
    if (parts > 1 || !hooks.all().isEmpty()) {
      update.run(applyUpdate);
      peaks.add(workspace.atPeak());
    }
    updating = false;
    return Collections.max(
        peaks, Comparator.comparingLong(p -> p.values().stream().mapToLong(b -> b).sum()));
  }

  private void estimate(long step, long place, CurvaturePass pass) {
    PhaseEvent phase = PhaseEvent.begun();
    for (int micro = 0; micro < parts(step); micro++) {
      int inStep = (micro * ranks.world() + ranks.rank()) * batches.rows();
      state.firstSequence(inStep);
      int width = load(place + inStep);
      try (Turn _ = workspace.device().turn()) {
        objective.prepare(batches.all().get(width));
        pass.pass(width);
      }
    }
    pass.take();
    phase.done("curvature");
  }

  private int load(long place) {
    PhaseEvent phase = PhaseEvent.begun();
    int width = batches.load(place);
    phase.done("data");
    return width;
  }

  private void updateWithHooks() {
    try (Turn _ = workspace.device().turn()) {
      ranks.allReduce(gradients);
      hooks.gradient(state);
      updating = true;
      update.run(measure);
      hooks.decided(state);
      rule.run(apply);
      hooks.updated(state);
    }
  }

  @Override
  public void close() {
    state.close();
    batches.close();
    microSteps.forEach(StepGraph::close);
    update.close();
    rule.close();
    if (curvature != null) {
      curvature.close();
    }
    workspace.close();
  }
}
