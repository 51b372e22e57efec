package dev.javelin.train.settings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.kernels.EpsilonPlacement;
import dev.javelin.kernels.VectorNorm;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Recomputation;
import dev.javelin.tensor.WeightUpdate;
import dev.javelin.train.chat.ChatFormat;
import dev.javelin.train.data.Fold;
import dev.javelin.train.data.InputException;
import dev.javelin.train.schedule.BatchRamp;
import dev.javelin.train.schedule.Decay;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RunSettingsTest {
  private static final RunSettings DEFAULT = RunSettings.DEFAULT;

  /** A value for each type, other than every default. */
  private static final Map<Class<?>, Object> OTHER =
      Map.ofEntries(
          Map.entry(int.class, 7),
          Map.entry(Integer.class, 7),
          Map.entry(long.class, 7L),
          Map.entry(Long.class, 7L),
          Map.entry(float.class, 0.25f),
          Map.entry(Float.class, 0.25f),
          Map.entry(double.class, 0.25),
          Map.entry(Double.class, 1e-5),
          Map.entry(String.class, "cpu"),
          Map.entry(Path.class, Path.of("p")),
          Map.entry(ByteSize.class, new ByteSize(500_000_000)),
          Map.entry(TimeSpan.class, new TimeSpan(5400)),
          Map.entry(BatchRamp.class, new BatchRamp(1, 1, 7)),
          Map.entry(List.class, List.of(Path.of("p"))),
          Map.entry(Precision.class, Precision.BF16),
          Map.entry(Recomputation.class, new Recomputation.Blocks(3)),
          Map.entry(WeightUpdate.class, WeightUpdate.STOCHASTIC),
          Map.entry(EpsilonPlacement.class, EpsilonPlacement.INSIDE),
          Map.entry(VectorNorm.class, VectorNorm.L1),
          Map.entry(Decay.class, Decay.SQRT),
          Map.entry(Quantize.class, Quantize.NF4),
          Map.entry(Fold.class, new Fold(2, 5)),
          Map.entry(DataSpec.Order.class, DataSpec.Order.SEQUENTIAL),
          Map.entry(ChatFormat.class, ChatFormat.SHAREGPT),
          Map.entry(ScheduleSpec.LrScaling.class, ScheduleSpec.LrScaling.SQRT),
          Map.entry(ScheduleSpec.LrScheduler.class, ScheduleSpec.LrScheduler.WSD));

  @TempDir Path dir;

  private static Object other(Setting setting) {
    Object value =
        setting.isSwitch()
            ? Boolean.FALSE.equals(setting.of(DEFAULT))
            : switch (setting.key()) {
              case "guard" -> "log,skip:5";
              case "group" -> List.of("p: freeze");
              case "inject" -> "kill@3";
              case "xray_at" -> List.of(0, 100);
              default -> OTHER.get(setting.component().getType());
            };
    return Objects.requireNonNull(value, setting.key());
  }

  @Test
  void everySettingHasAWitherThatChangesItAlone() throws ReflectiveOperationException {
    for (RecordComponent spec : RunSettings.class.getRecordComponents()) {
      Record before = (Record) Objects.requireNonNull(Components.value(DEFAULT, spec));
      for (RecordComponent component : spec.getType().getRecordComponents()) {
        String name = component.getName();
        Object value = other(Objects.requireNonNull(Setting.named(Names.snakeOfCamel(name)), name));
        String wither = "with" + Character.toUpperCase(name.charAt(0)) + name.substring(1);
        Method method = spec.getType().getMethod(wither, component.getType());
        assertThat(method.invoke(before, value))
            .as(wither)
            .isEqualTo(Components.with(before, name, value))
            .isNotEqualTo(before);
      }
    }
  }

  @Test
  void yamlBringsEverySettingBack() throws IOException {
    RunSettings other = DEFAULT;
    for (Setting setting : Setting.all()) {
      if (!List.of("val_data", "fold").contains(setting.key())) { // they exclude val_fraction
        other = other.with(Map.of(setting.key(), other(setting)));
      }
    }
    Path file = Files.writeString(dir.resolve("a.yaml"), other.toYaml());
    assertThat(DEFAULT.with(file)).isEqualTo(other);
    assertThat(DEFAULT.changes(other)).hasSize(Setting.all().size() - 2);
    RunSettings fold = DEFAULT.with(Map.of("fold", "2/5"));
    Files.writeString(file, fold.toYaml());
    assertThat(DEFAULT.with(file)).isEqualTo(fold);
    assertThat(fold.data().fold()).isEqualTo(new Fold(2, 5));
    Path empty = Files.writeString(dir.resolve("b.yaml"), DEFAULT.toYaml());
    assertThat(other.with(empty)).isNotEqualTo(other);
    assertThat(DEFAULT.with(empty)).isEqualTo(DEFAULT);
  }

  @Test
  void whatIsLeftOpenFollowsTheOthersAndIsNotWrittenDown() {
    RunSettings ten =
        DEFAULT.withSchedule(s -> s.withLearningRate(1e-3)).withRun(r -> r.withMaxSteps(100));
    assertThat(ten.effective().schedule())
        .isEqualTo(
            new ScheduleSpec(
                1e-3,
                1e-4,
                ScheduleSpec.LrScheduler.COSINE,
                5,
                null,
                100,
                20,
                Decay.LINEAR,
                2,
                24,
                ScheduleSpec.LrScaling.NONE,
                256));
    assertThat(ten.effective().data().dataSeed()).isEqualTo(1);
    assertThat(ten.effective().device().threads()).isPositive();
    assertThat(ten.toYaml())
        .doesNotContain(
            "min_learning_rate",
            "warmup_steps",
            "lr_decay_steps",
            "wsd_decay_steps",
            "threads",
            "val_fraction",
            "data_seed");
    RunSettings longer =
        ten.withSchedule(s -> s.withLearningRate(5e-5)).withRun(r -> r.withMaxSteps(400));
    assertThat(longer.schedule().over(400))
        .isEqualTo(new Schedule.Cosine(5e-5, 5e-5 / 10, 20, 400));
    assertThat(longer.effective().effective()).isEqualTo(longer.effective());
  }

  /** Of 103 rows, 8 a step: 12.875 steps an epoch. */
  @ParameterizedTest
  @CsvSource({
    "7, , true, 7",
    "7, 2, true, 7",
    ", 2, false, 26",
    ", 0.5, false, 7",
    ", 1e-3, false, 1",
    ", , true, 39",
    ", , false, 1000",
  })
  void stepsOrEpochsDecideHowLongARunIs(
      @Nullable Integer steps, @Nullable Double epochs, boolean examples, int expected) {
    RunSpec spec = RunSpec.DEFAULT.withMaxSteps(steps).withEpochs(epochs);
    assertThat(spec.steps(103, 8, examples)).isEqualTo(expected);
    assertThat(DEFAULT.withRun(r -> spec).notes()).hasSize(steps != null && epochs != null ? 1 : 0);
  }

  @Test
  void moreStepsThanCanBeCountedAreRefused() {
    RunSpec spec = RunSpec.DEFAULT.withEpochs(1e6);
    assertThatThrownBy(() -> spec.steps(1L << 40, 1, false))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--epochs");
  }

  @Test
  void aWarmUpIsAPartOfTheStepsOrANumber() {
    ScheduleSpec part = ScheduleSpec.DEFAULT.withWarmupRatio(0.03);
    assertThat(part.effective(101).warmupSteps()).isEqualTo(4); // 3.03, rounded up
    assertThat(part.withWarmupSteps(9).effective(101).warmupSteps()).isEqualTo(9);
    assertThat(DEFAULT.with(Map.of("warmup_ratio", 0.1, "warmup_steps", 3)).notes())
        .containsExactly("--warmup-steps 3 decides, not --warmup-ratio 0.1");
    assertThat(part.withWarmupRatio(1.0).over(10).at(4)).isEqualTo(1e-3 * 0.5);
  }

  @Test
  void theSeedOfTheOrderIsThatOfTheRunUnlessItIsGiven() {
    assertThat(DEFAULT.withRun(r -> r.withSeed(5)).effective().data().dataSeed()).isEqualTo(5);
    RunSettings own = DEFAULT.with(Map.of("seed", 5, "data_seed", 6));
    assertThat(own.run().seed()).isEqualTo(5);
    assertThat(own.effective().data().dataSeed()).isEqualTo(6);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "max_steps | many | --max-steps must be a whole number, got many",
        "max_steps | 99999999999 | --max-steps is out of range, got 99999999999",
        "max_steps | 1.0 | --max-steps must be a whole number",
        "batch_size | 0 | --batch-size must be at least 1, got 0",
        "health_every | -1 | --health-every must be 0 or more, got -1",
        "noise_scale | perhaps | --noise-scale must be true or false",
        "trace_step | 0 | --trace-step must be at least 1, got 0",
        "xray_at | 0,-1 | --xray-at must be 0 or more, got -1",
        "xray_at | 1,two | --xray-at must be a whole number, got two",
        "xray_at | 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16 | --xray-at may name 16 steps at most, got 17",
        "learning_rate | NaN | --learning-rate must be 0 or more, got NaN",
        "learning_rate | Infinity | --learning-rate must be 0 or more",
        "min_lr | 1 | --min-learning-rate must lie between 0 and --learning-rate, got 1.0",
        "epochs | 0 | --epochs must be more than 0",
        "epochs | NaN | --epochs must be more than 0",
        "warmup_ratio | 1.1 | --warmup-ratio must lie between 0 and 1, got 1.1",
        "lr_power | 0 | --lr-power must be more than 0",
        "lr_cycle_steps | 0 | --lr-cycle-steps must be at least 1, got 0",
        "lr_base_batch | 0 | --lr-base-batch must be at least 1, got 0",
        "lr_scaling | cubic | --lr-scaling must be one of none, linear, sqrt, got cubic",
        "lr_scheduler | step | --lr-scheduler must be one of cosine, linear, constant,",
        "batch_ramp | 4:8 | --batch-ramp must be three numbers of 1 or more, FROM:INCREMENT:STEPS, got 4:8",
        "batch_ramp | 4:0:8 | --batch-ramp must be three numbers of 1 or more",
        "batch_ramp | 2:1:8 | --batch-ramp begins with more micro-batches than --gradient-accumulation-steps 1, got 2:1:8",
        "max_tokens | 0 | --max-tokens must be at least 1, got 0",
        "max_time | soon | --max-time must be a time such as 90m, 1h30m, 2d or 45s, got soon",
        "max_time | '' | --max-time must be a time",
        "max_time | 0m | --max-time must be at least 1s",
        "target_loss | NaN | --target-loss must be finite, got NaN",
        "early_stopping_patience | 0 | --early-stopping-patience must be at least 1, got 0",
        "early_stopping_min_delta | -1 | --early-stopping-min-delta must be 0 or more",
        "plateau_factor | 1 | --plateau-factor must lie between 0 and 1, got 1.0",
        "plateau_patience | -1 | --plateau-patience must be 0 or more, got -1",
        "plateau_threshold | 1 | --plateau-threshold must lie between 0 and 1",
        "plateau_cooldown | -1 | --plateau-cooldown must be 0 or more, got -1",
        "guard | skip,fly | --guard must be some of log, skip, shrink, epsilon, rollback, each with :STEPS or without, got skip,fly",
        "guard_window | 3 | --guard-window must lie between 4 and 10000, got 3",
        "guard_threshold | 0 | --guard-threshold must be more than 0, and finite, got 0.0",
        "guard_floor | 2 | --guard-floor must lie between 0 and 1, got 2.0",
        "guard_warmup | 0 | --guard-warmup must be at least 1, got 0",
        "guard_calm | 0 | --guard-calm must be at least 1, got 0",
        "guard_shrink | 0 | --guard-shrink must be more than 0, and at most 1, got 0.0",
        "guard_epsilon | 2 | --guard-epsilon must be more than 0, and at most 1, got 2.0",
        "guard_recovery | 0 | --guard-recovery must be at least 1, got 0",
        "guard_rollbacks | 0 | --guard-rollbacks must be at least 1, got 0",
        "max_bad_steps | 0 | --max-bad-steps must be at least 1, got 0",
        "rewarmup_lr | -1 | --rewarmup-learning-rate must be 0 or more, and finite, got -1.0",
        "rewarmup_at | -1 | --rewarmup-at must be 0 or more, got -1",
        "rewarmup_steps | -1 | --rewarmup-steps must be 0 or more, got -1",
        "rewarmup_from | NaN | --rewarmup-from must be 0 or more, and finite, got NaN",
        "weight_decay | Infinity | --weight-decay must be 0 or more, and finite",
        "weight_decay | 1e39 | --weight-decay must be 0 or more, and finite",
        "momentum | 1 | --momentum must lie between 0 and 1",
        "dampening | 2 | --dampening must lie between 0 and 1",
        "rmsprop_alpha | -1 | --rmsprop-alpha must lie between 0 and 1",
        "adagrad_lr_decay | -1 | --adagrad-lr-decay must be 0 or more",
        "adagrad_initial | -1 | --adagrad-initial must be 0 or more",
        "sophia_rho | 0 | --sophia-rho must be more than 0",
        "sophia_interval | 0 | --sophia-interval must be at least 1",
        "group | embed* | --group must be PATTERN",
        "adam_epsilon | 0 | --adam-epsilon must be more than 0",
        "dropout | 1 | --dropout must lie between 0 and 1",
        "attention_dropout | 1 | --attention-dropout must lie between 0 and 1",
        "quantize | int3 | --quantize must be",
        "memory | lots | --memory must be a size such as 500MB or 5GB, got lots",
        "recompute | yes | --recompute must be none, blocks, blocks:K, attention or mlp, got yes",
        "precision | fp8 | --precision must be one of fp32, bf16, fp16, got fp8",
        "order | random | --order must be one of shuffled, sequential, got random",
        "device | tpu | --device must be one of",
        "threads | 1025 | --threads must lie between 1 and 1024, got 1025",
        "max_shard_size | 5XB | --max-shard-size must be a size such as 500MB or 5GB, got 5XB",
        "max_shard_size | 0 | --max-shard-size must be at least 1 byte, got 0",
        "format | chats | --format must be one of text, messages, sharegpt, alpaca, prompt-completion, preference, got chats",
        "template | '' | --template must name a template",
        "skip_bad_rows | some | --skip-bad-rows must be true or false, got some",
        "max_shard_size | 999999999TB | --max-shard-size is out of range",
        "keep_every | -1 | --keep-every must be 0 (none) or more, got -1",
        "save_signal | usr-1 | --save-signal must be a signal such as USR1, or none, got usr-1",
        "max_step | 3 | unknown setting max_step: did you mean max_steps?",
      })
  void whatDoesNotFitIsNamedByItsFlag(String key, String value, String message) {
    assertThatThrownBy(() -> DEFAULT.with(Map.of(key, value)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource({
    "5GB, 5000000000, 5GB",
    "500MB, 500000000, 500MB",
    "500 mb, 500000000, 500MB",
    "1500MB, 1500000000, 1500MB",
    "4GiB, 4294967296, 4294967296B",
    "12k, 12000, 12KB",
    "7, 7, 7B"
  })
  void sizesHaveUnits(String text, long bytes, String shown) {
    RunSettings set = DEFAULT.with(Map.of("max_shard_size", text));
    assertThat(set.run().maxShardSize().bytes()).isEqualTo(bytes);
    assertThat(set.run().maxShardSize()).hasToString(shown);
  }

  @ParameterizedTest
  @CsvSource({
    "90m, 5400, 1h30m",
    "1h30m, 5400, 1h30m",
    "5400, 5400, 1h30m",
    "45s, 45, 45s",
    "2d1s, 172801, 2d1s"
  })
  void timesHaveUnits(String text, long seconds, String shown) {
    RunSettings set = DEFAULT.with(Map.of("max_time", text));
    assertThat(set.stop().maxTime()).hasToString(shown).isEqualTo(new TimeSpan(seconds));
  }

  @Test
  void validationDataAreEitherNamedOrKept() {
    assertThatThrownBy(() -> DEFAULT.with(Map.of("val_data", "v.txt", "val_fraction", 0.1)))
        .hasMessageContaining("--val-data and --val-fraction cannot be combined");
    assertThat(DEFAULT.with(Map.of("val_data", "v.txt")).effective().data().valFraction()).isZero();
    assertThat(DEFAULT.with(Map.of("data", "t.txt")).effective().data().valFraction())
        .isEqualTo(0.1);
  }
}
