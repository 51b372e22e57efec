package dev.javelin.train.guard;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.event.SpikeEvent;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.optim.EpsilonScale;
import dev.javelin.train.optim.Optimizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Watches loss and gradient norm of every step, before its update, by their {@link RobustScore}
 * over the last healthy steps, and answers a spike by the first of its policies, the next spikes of
 * the same episode by the following ones. A step that is not finite is a spike too.
 *
 * <pre>
 * warm-up → healthy ⇄ episode: spike 1 → policy 1, spike 2 → policy 2, … until there is calm
 * </pre>
 *
 * Spikes are not learned. Where more than W come in a row the level itself has changed: the guard
 * forgets what it knows and warms up again.
 *
 * <p>It reads the state of every step, for which it waits where the device is a GPU.
 *
 * @see <a href="https://arxiv.org/abs/2204.02311">PaLM, section 5.1: go back some hundred steps,
 *     and skip the batches of the spike</a>
 * @see <a href="https://arxiv.org/abs/2210.02414">GLM-130B: shrinking the gradient of the
 *     embedding</a>
 */
public final class Guard implements StepHook {
  private final GuardConfig config;
  private final RobustScore losses;
  private final RobustScore norms;
  private final ShallowGradients shallow;
  private final @Nullable EpsilonScale epsilon;
  private final Recovery shrinking;
  private final Recovery lowering;
  private final List<RunEvent> events = new ArrayList<>();

  private long step; // the number of the step in progress
  private double lossScore = Double.NaN;
  private double normScore = Double.NaN;
  private boolean goingBack;
  private long spikes; // in all
  private int inEpisode;
  private long episodeStart; // number of its first spike
  private int calmSteps;
  private int inARow;
  private int rollbacks; // since there was calm behind the furthest spike
  private int sinceRollback = -1; // spikes of the episode; -1 where it has gone back to nothing
  private long furthest; // step that went back

  /**
   * @throws IllegalArgumentException where a policy lowers ε, and the rule has none
   */
  public Guard(GuardConfig config, ParameterBuffer<?> parameters, Optimizer optimizer) {
    this.config = config;
    this.losses = new RobustScore(config.window(), config.floor());
    this.norms = new RobustScore(config.window(), config.floor());
    this.shallow = new ShallowGradients(parameters);
    this.epsilon = optimizer instanceof EpsilonScale.Scaled adam ? adam.epsilonScale() : null;
    this.shrinking = new Recovery(config.shrink(), config.recovery());
    this.lowering = new Recovery(config.epsilon(), config.recovery());
    if (epsilon == null
        && config.policies().stream().anyMatch(p -> p.kind() == Policy.Kind.EPSILON)) {
      throw new IllegalArgumentException(
          "--guard epsilon lowers Adam's epsilon, which this optimizer has not: use adamw, or another policy");
    }
  }

  @Override
  public String name() {
    return "guard";
  }

  @Override
  public void begin(long done, long place, int rows) {
    step = done + 1;
    goingBack = false;
    setEpsilon();
  }

  @Override
  public void gradient(StepState state) {
    if (!shrinking.isOver()) {
      shallow.scale(shrinking.factor());
    }
  }

  @Override
  public void decided(StepState state) {
    boolean finite = !state.overflow();
    if (!finite && state.badSteps() == 0) {
      return; // a smaller loss scale will do
    }
    double loss = finite ? state.loss() : Double.NaN;
    double norm = finite ? state.gradNorm() : Double.NaN;
    boolean warm = losses.count() >= Math.min(config.warmup(), config.window());
    lossScore = finite ? losses.of(loss) : Double.POSITIVE_INFINITY;
    normScore = finite ? norms.of(norm) : Double.POSITIVE_INFINITY;
    boolean spike =
        !finite || warm && (lossScore >= config.threshold() || normScore >= config.threshold());
    if (spike) {
      spiked(state, finite, loss, norm);
    } else {
      healthy(loss, norm);
    }
  }

  private void setEpsilon() {
    float factor = (float) lowering.factor();
    if (epsilon != null && factor != epsilon.value()) {
      epsilon.set(factor);
    }
  }

  private void healthy(double loss, double norm) {
    losses.learn(loss);
    norms.learn(norm);
    shrinking.step();
    lowering.step();
    inARow = 0;
    calmSteps++;
    if (calmSteps >= config.calm()) {
      inEpisode = 0;
      sinceRollback = -1;
      rollbacks = step > furthest ? 0 : rollbacks;
    }
  }

