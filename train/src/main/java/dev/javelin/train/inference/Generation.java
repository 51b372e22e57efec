package dev.javelin.train.inference;

import dev.javelin.nn.KvCache;
import dev.javelin.train.inference.Passes.Seat;
import dev.javelin.train.inference.Reply.Finish;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** A text as it is written on: what was read of it, what is to be read next. */
final class Generation {
  private final KvCache cache;
  private final int capacity; // tokens that may be read, of the model's positions
  private int[] text;
  private int length;
  private int read; // what of the text the cache holds, or has forgotten
  private int forgotten;

  /** Sees a token as it is drawn, and says why it is the last one, or {@code null}. */
  @FunctionalInterface
  interface Reader {
    @Nullable Finish read(int token);
  }

  /**
   * @param cache of a text that begins like this one
   * @param positions of the model
   */
  Generation(KvCache cache, int[] prompt, int positions, int maxNewTokens) {
    this.cache = cache;
    this.capacity = (int) Math.min(positions, (long) prompt.length + maxNewTokens);
    this.text = prompt;
    this.length = prompt.length;
    this.forgotten = Math.max(0, length - positions);
    this.read = Math.max(cache.length(), forgotten);
  }

  Finish run(
      Seat seat,
      int maxNewTokens,
      int vocabulary,
      Sampler sampler,
      RepetitionPenalty penalty,
      Reader reader) {
    for (int i = 0; i < length; i++) {
      penalty.saw(text[i]);
    }
    for (int drawn = 0; drawn < maxNewTokens; drawn++) {
      if (Thread.currentThread().isInterrupted()) {
        return Finish.INTERRUPTED;
      }
      if (cache.length() + length - read > capacity) {
        cache.truncate(0);
        read = length - Math.max(1, capacity / 2);
        forgotten = read;
      }
      float[] logits = seat.next(Arrays.copyOfRange(text, read, length), vocabulary, cache);
      read = length;
      penalty.apply(logits);
      int token = sampler.next(logits, drawn);
      penalty.saw(token);
      if (length == text.length) {
        text = Arrays.copyOf(text, length + length / 2 + 16);
      }
      text[length++] = token;
      Finish finish = reader.read(token);
      if (finish != null) {
        return finish;
      }
    }
    return Finish.LENGTH;
  }

  /** How many tokens at the beginning of the text the model no longer sees. */
  int forgotten() {
    return forgotten;
  }

  /** The tokens that the cache holds. */
  int[] held() {
    return Arrays.copyOfRange(text, read - cache.length(), read);
  }
}
