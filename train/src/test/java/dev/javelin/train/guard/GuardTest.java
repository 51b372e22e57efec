package dev.javelin.train.guard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.hook.After;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The guard, step by step, without a training. */
class GuardTest {
  private static final int WARMUP = 10;

  private final Cpu cpu = Cpu.open(1);
  private final StepState state = StepState.on(cpu);
  @TempDir Path dir;
  private final Random random = new Random(5);
  private final List<RunEvent> events = new ArrayList<>();
  private ParameterBuffer<Transformer> parameters;
  private AdamW adam;
  private long step;

  @BeforeEach
  void open() {
    parameters =
        Transformer.allocate(
            cpu, Llama.config(31, 5, 2, 2, 16, 24, 8), Precision.FP32, Grouping.decayMatrices(0));
    adam = new AdamW(parameters, new AdamWConfig(0.9f, 0.95f, 1e-8f));
  }

  @AfterEach
  void close() {
    adam.close();
    state.close();
    parameters.close();
    cpu.close();
  }

  private static GuardConfig config(String policies) {
    return new GuardConfig(Policy.parse(policies), 40, 6, 0.02, WARMUP, 4, 0.1, 0.01, 10, 2);
  }

  private Guard guard(String policies) {
    return new Guard(config(policies), parameters, adam);
  }

  /** A step with that loss and norm; what the guard wants behind it. */
  private After step(Guard guard, double loss, double norm) {
    state.begin(1, (int) step, 1e-3f, 1);
    guard.begin(step, 4 * step, 4);
    Fill.constant(parameters.gradients(), 1);
    guard.gradient(state);
    state.addLoss(loss);
    state.decide(norm, Float.POSITIVE_INFINITY, LossScaling.NONE);
    guard.decided(state);
    guard.updated(state);
    step++;
    guard.events(events::add);
    return guard.after(step);
  }

  private After healthy(Guard guard, int steps) {
    After last = After.GO_ON;
    for (int i = 0; i < steps; i++) {
      last = step(guard, 2.5 + 0.05 * random.nextGaussian(), 1 + 0.1 * random.nextGaussian());
    }
    return last;
  }

  private List<String> kinds() {
    return events.stream().map(RunEvent::kind).toList();
  }

  private float gradient(String name) {
    return Objects.requireNonNull(parameters.get(name).grad()).toFloats()[0];
  }

  @Test
  void policiesComeInOrderWhileAnEpisodeLastsAndBeginAnewAfterCalm() {
    Guard guard = guard("log,skip:2,rollback");
    healthy(guard, 30);
    assertThat(events).isEmpty();
    assertThat(step(guard, 9, 1)).isEqualTo(After.GO_ON);
    assertThat(state.isLeftOut()).as("log applies the step").isFalse();
    step(guard, 9, 1);
    assertThat(state.isLeftOut()).isTrue();
    healthy(guard, 2);
    step(guard, 2.5, 50); // the norm alone
    assertThat(state.isLeftOut()).isTrue();
    assertThat(step(guard, 9, 1)).isEqualTo(new After.RollBack("spike since step 31", 30));
    assertThat(kinds()).containsExactly("spike", "spike", "skip", "spike", "skip", "spike");
    healthy(guard, 4);
    events.clear();
    step(guard, 9, 1);
    assertThat(kinds()).containsExactly("spike");
    assertThat(events.getFirst().text()).contains("loss 9.0000", "log");
  }

