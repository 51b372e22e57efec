package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Presets;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.estimate.Budget;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.estimate.StepTime;
import dev.javelin.train.settings.RunSettings;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What a run with some settings would take, before there is one. Data, tokenizer and configuration
 * are read, weights are not, and no memory of the run's size is taken.
 *
 * <pre>{@code
 * try (Estimate estimate = Estimate.of(settings)) {
 *   System.out.println(estimate.memory().total());
 * }
 * }</pre>
 */
public final class Estimate implements AutoCloseable {
  private static final int MOST_ROWS = 1 << 20;
  private static final int MOST_TOKENS = 1 << 20;

  private final RunSettings settings;
  private final Plan plan;
  private final Device device;
  private final MemoryCheck check;
  private final List<String> notes;

  private Estimate(RunSettings settings, Plan plan, Device device, List<String> notes) {
    this.settings = settings;
    this.plan = plan;
    this.device = device;
    this.check = MemoryCheck.estimate(settings, device, plan::memory);
    this.notes = List.copyOf(notes);
  }

  /**
   * Reads what a run would read.
   *
   * @throws InputException where settings, data or model cannot be used
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file
   */
  public static Estimate of(RunSettings asked) {
    // A run has a directory, and what looks on has memory of its own.
    RunSettings settings =
        asked.run().outputDir() != null
            ? asked
            : asked.withRun(r -> r.withOutputDir(Path.of("out")));
    Objectives.named(settings.objective().objective());
    settings.adapter().check();
    List<String> notes = new ArrayList<>(settings.notes());
    ModelName name = ModelName.of(settings.model().model());
    TransformerConfig shape = name.config(notes::add);
    String tokenizer = Run.tokenizer(settings, name, null);
    Dataset data =
        tokenizer == null && settings.data().data().isEmpty()
            ? new Dataset(new Plan.Blank(), new Plan.Blank(), null)
            : RunData.open(settings, tokenizer, null, notes::add).data();
    try {
      Devices.Choice chosen =
          Devices.open(settings.device().device(), settings.device().effectiveThreads(), shape);
      if (chosen.note() != null) {
        notes.add(chosen.note());
      }
      try {
        return new Estimate(settings, new Plan(name, shape, null, data), chosen.device(), notes);
      } catch (RuntimeException | Error e) {
        chosen.device().close();
        throw e;
      }
    } catch (RuntimeException | Error e) {
      data.close();
      throw e;
    }
  }

  /**
   * What a training would take that a program puts together by itself, at its peak.
   *
   * @param threads of the processor that it is to have
   * @param training puts it together, on a device that only counts; the parameters are closed
   *     afterwards. There are no values to be read there
   */
  public static MemoryTable memory(int threads, Function<Cpu, Training> training) {
    return Rehearsal.of(
        threads,
        cpu -> {
          Training made = training.apply(cpu);
          return new Rehearsal.Parts(made, List.of(made.parameters));
        });
  }

  /** What the run would take at its peak. */
  public MemoryTable memory() {
    return check.table();
  }

  /** Model and batch in a line. */
  public String title() {
    TransformerConfig fitted = Run.fitted(settings, plan.name(), null, plan.shape(), plan.data());
    return "%s (%s), %d × %d sequences of %d tokens a step"
        .formatted(
            settings.model().model(),
            LanguageModel.describe(fitted, settings.device().precision()),
            settings.batch().gradientAccumulationSteps(),
            settings.batch().batchSize(),
            settings.batch().seqLen());
  }

  /** Where the run would compute. */
  public Device device() {
    return device;
  }

  /** Whether that is the processor, so that tensors and heap share one memory. */
  public boolean onHost() {
    return check.onHost();
  }

  /** What the run may take. */
  public Budget budget() {
    return check.budget();
  }

  /** Whether the run fits into that. */
  public boolean fit() {
    return check.needed(check.table()) <= check.budget().bytes();
  }

  /** The largest batch of sequences that fits, all else as it is; 0 where none does. */
  public int largestBatch() {
    return check.largest(MOST_ROWS, n -> settings.withBatch(b -> b.withBatchSize(n)));
  }

  /** The longest sequences that fit, all else as it is; 0 where none does. */
  public int longestSequence() {
    Plan endless = plan.endless();
    int most = plan.name().directory() == null ? MOST_TOKENS : plan.shape().positions();
    MemoryCheck longer =
        new MemoryCheck(settings, device, check.budget(), check.table(), endless::memory);
    return longer.largest(most, n -> settings.withBatch(b -> b.withSeqLen(n)));
  }

  /**
   * The preset with the most weights that fits, all else as it is; {@code null} where none does.
   */
  public @Nullable String largestPreset() {
    String best = null;
    long most = 0;
    for (String preset : Presets.all().keySet()) {
      RunSettings with = settings.withModel(m -> m.withModel("preset:" + preset));
      MemoryTable table = plan.of(ModelName.of("preset:" + preset)).memory(with);
      if (check.needed(table) <= check.budget().bytes() && table.weights() > most) {
        most = table.weights();
        best = preset;
      }
    }
    return best;
  }

  /**
   * How long a step takes on this machine, found out in some seconds by steps of smaller models.
   *
   * @return {@code null} where the objective reads another model, or the data are no running text
   */
  public @Nullable StepTime time() {
    return StepTiming.of(plan, settings, device);
  }

  /** {@link #largestBatch}, {@link #longestSequence} and {@link #largestPreset} in words. */
  public List<String> fits() {
    int batch = largestBatch();
    int length = longestSequence();
    String preset = largestPreset();
    return List.of(
        batch == 0 ? "no batch fits" : "the largest --batch-size that fits is " + batch,
        length == 0 ? "no --seq-len fits" : "the largest --seq-len that fits is " + length,
        preset == null ? "no preset fits" : "the largest preset that fits is " + preset);
  }

  /** What the user should know and did not say, a line each. */
  public List<String> notes() {
    return notes;
  }

  @Override
  public void close() {
    plan.data().close();
    device.close();
  }
}
