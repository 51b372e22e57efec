package dev.javelin.train.inference;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.inference.Reply.Finish;
import dev.javelin.train.tokenizer.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Writes on from prompts, token by token, with the keys and values of what was read kept in a
 * cache. Where the model's positions are used up, the older half of the text is forgotten.
 *
 * <p>Any number of threads may call it at the same time. They share the weights; each request has
 * its own cache and random numbers, and its reply is the same, bit for bit, whatever else runs. A
 * token of one request takes one turn on the device ({@link Device#turn}), so requests advance
 * token by token in the order in which they came, a training on the same device among them.
 *
 * <p>An interrupt of the calling thread ends its request before the next token. Closing waits for
 * the token in progress; requests that are not finished then fail with an {@link
 * IllegalStateException}.
 *
 * <pre>{@code
 * try (Inference inference = model.inference()) {
 *   Reply reply = inference.generate(Request.of("Once upon a time").stop("\n"), System.out::print);
 * }
 * }</pre>
 */
public final class Inference implements AutoCloseable {
  private static final long GPU_SLAB_BYTES = 64L << 20;

  private final Device device;
  private final ParameterBuffer<Transformer> parameters;
  private final Transformer model;
  private final @Nullable Tokenizer tokenizer;
  private final Set<Integer> endTokens;
  private final Workspace workspace; // of the request whose turn it is
  private volatile boolean closed;

  /**
   * @param parameters stay the caller's
   * @param tokenizer {@code null} where tokens are used without text
   * @param endTokens that end a text
   */
  public Inference(
      ParameterBuffer<Transformer> parameters,
      @Nullable Tokenizer tokenizer,
      Set<Integer> endTokens) {
    this.parameters = parameters;
    this.model = parameters.model();
    this.device = model.tokens().value().device();
    this.tokenizer = tokenizer;
    this.endTokens = Set.copyOf(endTokens);
    // On a GPU most of the memory is for caches.
    this.workspace =
        device instanceof Cuda ? Workspace.on(device, GPU_SLAB_BYTES) : Workspace.on(device);
  }

  /**
   * The reply to a request.
   *
   * @throws IllegalStateException where there is no tokenizer, or this, the model or its device is
   *     closed
   */
  public Reply generate(Request request) {
    return generate(request, piece -> {});
  }

  /**
   * The same, with the text handed to {@code out} as it is written, by the calling thread, between
   * two turns on the device. The pieces are whole characters and together are the reply's text.
   */
  public Reply generate(Request request, Consumer<String> out) {
    Tokenizer t = tokenizer;
    if (t == null) {
      throw new IllegalStateException("generate: the model has no tokenizer; use tokens");
    }
    int[] prompt = request.prompt().isEmpty() ? beginning(t) : t.encodePrompt(request.prompt());
    TextStream text = new TextStream(t, prompt, request.stop(), out);
    List<Integer> ids = new ArrayList<>();
    Finish finish =
        run(
            prompt,
            request.maxNewTokens(),
            Math.min(t.vocabSize(), model.config().vocab()), // models pad their vocabulary
            request.sampler(),
            new RepetitionPenalty(request.repetitionPenalty()),
            token -> {
              if (endTokens.contains(token)) {
                return Finish.END_TOKEN;
              }
              ids.add(token);
              return text.add(token) ? Finish.STOP_STRING : null;
            });
    if (finish != Finish.STOP_STRING && text.end()) {
      finish = Finish.STOP_STRING;
    }
    return new Reply(text.text(), ids, finish);
  }

  /**
   * Draws up to {@code maxNewTokens} tokens behind {@code prompt}; end tokens are tokens like
   * others here.
   *
   * @param more is given each token as it is drawn; {@code false} ends the text
   * @return how many were drawn
   * @throws IllegalArgumentException where the prompt is empty or holds an id that is none
   * @throws IllegalStateException where this, the model or its device is closed
   */
  public int tokens(int[] prompt, int maxNewTokens, Sampler sampler, IntPredicate more) {
    Request.requireNewTokens(maxNewTokens);
    int[] drawn = {0};
    run(
        prompt,
        maxNewTokens,
        model.config().vocab(),
        sampler,
        new RepetitionPenalty(1),
        token -> {
          drawn[0]++;
          return more.test(token) ? null : Finish.STOP_STRING;
        });
    return drawn[0];
  }

  /** Sees a token as it is drawn, and says why it is the last one, or {@code null}. */
  @FunctionalInterface
  private interface Reader {
    @Nullable Finish read(int token);
  }

  private Finish run(
      int[] prompt,
      int maxNewTokens,
      int vocabulary,
      Sampler sampler,
      RepetitionPenalty penalty,
      Reader reader) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("the prompt must hold at least one token");
    }
    for (int token : prompt) {
      requireToken(token);
      penalty.saw(token);
    }
    int positions = model.config().positions();
    int capacity = (int) Math.min(positions, (long) prompt.length + maxNewTokens);
    int[] text = prompt;
    int length = prompt.length;
    int read =
        Math.max(0, length - positions); // what of the text the cache holds, or has forgotten
    DType type = model.tokens().value().dtype();
    try (KvCache cache = KvCache.open(device, model.config(), type)) {
      for (int drawn = 0; drawn < maxNewTokens; drawn++) {
        if (Thread.currentThread().isInterrupted()) {
          return Finish.INTERRUPTED;
        }
        if (cache.length() + length - read > capacity) {
          cache.truncate(0);
          read = length - Math.max(1, capacity / 2);
        }
        float[] logits = next(Arrays.copyOfRange(text, read, length), vocabulary, cache);
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
  }

  private void requireToken(int token) {
    if (token < 0 || token >= model.config().vocab()) {
      throw new IllegalArgumentException(
          "token %d of the prompt is outside the model's vocabulary of %d"
              .formatted(token, model.config().vocab()));
    }
  }

  /** The logits of the first {@code vocabulary} tokens, to come after {@code ids}. */
  private float[] next(int[] ids, int vocabulary, KvCache cache) {
    try (Turn _ = device.turn()) {
      if (closed) {
        throw new IllegalStateException("the inference was closed before this request was done");
      }
      parameters.requireOpen();
      workspace.reset();
      Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, ids.length)); // i32 [1, T]
      tokens.fromHost(MemorySegment.ofArray(ids));
      Tensor logits = model.next(Tape.inference(workspace), tokens, cache); // [1, V]
      return floats(logits, vocabulary);
    }
  }

  private static float[] floats(Tensor t, int count) {
    MemorySegment s = t.toHost();
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      out[i] =
          switch (t.dtype()) {
            case BF16 ->
                Float.intBitsToFloat(s.getAtIndex(ValueLayout.JAVA_SHORT, i) << Short.SIZE);
            case F16 -> Float.float16ToFloat(s.getAtIndex(ValueLayout.JAVA_SHORT, i));
            default -> s.getAtIndex(ValueLayout.JAVA_FLOAT, i);
          };
    }
    return out;
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

  /** Ends all requests; the model stays open. */
  @Override
  public void close() {
    try (Turn _ = device.turn()) {
      closed = true;
      workspace.close();
    }
  }
}