  private void spiked(StepState state, boolean finite, double loss, double norm) {
    spikes++;
    inEpisode++;
    inARow++;
    calmSteps = 0;
    episodeStart = inEpisode == 1 ? step : episodeStart;
    String what =
        finite
            ? String.format(
                Locale.ROOT,
                "spike: loss %.4f (z %.1f), gradient norm %.3g (z %.1f)",
                loss,
                lossScore,
                norm,
                normScore)
            : "spike: loss or gradient is not finite";
    if (inARow > config.window()) {
      losses.forget();
      norms.forget();
      inEpisode = 0;
      sinceRollback = -1;
      inARow = 0;
      tell(RunEvent.SPIKE, what + "; too many for a spike: the guard learns this level");
      return;
    }
    Policy.Kind policy = policy();
    tell(RunEvent.SPIKE, what + "; " + policy.label());
    boolean byLoss = lossScore >= normScore;
    SpikeEvent.tell(
        step,
        byLoss ? "loss" : "grad_norm",
        byLoss ? loss : norm,
        Math.max(lossScore, normScore),
        policy.label());
    switch (policy) {
      case LOG -> {}
      case SKIP -> {
        state.skip();
        tell(RunEvent.SKIP, "the step was not applied");
      }
      case SHRINK -> {
        shrinking.drop();
        shallow.scale(config.shrink());
      }
      case EPSILON -> {
        lowering.drop();
        setEpsilon();
      }
      case ROLLBACK -> {
        state.skip();
        goingBack = true;
      }
    }
  }

  /**
   * After a roll-back the weights are good, so what still spikes is left out; unless it does not
   * end.
   */
  private Policy.Kind policy() {
    if (sinceRollback < 0) {
      return config.policy(inEpisode);
    }
    sinceRollback++;
    return sinceRollback <= config.calm() ? Policy.Kind.SKIP : Policy.Kind.ROLLBACK;
  }

  private void tell(String kind, String text) {
    events.add(new RunEvent(step, kind, text));
  }

  @Override
  public void events(Consumer<RunEvent> out) {
    events.forEach(out);
    events.clear();
  }

  @Override
  public After after(long done) {
    if (!goingBack) {
      return After.GO_ON;
    }
    if (rollbacks == config.rollbacks()) {
      return new After.GiveUp(
          "the run has gone back %d times and still spikes: training diverged"
              .formatted(rollbacks));
    }
    furthest = Math.max(furthest, done);
    return new After.RollBack("spike since step " + episodeStart, episodeStart - 1);
  }

  /** The roll-back that was asked for has come. */
  @Override
  public void read(Path directory) {
    if (goingBack) {
      rollbacks++;
      sinceRollback = 0;
      inARow = 0;
      calmSteps = 0;
      shrinking.end();
      lowering.end();
    }
  }

  @Override
  public void measure(ObjDoubleConsumer<String> out) {
    out.accept("spikes", spikes);
    if (Double.isFinite(lossScore)) {
      out.accept("loss_z", lossScore);
    }
    if (Double.isFinite(normScore)) {
      out.accept("grad_norm_z", normScore);
    }
    if (!shrinking.isOver()) {
      out.accept("guard_alpha", shrinking.factor());
    }
    if (!lowering.isOver()) {
      out.accept("guard_epsilon", lowering.factor());
    }
  }

  @Override
  public Map<String, double[]> save() {
    Map<String, double[]> all = new LinkedHashMap<>();
    all.put("losses", losses.save());
    all.put("norms", norms.save());
    all.put(
        "counts",
        new double[] {
          spikes,
          inEpisode,
          episodeStart,
          calmSteps,
          inARow,
          rollbacks,
          furthest,
          shrinking.done(),
          lowering.done(),
          sinceRollback
        });
    return all;
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    losses.restore(saved.getOrDefault("losses", new double[0]));
    norms.restore(saved.getOrDefault("norms", new double[0]));
    double[] counts = saved.getOrDefault("counts", new double[0]);
    if (counts.length < 10) {
      return;
    }
    spikes = (long) counts[0];
    inEpisode = (int) counts[1];
    episodeStart = (long) counts[2];
    calmSteps = (int) counts[3];
    inARow = (int) counts[4];
    rollbacks = (int) counts[5];
    furthest = (long) counts[6];
    shrinking.restore((int) counts[7]);
    lowering.restore((int) counts[8]);
    sinceRollback = (int) counts[9];
  }
}
