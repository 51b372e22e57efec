package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.Optimizers;
import dev.javelin.train.schedule.LearningRate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;

/**
 * Everything a training run is told, immutable and checked: the same settings open any number of
 * runs, on any thread. One starts from {@link #DEFAULT} and says what is to be otherwise:
 *
 * <pre>{@code
 * RunSettings settings =
 *     RunSettings.DEFAULT
 *         .withModel(m -> m.withModel("llama-shakespeare-cpu"))
 *         .withBatch(b -> b.withBatchSize(12).withSeqLen(64));
 * }</pre>
 *
 * <p>A value that is {@code null} is left open: it follows from the others when the run begins, see
 * {@link #effective}. YAML is the same tree, written flat: {@code batch_size: 12}.
 */
public record RunSettings(
    ModelSpec model,
    DataSpec data,
    BatchSpec batch,
    ObjectiveSpec objective,
    AdapterSpec adapter,
    OptimizerSpec optimizer,
    RuleSpec rule,
    ScheduleSpec schedule,
    PlateauSpec plateau,
    RewarmupSpec rewarmup,
    StopSpec stop,
    AverageSpec average,
    GuardSpec guard,
    DeviceSpec device,
    RunSpec run,
    MonitorSpec monitor) {
  /** The settings of {@code javelin train} without flags. */
  public static final RunSettings DEFAULT =
      new RunSettings(
          ModelSpec.DEFAULT,
          DataSpec.DEFAULT,
          BatchSpec.DEFAULT,
          ObjectiveSpec.DEFAULT,
          AdapterSpec.DEFAULT,
          OptimizerSpec.DEFAULT,
          RuleSpec.DEFAULT,
          ScheduleSpec.DEFAULT,
          PlateauSpec.DEFAULT,
          RewarmupSpec.DEFAULT,
          StopSpec.DEFAULT,
          AverageSpec.DEFAULT,
          GuardSpec.DEFAULT,
          DeviceSpec.DEFAULT,
          RunSpec.DEFAULT,
          MonitorSpec.DEFAULT);

  public RunSettings withModel(UnaryOperator<ModelSpec> change) {
    return Components.with(this, "model", change.apply(model));
  }

  public RunSettings withData(UnaryOperator<DataSpec> change) {
    return Components.with(this, "data", change.apply(data));
  }

  public RunSettings withBatch(UnaryOperator<BatchSpec> change) {
    return Components.with(this, "batch", change.apply(batch));
  }

  public RunSettings withObjective(UnaryOperator<ObjectiveSpec> change) {
    return Components.with(this, "objective", change.apply(objective));
  }

  public RunSettings withAdapter(UnaryOperator<AdapterSpec> change) {
    return Components.with(this, "adapter", change.apply(adapter));
  }

  public RunSettings withOptimizer(UnaryOperator<OptimizerSpec> change) {
    return Components.with(this, "optimizer", change.apply(optimizer));
  }

  public RunSettings withRule(UnaryOperator<RuleSpec> change) {
    return Components.with(this, "rule", change.apply(rule));
  }

  public RunSettings withSchedule(UnaryOperator<ScheduleSpec> change) {
    return Components.with(this, "schedule", change.apply(schedule));
  }

  public RunSettings withPlateau(UnaryOperator<PlateauSpec> change) {
    return Components.with(this, "plateau", change.apply(plateau));
  }

  public RunSettings withStop(UnaryOperator<StopSpec> change) {
    return Components.with(this, "stop", change.apply(stop));
  }

  public RunSettings withRewarmup(UnaryOperator<RewarmupSpec> change) {
    return Components.with(this, "rewarmup", change.apply(rewarmup));
  }

  public RunSettings withGuard(UnaryOperator<GuardSpec> change) {
    return Components.with(this, "guard", change.apply(guard));
  }

  public RunSettings withAverage(UnaryOperator<AverageSpec> change) {
    return Components.with(this, "average", change.apply(average));
  }

  public RunSettings withDevice(UnaryOperator<DeviceSpec> change) {
    return Components.with(this, "device", change.apply(device));
  }

  public RunSettings withRun(UnaryOperator<RunSpec> change) {
    return Components.with(this, "run", change.apply(run));
  }

  public RunSettings withMonitor(UnaryOperator<MonitorSpec> change) {
    return Components.with(this, "monitor", change.apply(monitor));
  }

  /**
   * A copy with other values, all at once, so that those that depend on each other are checked
   * together.
   *
   * @param values by key or alias, in snake_case or kebab-case: text, numbers, lists, or values of
   *     the setting's own type
   * @throws InputException naming the setting that does not exist or whose value does not fit
   */
  public RunSettings with(Map<String, ?> values) {
    Map<Setting, Object> changes = new LinkedHashMap<>();
    values.forEach(
        (name, value) -> {
          Setting setting = Setting.named(name);
          if (setting == null) {
            throw new InputException(
                "unknown setting "
                    + name
                    + Names.nearest(Names.snake(name), Setting.names())
                        .map(n -> ": did you mean " + n + "?")
                        .orElse(""));
          }
          changes.put(setting, setting.parse(value));
        });
    return withParsed(changes);
  }

  RunSettings withParsed(Map<Setting, ?> changes) {
    List<@Nullable Object> specs = new ArrayList<>();
    for (Object value : Components.values(this)) {
      Record spec = (Record) Objects.requireNonNull(value, "specs are never null");
      @Nullable Object[] values = Components.values(spec);
      for (int i = 0; i < values.length; i++) {
        String name = spec.getClass().getRecordComponents()[i].getName();
        Setting setting = Objects.requireNonNull(Setting.named(Names.snakeOfCamel(name)), name);
        values[i] = changes.containsKey(setting) ? changes.get(setting) : values[i];
      }
      specs.add(Components.copy(spec, values));
    }
    return Components.copy(this, specs.toArray());
  }

  /** The settings with those of a YAML file in place of their own. */
  public RunSettings with(Path yaml) {
    return withParsed(SettingsFile.read(yaml));
  }

  /**
   * With what was left open filled in, as a run that begins now has it. What depends on the number
   * of steps stays open where that is not given: it depends on the data.
   */
  public RunSettings effective() {
    long seed = run.seed();
    return withData(d -> d.effective(seed))
        .withSchedule(s -> run.maxSteps() == null ? rated() : rated().effective(run.maxSteps()))
        .withDevice(DeviceSpec::effective);
  }

  /** What two settings say of which only one decides, a line each. */
  public List<String> notes() {
    List<String> notes = new ArrayList<>();
    if (run.maxSteps() != null && run.epochs() != null) {
      notes.add("--max-steps %d decides, not --epochs %s".formatted(run.maxSteps(), run.epochs()));
    }
    if (schedule.warmupSteps() != null && schedule.warmupRatio() != null) {
      notes.add(
          "--warmup-steps %d decides, not --warmup-ratio %s"
              .formatted(schedule.warmupSteps(), schedule.warmupRatio()));
    }
    return notes;
  }

  /** The learning rate over the steps of a run. */
  public LearningRate lrSchedule(int steps) {
    ScheduleSpec scaled = rated().scaledTo(batch.sequences());
    LearningRate first = scaled.over(steps, plateau);
    double factor =
        schedule.lrScaling().factor((double) batch.sequences() / schedule.lrBaseBatch());
    return rewarmup.rewarmup() ? rewarmup.after(first, scaled, factor, steps) : first;
  }

  /** The largest learning rate, not scaled with the batch. */
  public double peakLearningRate() {
    return Checks.or(rated().learningRate(), ScheduleSpec.LEARNING_RATE);
  }

  /** Adapters take another rate than a model that is trained whole, where none is given. */
  private ScheduleSpec rated() {
    if (schedule.learningRate() != null) {
      return schedule;
    }
    double rate = Optimizers.learningRate(optimizer.optimizer());
    return schedule.withLearningRate(adapter.isOn() ? rate / ScheduleSpec.ADAPTER_PART : rate);
  }

  /** YAML that {@link #with(Path)} reads back as these settings; what is left open is left out. */
  public String toYaml() {
    Map<String, Object> values = new LinkedHashMap<>();
    for (Setting setting : Setting.all()) {
      Object value = setting.plain(this);
      if (value != null) {
        values.put(setting.key(), value);
      }
    }
    DumpSettings style = DumpSettings.builder().setDefaultFlowStyle(FlowStyle.BLOCK).build();
    return new Dump(style).dumpToString(values);
  }

  /** What differs in {@code now}, a line each: {@code learning_rate 0.001 → 0.0005}. */
  public List<String> changes(RunSettings now) {
    List<String> changes = new ArrayList<>();
    for (Setting setting : Setting.all()) {
      Object before = setting.plain(this);
      Object after = setting.plain(now);
      if (!Objects.equals(before, after)) {
        changes.add(setting.key() + " " + shown(before) + " → " + shown(after));
      }
    }
    return changes;
  }

  private static String shown(@Nullable Object value) {
    return value == null ? "(none)" : value.toString();
  }
}
