package dev.javelin.train.checkpoint;

/**
 * Which checkpoints stay when another is written, beside those that {@code last} and {@code best}
 * point to.
 *
 * @param newest how many of the newest; 0 for all
 * @param every those whose step is a multiple of it stay for ever; 0 for none
 */
public record Keep(int newest, int every) {
  public static final Keep ALL = new Keep(0, 0);

  public Keep {
    if (newest < 0 || every < 0) {
      throw new IllegalArgumentException(
          "checkpoints to keep must be 0 or more, got %d and every %d".formatted(newest, every));
    }
  }

  /** Whether the checkpoint of that step is never deleted, however old. */
  boolean forEver(long step) {
    return every > 0 && step > 0 && step % every == 0;
  }
}
