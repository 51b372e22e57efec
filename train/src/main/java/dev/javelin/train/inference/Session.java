package dev.javelin.train.inference;

import dev.javelin.nn.KvCache;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * Requests whose prompts begin like the text before, as the turns of a conversation do: what the
 * model has read is not read again. For one thread at a time; any number of sessions run beside
 * each other and beside other requests. Replies are those of {@link Inference#generate} to
 * rounding: a text that is read in parts is summed in another order.
 */
public final class Session implements AutoCloseable {
  private final Inference inference;
  private final KvCache cache;
  private int[] held = {}; // the tokens in the cache

  Session(Inference inference, KvCache cache) {
    this.inference = inference;
    this.cache = cache;
  }

  /**
   * The reply to a prompt in tokens; see {@link Inference#generate(int[], Request, Consumer)}.
   *
   * @throws IllegalStateException where this, the inference, the model or its device is closed
   */
  public Reply generate(int[] prompt, Request request, Consumer<String> out) {
    int common = Arrays.mismatch(held, prompt);
    common = common < 0 ? held.length : common;
    cache.truncate(Math.min(common, prompt.length - 1));
    held = Arrays.copyOf(held, cache.length()); // should what follows fail
    return inference.generate(cache, prompt, request, out, text -> held = text);
  }

  @Override
  public void close() {
    cache.close();
  }
}