  @Test
  void flightRecorderHasEverySpikeWithWhatIsDone() throws IOException {
    Path file = dir.resolve("run.jfr");
    try (Recording recording = new Recording()) {
      recording.enable("javelin.Spike");
      recording.start();
      Guard guard = guard("log,skip");
      healthy(guard, 30);
      step(guard, 9, 1);
      step(guard, 2.5, 50);
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> spikes =
        RecordingFile.readAllEvents(file).stream()
            .filter(e -> e.getEventType().getName().equals("javelin.Spike"))
            .toList();
    assertThat(spikes).extracting(e -> e.getLong("step")).containsExactly(31L, 32L);
    assertThat(spikes).extracting(e -> e.getString("what")).containsExactly("loss", "grad_norm");
    assertThat(spikes).extracting(e -> e.getDouble("value")).containsExactly(9.0, 50.0);
    assertThat(spikes).allMatch(e -> e.getDouble("score") >= 6);
    assertThat(spikes).extracting(e -> e.getString("action")).containsExactly("log", "skip");
  }

  @Test
  void itOnlyLearnsWhileItWarmsUpAndFallsAreNoSpikes() {
    Guard guard = guard("skip");
    healthy(guard, WARMUP - 2);
    step(guard, 9, 1);
    assertThat(events).isEmpty();
    healthy(guard, 30);
    step(guard, 0.1, 0.01);
    assertThat(events).isEmpty();
    step(guard, 9, 1);
    assertThat(kinds()).containsExactly("spike", "skip");
  }

  @Test
  void spikesAreNotLearnedButALevelThatStaysIs() {
    Guard guard = guard("skip");
    healthy(guard, 40);
    for (int i = 0; i < 40; i++) {
      step(guard, 9, 1);
      assertThat(state.isLeftOut()).as("spike %d", i).isTrue();
    }
    step(guard, 9, 1);
    assertThat(state.isLeftOut()).isFalse();
    assertThat(events.getLast().text()).contains("learns this level");
    events.clear();
    for (int i = 0; i < 30; i++) {
      step(guard, 9 + 0.1 * random.nextGaussian(), 1);
    }
    assertThat(events).isEmpty();
    step(guard, 15, 1);
    assertThat(kinds()).containsExactly("spike", "skip");
  }

  @Test
  void shrinkingTakesEmbeddingAndFirstLayersAndComesBack() {
    Guard guard = guard("shrink");
    healthy(guard, 30);
    assertThat(gradient("tokens")).isEqualTo(1);
    step(guard, 9, 1);
    assertThat(gradient("tokens")).isEqualTo(0.1f);
    List<String> shrunk =
        parameters.named().keySet().stream().filter(name -> gradient(name) == 0.1f).toList();
    assertThat(shrunk).contains("tokens").allMatch(n -> n.matches("tokens|blocks\\.[01]\\..*"));
    assertThat(shrunk)
        .hasSize(
            1
                + (int)
                    parameters.named().keySet().stream()
                        .filter(n -> n.matches("blocks\\.[01]\\..*"))
                        .count());
    float before = 0.1f;
    for (int k = 0; k < 10; k++) {
      healthy(guard, 1);
      assertThat(gradient("tokens")).isCloseTo((float) Math.pow(0.1, 1 - k / 10.0), within(1e-6f));
      assertThat(gradient("tokens")).isGreaterThanOrEqualTo(before);
      before = gradient("tokens");
    }
    healthy(guard, 1);
    assertThat(gradient("tokens")).isEqualTo(1);
  }

  @Test
  void epsilonIsLoweredAndComesBack() {
    Guard guard = guard("epsilon");
    healthy(guard, 30);
    assertThat(adam.epsilonScale().value()).isEqualTo(1);
    step(guard, 9, 1);
    List<Float> factors = new ArrayList<>(List.of(adam.epsilonScale().value()));
    for (int i = 0; i < 12; i++) {
      healthy(guard, 1);
      factors.add(adam.epsilonScale().value());
    }
    assertThat(factors).startsWith(0.01f).isSorted().endsWith(1f);
    assertThat(factors.get(6)).isCloseTo(0.1f, within(1e-6f)); // half way back: the step after 5
  }

  @Test
  void aRuleWithoutEpsilonIsRefused() {
    Optimizer other =
        new Optimizer() {
          @Override
          public void step(StepState s) {}

          @Override
          public List<FlatState> state() {
            return List.of();
          }
        };
    assertThatThrownBy(() -> new Guard(config("log,epsilon"), parameters, other))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("--guard epsilon");
  }

  @Test
  void behindARollBackSpikesAreLeftOutAndWhereThatDoesNotHelpItGivesUp() {
    Guard guard = guard("log,rollback");
    healthy(guard, 30);
    step(guard, 9, 1);
    for (int i = 0; i < 2; i++) {
      assertThat(step(guard, 9, 1)).isEqualTo(new After.RollBack("spike since step 31", 30));
      guard.read(Path.of("checkpoint"));
      step = 20; // as the run does
      for (int k = 0; k < 4; k++) {
        assertThat(step(guard, 9, 1)).isEqualTo(After.GO_ON);
        assertThat(state.isLeftOut()).isTrue();
      }
    }
    assertThat(step(guard, 9, 1)).isInstanceOf(After.GiveUp.class);
  }

  @Test
  void whereNothingCanBeGoneBackToSpikesAreLeftOutAndNotCounted() {
    Guard guard = guard("rollback");
    healthy(guard, 30);
    for (int i = 0; i < 10; i++) {
      assertThat(step(guard, 9, 1)).isEqualTo(new After.RollBack("spike since step 31", 30));
      assertThat(state.isLeftOut()).isTrue();
    }
  }

  @Test
  void aStepThatIsNotFiniteIsASpikeButALossScaleToBeLoweredIsNone() {
    Guard guard = guard("log,rollback");
    step(guard, Double.NaN, 1);
    assertThat(kinds()).containsExactly("spike");
    assertThat(step(guard, 2.5, Double.POSITIVE_INFINITY)).isInstanceOf(After.RollBack.class);
    events.clear();
    state.restore(new StepState.Carried(1024, 0, 0, 0));
    guard.begin(step, 0, 4);
    state.begin(1, (int) step, 1e-3f, 1);
    state.decide(Double.POSITIVE_INFINITY, 1, LossScaling.DYNAMIC);
    guard.decided(state);
    guard.events(events::add);
    assertThat(events).isEmpty();
    assertThat(guard.after(step)).isEqualTo(After.GO_ON);
  }

  @Test
  void savedInTheMiddleOfAnEpisodeItGoesOnAsIfNothingHadBeen() {
    Guard one = guard("log,shrink,epsilon,skip:3,rollback");
    healthy(one, 60);
    step(one, 9, 1);
    step(one, 9, 1);
    step(one, 9, 1);
    Guard other = guard("log,shrink,epsilon,skip:3,rollback");
    other.restore(one.save());
    long at = step;
    for (int i = 0; i < 30; i++) {
      double loss = i % 7 == 3 ? 9 : 2.5 + 0.05 * random.nextGaussian();
      step = at + i;
      events.clear();
      After first = step(one, loss, 1);
      List<RunEvent> said = List.copyOf(events);
      float alpha = gradient("tokens");
      step = at + i;
      events.clear();
      assertThat(step(other, loss, 1)).isEqualTo(first);
      assertThat(events).isEqualTo(said);
      assertThat(gradient("tokens")).isEqualTo(alpha);
    }
    assertThat(other.save()).usingRecursiveComparison().isEqualTo(one.save());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "log,", "log,,skip", "Skip", "skip:0", "skip:x", "skip:", "log,log", "none"})
  void policiesThatAreNoneAreRefused(String text) {
    assertThatThrownBy(() -> Policy.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("must ")
        .hasMessageContaining(text);
  }

  @Test
  void faultsAreReadAsTheyAreWritten() {
    assertThat(
            Fault.parse(
                "spike@200,spike@9:3, nan-forward@50,nan-gradient@60:2,nan-moment@70,overflow@80,slow-disk@100:2s,slow-disk@7:30ms,kill@120"))
        .containsExactly(
            new Fault(Fault.Kind.SPIKE, 200, 20, Duration.ZERO),
            new Fault(Fault.Kind.SPIKE, 9, 3, Duration.ZERO),
            new Fault(Fault.Kind.NAN_FORWARD, 50, 1, Duration.ZERO),
            new Fault(Fault.Kind.NAN_GRADIENT, 60, 2, Duration.ZERO),
            new Fault(Fault.Kind.NAN_MOMENT, 70, 1, Duration.ZERO),
            new Fault(Fault.Kind.OVERFLOW, 80, 1, Duration.ZERO),
            new Fault(Fault.Kind.SLOW_DISK, 100, 1, Duration.ofSeconds(2)),
            new Fault(Fault.Kind.SLOW_DISK, 7, 1, Duration.ofMillis(30)),
            new Fault(Fault.Kind.KILL, 120, 1, Duration.ZERO));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "spike",
        "spike@",
        "spike@0",
        "@5",
        "nan@5",
        "slow-disk@5",
        "slow-disk@5:2",
        "kill@5:2",
        "spike@5:0",
        "spike:5@3",
        "spike@99999999999"
      })
  void faultsThatAreNoneAreRefused(String text) {
    assertThatThrownBy(() -> Fault.parse(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("must be some of spike@STEP");
  }
}
