package dev.javelin.train.settings;

import dev.javelin.nn.HuggingFace;
import dev.javelin.train.checkpoint.Keep;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How long a run is, what it says and leaves behind, and where.
 *
 * @param maxSteps optimizer steps in all; {@code null} to let {@code epochs} decide
 * @param epochs times that all rows are read; not asked where {@code maxSteps} is given; {@code
 *     null} for {@value #DEFAULT_EXAMPLE_EPOCHS} where the data are examples, and {@value
 *     #DEFAULT_STEPS} steps where they are running text
 * @param seed of weights and dropout, and of the order unless {@link DataSpec#dataSeed} is given
 * @param evalEvery steps between evaluations; 0 for one at the end only
 * @param evalBatches batches in an evaluation; 0 for all
 * @param saveEvery steps between checkpoints; 0 for one at the end only
 * @param keep checkpoints to keep beside the best and the last; 0 for all
 * @param keepEvery steps between checkpoints that are saved and never deleted; 0 for none
 * @param asyncSave whether the run goes on while a checkpoint is written
 * @param saveSignal a signal on which the command line saves and ends the run, without {@code SIG};
 *     {@code none} for none; null for {@code USR1} where the system has it
 * @param maxShardSize what a file of a checkpoint's weights holds at most; larger models are
 *     written in shards
 * @param resume {@code auto} to go on from the newest whole checkpoint of the output directory, or
 *     the directory of a checkpoint; {@code null} for a fresh run
 * @param override whether a resumed run may have another seed, order, tokenizer or sequence length,
 *     or other data, than the checkpoint
 * @param outputDir the directory of the run; {@code null} for {@code out}, or {@code out-2} … where
 *     that holds a run
 * @param loggingSteps steps between lines of {@code metrics.jsonl}
 * @param quiet whether the screen stays empty
 */
public record RunSpec(
    @Also({"max_iters"}) @Nullable Integer maxSteps,
    @Also({"num_train_epochs"}) @Nullable Double epochs,
    long seed,
    @Also({"eval_steps", "eval_interval"}) int evalEvery,
    @Also({"eval_iters"}) int evalBatches,
    @Also({"save_steps"}) int saveEvery,
    @Also({"save_total_limit"}) int keep,
    int keepEvery,
    boolean asyncSave,
    @Nullable String saveSignal,
    ByteSize maxShardSize,
    @Also({"resume_from_checkpoint"}) @Nullable String resume,
    boolean override,
    @Also({"out_dir"}) @Nullable Path outputDir,
    @Also({"log_interval"}) int loggingSteps,
    @Also({"disable_tqdm"}) boolean quiet) {
  /** Steps of a run on running text that is not told how long to be. */
  public static final int DEFAULT_STEPS = 1000;

  /** Epochs of a run on examples that is not told how long to be. */
  public static final int DEFAULT_EXAMPLE_EPOCHS = 3;

  /** What a run has where nothing else is said. */
  public static final RunSpec DEFAULT =
      new RunSpec(
          null,
          null,
          1,
          200,
          0,
          500,
          3,
          0,
          true,
          null,
          new ByteSize(HuggingFace.SHARD_BYTES),
          null,
          false,
          null,
          10,
          false);

  public RunSpec {
    Checks.atLeast(1, "--max-steps", maxSteps);
    Checks.require(
        epochs == null || epochs > 0 && epochs <= 1e6,
        "--epochs must be more than 0, and at most a million, got " + epochs);
    Checks.atLeast(0, "--eval-every", evalEvery);
    Checks.atLeast(0, "--eval-batches", evalBatches);
    Checks.atLeast(0, "--save-every", saveEvery);
    Checks.require(keep >= 0, "--keep must be 0 (all) or more, got " + keep);
    Checks.require(keepEvery >= 0, "--keep-every must be 0 (none) or more, got " + keepEvery);
    Checks.require(
        saveSignal == null || saveSignal.matches("[A-Za-z0-9]{1,16}"),
        "--save-signal must be a signal such as USR1, or none, got " + saveSignal);
    Checks.atLeast(1, "--logging-steps", loggingSteps);
  }

  public RunSpec withMaxSteps(@Nullable Integer value) {
    return Components.with(this, "maxSteps", value);
  }

  public RunSpec withEpochs(@Nullable Double value) {
    return Components.with(this, "epochs", value);
  }

  public RunSpec withSeed(long value) {
    return Components.with(this, "seed", value);
  }

  public RunSpec withEvalEvery(int value) {
    return Components.with(this, "evalEvery", value);
  }

  public RunSpec withEvalBatches(int value) {
    return Components.with(this, "evalBatches", value);
  }

  public RunSpec withSaveEvery(int value) {
    return Components.with(this, "saveEvery", value);
  }

  public RunSpec withKeep(int value) {
    return Components.with(this, "keep", value);
  }

  public RunSpec withKeepEvery(int value) {
    return Components.with(this, "keepEvery", value);
  }

  public RunSpec withAsyncSave(boolean value) {
    return Components.with(this, "asyncSave", value);
  }

  public RunSpec withSaveSignal(@Nullable String value) {
    return Components.with(this, "saveSignal", value);
  }

  /** Which checkpoints stay. */
  public Keep kept() {
    return new Keep(keep, keepEvery);
  }

  public RunSpec withMaxShardSize(ByteSize value) {
    return Components.with(this, "maxShardSize", value);
  }

  public RunSpec withResume(@Nullable String value) {
    return Components.with(this, "resume", value);
  }

  public RunSpec withOverride(boolean value) {
    return Components.with(this, "override", value);
  }

  public RunSpec withOutputDir(@Nullable Path value) {
    return Components.with(this, "outputDir", value);
  }

  public RunSpec withLoggingSteps(int value) {
    return Components.with(this, "loggingSteps", value);
  }

  public RunSpec withQuiet(boolean value) {
    return Components.with(this, "quiet", value);
  }

  /**
   * Optimizer steps in all, the last of which may go on into the next epoch.
   *
   * @param rows that there are
   * @param rowsPerStep that a step reads
   * @param examples whether they are examples rather than running text
   * @throws dev.javelin.train.data.InputException where there are more than 2 billion
   */
  public int steps(long rows, long rowsPerStep, boolean examples) {
    if (maxSteps != null) {
      return maxSteps;
    }
    if (epochs == null && !examples) {
      return DEFAULT_STEPS;
    }
    double all = Math.ceil(rows(rows) / rowsPerStep);
    Checks.require(all <= Integer.MAX_VALUE, "--epochs: that is more than 2 billion steps");
    return (int) all;
  }

  /** Rows that are read in all where epochs decide. */
  public double rows(long rows) {
    return Checks.or(epochs, (double) DEFAULT_EXAMPLE_EPOCHS) * rows;
  }
}
