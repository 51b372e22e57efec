package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.optim.OptimizerFile;
import dev.javelin.train.optim.Optimizers;
import dev.javelin.train.settings.OptimizerSpec;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OptimizerFileTest {
  @TempDir Path dir;

  /** A rule with a state of its own shape beside one like the weights. */
  private record Keeping(List<FlatState> state) implements Optimizer {
    @Override
    public void step(StepState state) {}
  }

  private static OptimizerFile file(LanguageModel model, Optimizer optimizer) {
    return new OptimizerFile(model.parameters(), optimizer);
  }

  private static float[] values(Tensor t) {
    return t.segment().toArray(ValueLayout.JAVA_FLOAT);
  }

  @Test
  void adamWIsWrittenAsItAlwaysWas() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.BF16);
        Optimizer adamW = new AdamW(model.parameters(), new AdamWConfig(0.9f, 0.95f, 1e-8f))) {
      file(model, adamW).save(dir);
      assertThat(OptimizerFile.bytes(adamW))
          .isEqualTo(2 * 4 * model.parameters().flat().elements());
      try (Safetensors saved = Safetensors.open(dir.resolve("optimizer.safetensors"))) {
        assertThat(saved.entries().keySet())
            .contains(
                "master.model.embed_tokens.weight",
                "exp_avg.model.layers.0.self_attn.q_proj.weight",
                "exp_avg_sq.model.layers.1.mlp.up_proj.weight");
      }
    }
  }

  @Test
  void statesOfEitherLayoutComeBack() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Keeping written = keeping(model);
        Keeping read = keeping(model)) {
      Tensor own = written.state.get(1).buffer();
      Fill.constant(own, 7);
      Tensor flat = written.state.get(0).buffer();
      model.parameters().named().values().forEach(p -> fill(model, flat, p));
      file(model, written).save(dir);
      file(model, read).load(dir);
      assertThat(values(read.state.get(0).buffer())).isEqualTo(values(flat));
      assertThat(values(read.state.get(1).buffer())).isEqualTo(values(own));
    }
  }

  private static void fill(LanguageModel model, Tensor flat, dev.javelin.tensor.Parameter p) {
    Fill.constant(model.parameters().part(flat, p), p.name().hashCode() % 1000);
  }

  private static Keeping keeping(LanguageModel model) {
    return new Keeping(
        List.of(
            FlatState.likeWeights("momentum", model.parameters()),
            FlatState.own("row_factors", model.parameters(), Shape.of(3, 5))));
  }

  @Test
  void theStateOfAnotherRuleIsRefusedByName() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Optimizer adamW = new AdamW(model.parameters(), new AdamWConfig(0.9f, 0.95f, 1e-8f));
        Keeping other = keeping(model)) {
      file(model, adamW).save(dir);
      assertThatThrownBy(() -> file(model, other).load(dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("holds [exp_avg, exp_avg_sq]")
          .hasMessageContaining("keep [momentum, row_factors]")
          .hasMessageContaining("--optimizer");
    }
  }

  @Test
  void aRuleThatKeepsLessThanTheFileHoldsIsRefusedToo() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Optimizer adamW = new AdamW(model.parameters(), new AdamWConfig(0.9f, 0.95f, 1e-8f));
        Keeping less = new Keeping(List.of(FlatState.likeWeights("exp_avg", model.parameters())));
        Keeping none = new Keeping(List.of())) {
      file(model, adamW).save(dir);
      for (Keeping rule : List.of(less, none)) {
        assertThatThrownBy(() -> file(model, rule).load(dir))
            .isInstanceOf(FileFormatException.class)
            .hasMessageContaining("holds [exp_avg, exp_avg_sq]");
      }
    }
  }

  private static LanguageModel grouped(Cpu cpu, String frozen) {
    Group still = new Group("still", 0, 0, true);
    Group moved = new Group("moved", 1, 0, false);
    return LanguageModel.create(
        cpu,
        TinyModels.llama(),
        Precision.FP32,
        (name, shape) -> name.startsWith(frozen) ? still : moved,
        1,
        null);
  }

  @Test
  void otherTrainedParametersAreRefusedByNameAndBeginAnewWhereMeant() {
    AdamWConfig config = new AdamWConfig(0.9f, 0.95f, 1e-8f);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel all = grouped(cpu, "none");
        LanguageModel some = grouped(cpu, "blocks.0.");
        Optimizer allRule = new AdamW(all.parameters(), config);
        Optimizer someRule = new AdamW(some.parameters(), config)) {
      Fill.constant(allRule.state().getFirst().buffer(), 3);
      Fill.constant(someRule.state().getFirst().buffer(), 3);
      file(all, allRule).save(dir);
      assertThatThrownBy(() -> file(some, someRule).load(dir))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("exp_avg.model.layers.0.")
          .hasMessageContaining("which is not trained now")
          .hasMessageContaining("--override");
      assertThat(file(some, someRule).adopt(dir)).isEmpty();
      file(some, someRule).save(dir);
      assertThatThrownBy(() -> file(all, allRule).load(dir))
          .hasMessageContaining("exp_avg.model.layers.0.")
          .hasMessageContaining("which is trained now");
      Fill.constant(allRule.state().getFirst().buffer(), 0);
      assertThat(file(all, allRule).adopt(dir)).containsExactly("exp_avg", "exp_avg_sq");
      Tensor average = allRule.state().getFirst().buffer();
      all.parameters()
          .named()
          .forEach(
              (name, p) ->
                  assertThat(all.parameters().part(average, p).toFloats())
                      .as(name)
                      .containsOnly(name.startsWith("blocks.0.") ? 0 : 3));
    }
  }

  @Test
  void rulesAndTheirConstantsAreFoundByName() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32)) {
      Optimizers.create("adamw", model.parameters(), Map.of("beta1", 0.5f)).close();
      assertThatThrownBy(
              () -> OptimizerSpec.DEFAULT.withOptimizer("adma").create(model.parameters()))
          .isInstanceOf(InputException.class)
          .hasMessage(
              "--optimizer must be one of %s, got adma"
                  .formatted(String.join(", ", Optimizers.names())));
      assertThatThrownBy(() -> Optimizers.create("adamw", model.parameters(), Map.of("beta1", 1f)))
          .hasMessageContaining("beta1 must lie in [0, 1)");
    }
  }
}
