package dev.javelin.train;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.optim.ParameterGroup;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** {@code --group}: what its values do, and what it refuses. */
class ParameterGroupsTest {
  private static final float RATE = 0.01f;

  @TempDir Path dir;

  private static RunSettings settings(String... groups) {
    return TinyModels.settings(3)
        .withOptimizer(
            o ->
                o.withOptimizer("sgd")
                    .withMomentum(0f)
                    .withWeightDecay(0.5f)
                    .withGroup(List.of(groups)));
  }

  private static LanguageModel model(Cpu cpu, Precision precision, RunSettings settings) {
    return LanguageModel.create(
        cpu, TinyModels.llama(), precision, settings.optimizer().groups(), 1, null);
  }

  /** By how much a step of gradients of 1 moves the first weight of each parameter. */
  private static Map<String, Float> moved(RunSettings settings) {
    Map<String, Float> moved = new LinkedHashMap<>();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.FP32, settings);
        Optimizer optimizer = settings.optimizer().create(model.parameters());
        StepState state = StepState.on(cpu)) {
      Map<Parameter, Float> before = new LinkedHashMap<>();
      for (Parameter p : model.parameters().named().values()) {
        before.put(p, first(p.value()));
      }
      float[] ones = new float[(int) model.parameters().gradients().elements()];
      Arrays.fill(ones, 1);
      model.parameters().gradients().fromHost(MemorySegment.ofArray(ones));
      state.begin(0, 0, RATE, 1);
      GradientClip.byNorm(Float.POSITIVE_INFINITY, LossScaling.NONE)
          .run(state, model.parameters().gradients());
      optimizer.step(state);
      before.forEach((p, was) -> moved.put(p.name(), first(p.value()) - was));
      assertThat(model.parameters().gradients().toHost().toArray(JAVA_FLOAT)).containsOnly(0);
    }
    return moved;
  }

  private static float first(Tensor t) {
    return t.segment().get(JAVA_FLOAT, 0);
  }

  @Test
  void rateDecayAndFreezeAreThoseOfTheLastGroupThatSaysSo() {
    Map<String, Float> plain = moved(settings());
    Map<String, Float> grouped =
        moved(
            settings(
                "embed*: lr=0.1, decay=0",
                "*norm*: lr = 4",
                "model.norm.weight: lr=2",
                "layers.0.*: freeze",
                "layers.0.mlp.down_proj.weight: lr=3"));
    plain.forEach(
        (name, was) -> {
          float is = Objects.requireNonNull(grouped.get(name));
          if (name.equals("tokens")) {
            assertThat(is).as(name).isCloseTo(-0.1f * RATE, offset());
          } else if (name.startsWith("blocks.0.") && !name.contains("down")) {
            assertThat(is).as(name).isZero();
          } else if (name.startsWith("blocks.0.")) {
            assertThat(is).as(name).isCloseTo(3 * was, offset());
          } else if (name.equals("norm.weight")) {
            assertThat(is).as(name).isCloseTo(2 * was, offset());
          } else if (name.contains("orm")) {
            assertThat(is).as(name).isCloseTo(4 * was, offset());
          } else {
            assertThat(is).as(name).isCloseTo(was, offset());
          }
        });
  }

  private static org.assertj.core.data.Offset<Float> offset() {
    return org.assertj.core.data.Offset.offset(1e-6f);
  }

  @Test
  void eachGroupHasItsRuleAndTheFileItsStates() {
    RunSettings settings =
        settings(
            "*norm*: optimizer=adam", "embed*: optimizer=lion", "*down_proj*: optimizer=adamw");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.BF16, settings);
        Optimizer optimizer = settings.optimizer().create(model.parameters())) {
      assertThat(optimizer.rules()).hasSize(4);
      new OptimizerFile(model.parameters(), optimizer).save(dir);
      try (Safetensors saved = Safetensors.open(dir.resolve(OptimizerFile.NAME))) {
        assertThat(saved.entries().keySet())
            .filteredOn(name -> !name.startsWith("master."))
            .containsExactlyInAnyOrder(
                "exp_avg.model.norm.weight",
                "exp_avg_sq.model.norm.weight",
                "exp_avg.model.layers.0.input_layernorm.weight",
                "exp_avg_sq.model.layers.0.input_layernorm.weight",
                "exp_avg.model.layers.0.post_attention_layernorm.weight",
                "exp_avg_sq.model.layers.0.post_attention_layernorm.weight",
                "exp_avg.model.layers.1.input_layernorm.weight",
                "exp_avg_sq.model.layers.1.input_layernorm.weight",
                "exp_avg.model.layers.1.post_attention_layernorm.weight",
                "exp_avg_sq.model.layers.1.post_attention_layernorm.weight",
                "exp_avg.model.embed_tokens.weight",
                "exp_avg.model.layers.0.mlp.down_proj.weight",
                "exp_avg_sq.model.layers.0.mlp.down_proj.weight",
                "exp_avg.model.layers.1.mlp.down_proj.weight",
                "exp_avg_sq.model.layers.1.mlp.down_proj.weight");
      }
      new OptimizerFile(model.parameters(), optimizer).load(dir);
    }
  }

  /** Where another group is meant, what the rules share is taken over and the rest begins anew. */
  @Test
  void statesOfOtherGroupsAreTakenOverByName() {
    RunSettings before = settings("*norm*: optimizer=adam", "embed*: optimizer=lion");
    RunSettings after = settings("*norm*: optimizer=adam", "*down_proj*: optimizer=lion");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel one = model(cpu, Precision.FP32, before);
        Optimizer saved = before.optimizer().create(one.parameters());
        LanguageModel other = model(cpu, Precision.FP32, after);
        Optimizer read = after.optimizer().create(other.parameters())) {
      saved
          .state()
          .forEach(s -> s.parts().forEach((p, t) -> Fill.constant(t, p.name().hashCode() % 100)));
      new OptimizerFile(one.parameters(), saved).save(dir);
      assertThat(new OptimizerFile(other.parameters(), read).adopt(dir)).containsExactly("exp_avg");
      read.state()
          .forEach(
              s ->
                  s.parts()
                      .forEach(
                          (p, t) -> {
                            boolean anew = p.name().contains("down");
                            assertThat(t.toFloats())
                                .as(s.name() + " " + p.name())
                                .containsOnly(anew ? 0 : p.name().hashCode() % 100);
                          }));
    }
  }

  /** The same rule for all in two halves, which are apart in the flat buffers, changes no bit. */
  @Test
  void aRuleInPartsIsTheRule() throws IOException {
    RunSettings whole = settings().withOptimizer(o -> o.withOptimizer("adamw"));
    RunSettings parts =
        settings("layers.0.*: lr=1", "*norm*: decay=0")
            .withOptimizer(o -> o.withOptimizer("adamw"));
    assertThat(trained(parts)).isEqualTo(trained(whole));
  }

  private byte[] trained(RunSettings settings) throws IOException {
    Path to = Files.createTempDirectory(dir, "model");
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, Precision.BF16, settings);
        Trainer trainer = TextTraining.of(model, TinyModels.data(2000), settings).trainer()) {
      trainer.run();
      model.save(to);
    }
    try (Safetensors saved = Safetensors.open(to.resolve("model.safetensors"))) {
      byte[] all = new byte[0];
      for (Safetensors.Entry entry : saved.entries().values()) {
        byte[] more = entry.data().toArray(JAVA_BYTE);
        int at = all.length;
        all = Arrays.copyOf(all, at + more.length);
        System.arraycopy(more, 0, all, at, more.length);
      }
      return all;
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "embde*: freeze | --group embde* matches no parameter; names are such as model.embed_tokens.weight",
        "*q_proj*: lr=2 | without model.layers.0.self_attn.k_proj.weight and model.layers.0.self_attn.v_proj.weight",
      })
  void aPatternOfNothingOrOfHalfAParameterIsRefused(String group, String message) {
    try (Cpu cpu = Cpu.open(1)) {
      assertThatThrownBy(() -> model(cpu, Precision.FP32, settings(group)))
          .isInstanceOf(InputException.class)
          .hasMessageContaining(message);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "embed* | --group must be PATTERN: lr=F, decay=W, optimizer=NAME or freeze, got embed*",
        ": freeze | --group must be PATTERN",
        "embed*: speed=2 | --group must be PATTERN",
        "embed*: lr | --group must be PATTERN",
        "embed*: lr=-1 | lr and decay must be 0 or more",
        "embed*: decay=NaN | lr and decay must be 0 or more",
        "embed*: optimizer=sdg | optimizer must be one of adafactor, adagrad",
        "embed*: freeze, lr=2 | what is frozen has no other values",
      })
  void whatIsNoGroupIsRefused(String group, String message) {
    assertThatThrownBy(() -> settings(group))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
    assertThatThrownBy(() -> ParameterGroup.parse(group)).isInstanceOf(InputException.class);
  }

  @Test
  void aLineSaysWhatEachGroupIsAbout() {
    RunSettings settings =
        settings("embed*: lr=0.1, decay=0", "layers.0.*: freeze", "model.norm.*: optimizer=adam");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, Precision.FP32, settings)) {
      assertThat(settings.optimizer().groups().describe(model.parameters()))
          .containsExactly(
              "group embed*: 1 tensor with 992 parameters: learning rate × 0.1, weight decay 0",
              "group layers.0.*: 6 tensors with 7,744 parameters: frozen",
              "group model.norm.*: 1 tensor with 32 parameters: adam");
    }
  }
}
