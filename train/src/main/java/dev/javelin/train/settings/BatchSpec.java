package dev.javelin.train.settings;

/**
 * How much a step reads: A micro-batches of B sequences of T tokens.
 *
 * @param batchSize B, sequences in a micro-batch
 * @param seqLen T, tokens in a sequence
 * @param gradientAccumulationSteps A, micro-batches in a step
 */
public record BatchSpec(
    @Also({"per_device_train_batch_size", "micro_batch_size"}) int batchSize,
    @Also({"block_size", "max_seq_length", "max_length"}) int seqLen,
    @Also({"grad_accum_steps"}) int gradientAccumulationSteps) {
  /** What a run has where nothing else is said. */
  public static final BatchSpec DEFAULT = new BatchSpec(8, 128, 1);

  public BatchSpec {
    Checks.atLeast(1, "--batch-size", batchSize);
    Checks.atLeast(1, "--seq-len", seqLen);
    Checks.atLeast(1, "--gradient-accumulation-steps", gradientAccumulationSteps);
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

  /** Sequences a step reads: A·B. */
  public long sequences() {
    return (long) batchSize * gradientAccumulationSteps;
  }

  /** Tokens a step reads: A·B·T. */
  public long tokens() {
    return sequences() * seqLen;
  }
}
