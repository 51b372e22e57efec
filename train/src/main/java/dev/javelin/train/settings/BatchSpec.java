package dev.javelin.train.settings;

import dev.javelin.train.schedule.BatchRamp;
import org.jspecify.annotations.Nullable;

/**
 * How much a step reads: A micro-batches of B sequences of T tokens.
 *
 * @param batchSize B, sequences in a micro-batch
 * @param seqLen T, tokens in a sequence
 * @param gradientAccumulationSteps A, micro-batches in a step
 * @param batchRamp how the first steps grow to A micro-batches; {@code null} to have A from the
 *     first
 */
public record BatchSpec(
    @Also({"per_device_train_batch_size", "micro_batch_size"}) int batchSize,
    @Also({"block_size", "max_seq_length", "max_length"}) int seqLen,
    @Also({"grad_accum_steps"}) int gradientAccumulationSteps,
    @Also({"rampup_batch_size"}) @Nullable BatchRamp batchRamp) {
  /** What a run has where nothing else is said. */
  public static final BatchSpec DEFAULT = new BatchSpec(8, 128, 1, null);

  public BatchSpec {
    Checks.atLeast(1, "--batch-size", batchSize);
    Checks.atLeast(1, "--seq-len", seqLen);
    Checks.atLeast(1, "--gradient-accumulation-steps", gradientAccumulationSteps);
    Checks.require(
        batchRamp == null || batchRamp.from() <= gradientAccumulationSteps,
        "--batch-ramp begins with more micro-batches than --gradient-accumulation-steps %d, got %s"
            .formatted(gradientAccumulationSteps, batchRamp));
  }

  public BatchSpec withBatchSize(int value) {
    return Components.with(this, "batchSize", value);
  }

  public BatchSpec withSeqLen(int value) {
    return Components.with(this, "seqLen", value);
  }

  public BatchSpec withGradientAccumulationSteps(int value) {
    return Components.with(this, "gradientAccumulationSteps", value);
  }

  public BatchSpec withBatchRamp(@Nullable BatchRamp value) {
    return Components.with(this, "batchRamp", value);
  }

  /** Sequences of a step, counted from 0. */
  public long sequences(long step) {
    int parts = gradientAccumulationSteps;
    return (long) batchSize * (batchRamp == null ? parts : batchRamp.at(step, parts));
  }

  /** Sequences a step reads in the end: A·B. */
  public long sequences() {
    return (long) batchSize * gradientAccumulationSteps;
  }

  /** Tokens a step reads in the end: A·B·T. */
  public long tokens() {
    return sequences() * seqLen;
  }
}
