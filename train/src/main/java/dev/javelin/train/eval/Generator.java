package dev.javelin.train.eval;

import dev.javelin.autograd.Tape;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.tokenizer.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.IntPredicate;

/**
 * Writes on from a prompt, token by token, with the keys and values of what was read kept in a
 * cache. Where the model's positions are used up, the older half of the text is forgotten.
 */
public final class Generator implements AutoCloseable {
  private static final char REPLACEMENT = '\uFFFD';

  private final Device device;
  private final Transformer model;
  private final Workspace workspace;

  public Generator(Device device, Transformer model) {
    this.device = device;
    this.model = model;
    this.workspace = Workspace.on(device);
  }

  /**
   * Draws up to {@code maxNewTokens} tokens behind {@code prompt}.
   *
   * @param more is given each token as it is drawn; {@code false} ends the text
   * @return how many were drawn
   * @throws IllegalArgumentException where the prompt is empty or holds an id that is none
   */
  public int tokens(int[] prompt, int maxNewTokens, Sampler sampler, IntPredicate more) {
    return tokens(prompt, maxNewTokens, model.config().vocab(), sampler, more);
  }

  private int tokens(
      int[] prompt, int maxNewTokens, int vocabulary, Sampler sampler, IntPredicate more) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("the prompt must hold at least one token");
    }
    int positions = model.config().positions();
    int capacity = (int) Math.min(positions, (long) prompt.length + maxNewTokens);
    int[] text = Arrays.copyOf(prompt, prompt.length + maxNewTokens);
    int length = prompt.length;
    int read =
        Math.max(0, length - positions); // what of the text the cache holds, or has forgotten
    DType type = model.tokens().value().dtype();
    try (KvCache cache = KvCache.allocate(device, model.config(), type, 1, capacity)) {
      for (int drawn = 0; drawn < maxNewTokens; drawn++) {
        if (cache.length() + length - read > capacity) {
          cache.truncate(0);
          read = length - Math.max(1, capacity / 2);
        }
        float[] logits = next(Arrays.copyOfRange(text, read, length), vocabulary, cache);
        read = length;
        int token = sampler.next(logits, drawn);
        text[length++] = token;
        if (!more.test(token)) {
          return drawn + 1;
        }
      }
      return maxNewTokens;
    }
  }

  /** The logits of the first {@code vocabulary} tokens, to come after {@code ids}. */
  private float[] next(int[] ids, int vocabulary, KvCache cache) {
    workspace.reset();
    Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, ids.length)); // i32 [1, T]
    tokens.fromHost(MemorySegment.ofArray(ids));
    Tensor logits = model.next(Tape.inference(workspace), tokens, cache); // [1, V]
    MemorySegment s = logits.toHost();
    float[] out = new float[vocabulary];
    for (int i = 0; i < out.length; i++) {
      out[i] =
          switch (logits.dtype()) {
            case BF16 ->
                Float.intBitsToFloat(s.getAtIndex(ValueLayout.JAVA_SHORT, i) << Short.SIZE);
            case F16 -> Float.float16ToFloat(s.getAtIndex(ValueLayout.JAVA_SHORT, i));
            default -> s.getAtIndex(ValueLayout.JAVA_FLOAT, i);
          };
    }
    return out;
  }

  /**
   * Hands what the model writes behind {@code prompt} to {@code out}, piece by piece, without the
   * prompt; ends early at the end-of-text token. An empty prompt is the beginning of a text.
   */
  public void stream(
      Tokenizer tokenizer, String prompt, int maxNewTokens, Sampler sampler, Consumer<String> out) {
    int[] start = prompt.isEmpty() ? beginning(tokenizer) : tokenizer.encodePrompt(prompt);
    OptionalInt end = tokenizer.eos();
    int[] ids = Arrays.copyOf(start, start.length + maxNewTokens);
    int[] state = {start.length, tokenizer.decode(start, true).length()}; // tokens, characters out
    tokens(
        start,
        maxNewTokens,
        Math.min(tokenizer.vocabSize(), model.config().vocab()), // models pad their vocabulary
        sampler,
        token -> {
          if (end.isPresent() && token == end.getAsInt()) {
            return false;
          }
          ids[state[0]++] = token;
          String text = tokenizer.decode(Arrays.copyOf(ids, state[0]), true);
          int whole = text.length();
          // A character's bytes may be spread over tokens: wait for the rest.
          while (whole > state[1] && text.charAt(whole - 1) == REPLACEMENT) {
            whole--;
          }
          if (whole > state[1]) {
            out.accept(text.substring(state[1], whole));
            state[1] = whole;
          }
          return true;
        });
    String text = tokenizer.decode(Arrays.copyOf(ids, state[0]), true);
    if (text.length() > state[1]) {
      out.accept(text.substring(state[1]));
    }
  }

  /** {@link #stream} as one string. */
  public String text(Tokenizer tokenizer, String prompt, int maxNewTokens, Sampler sampler) {
    StringBuilder text = new StringBuilder();
    stream(tokenizer, prompt, maxNewTokens, sampler, text::append);
    return text.toString();
  }

  private static int[] beginning(Tokenizer tokenizer) {
    if (tokenizer.bos().isPresent()) {
      return new int[] {tokenizer.bos().getAsInt()};
    }
    try {
      int[] newline = tokenizer.encode("\n");
      if (newline.length > 0) {
        return newline;
      }
    } catch (IllegalArgumentException noNewline) {
      // A vocabulary of characters that the text had none of.
    }
    return new int[] {tokenizer.eos().orElse(0)};
  }

  @Override
  public void close() {
    workspace.close();
  }
}
