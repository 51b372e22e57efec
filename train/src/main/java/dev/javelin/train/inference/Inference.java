package dev.javelin.train.inference;

import dev.javelin.device.Device;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Transformer;
import dev.javelin.train.inference.Passes.Seat;
import dev.javelin.train.inference.Reply.Finish;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Writes on from prompts, token by token, with the keys and values of what was read kept in a
 * cache. Where the model's positions are used up, the older half of the text is forgotten.
 *
 * <p>Any number of threads may call it at the same time. They share the weights, and requests that
 * are under way at the same time read their next tokens in one pass, as they come and go; each has
 * its own cache and random numbers, and its reply is the same, bit for bit, whatever else runs. A
 * pass takes one turn on the device ({@link Device#turn}), so a training on the same device goes on
 * between them. A thread that holds a turn must not call it.
 *
 * <p>An interrupt of the calling thread ends its request before the next token. Closing waits for
 * the pass in progress; requests that are not finished then fail with an {@link
 * IllegalStateException}.
 *
 * <pre>{@code
 * try (Inference inference = model.inference()) {
 *   Reply reply = inference.generate(Request.of("Once upon a time").stop("\n"), System.out::print);
 * }
 * }</pre>
 */
public final class Inference implements AutoCloseable {
  private final Device device;
  private final Transformer model;
  private final @Nullable Tokenizer tokenizer;
  private final Set<Integer> endTokens;
  private final Passes passes;

  /**
   * @param parameters stay the caller's
   * @param tokenizer {@code null} where tokens are used without text
   * @param endTokens that end a text
   */
  public Inference(
      ParameterBuffer<Transformer> parameters,
      @Nullable Tokenizer tokenizer,
      Set<Integer> endTokens) {
    this(parameters, parameters.model(), tokenizer, endTokens);
  }

  /**
   * The same.
   *
   * @param model computes with these parameters, and perhaps with adapters beside them
   */
  public Inference(
      ParameterBuffer<Transformer> parameters,
      Transformer model,
      @Nullable Tokenizer tokenizer,
      Set<Integer> endTokens) {
    this.model = model;
    this.device = model.tokens().value().device();
    this.tokenizer = tokenizer;
    this.endTokens = Set.copyOf(endTokens);
    this.passes = new Passes(parameters, model);
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
   * two passes. The pieces are whole characters and together are the reply's text.
   */
  public Reply generate(Request request, Consumer<String> out) {
    return generate(tokens(request.prompt()), request, out);
  }

  /**
   * The same for a prompt that is tokens already, such as a conversation written by its template;
   * the request's own prompt is not read.
   *
   * @throws IllegalArgumentException where the prompt is empty or holds an id that is none
   */
  public Reply generate(int[] prompt, Request request, Consumer<String> out) {
    try (KvCache cache = cache()) {
      return generate(cache, prompt, request, out, held -> {});
    }
  }

  /**
   * The replies to several requests, in their order; see {@link #generate(List, List, int,
   * Replies)}.
   */
  public List<Reply> generate(List<Request> requests, int most, Replies replied) {
    return generate(
        requests.stream().map(r -> tokens(r.prompt())).toList(), requests, most, replied);
  }

  /**
   * The same for prompts that are tokens already; the requests' own are not read.
   *
   * @param most requests under way at a time, at least 1
   * @param replied takes the number of a request and its reply as soon as there is one; in any
   *     order, by one thread at a time
   * @throws IllegalArgumentException where a prompt is empty or holds an id that is none
   */
  public List<Reply> generate(
      List<int[]> prompts, List<Request> requests, int most, Replies replied) {
    prompts.forEach(this::requirePrompt);
    List<Future<Reply>> replies = new ArrayList<>();
    ExecutorService threads = Executors.newFixedThreadPool(Math.clamp(requests.size(), 1, most));
    try {
      for (int i = 0; i < requests.size(); i++) {
        int number = i;
        replies.add(
            threads.submit(
                () -> {
                  Reply reply = generate(prompts.get(number), requests.get(number), piece -> {});
                  synchronized (replies) {
                    replied.reply(number, reply);
                  }
                  return reply;
                }));
      }
      List<Reply> all = new ArrayList<>();
      for (Future<Reply> reply : replies) {
        all.add(reply.get());
      }
      return all;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted before all requests were done", e);
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException cause -> throw cause;
        case Error cause -> throw cause;
        case null, default -> throw new IllegalStateException(e);
      }
    } finally {
      threads.shutdownNow();
      threads.close();
    }
  }

  /** Takes replies as they come. */
  @FunctionalInterface
  public interface Replies {
    void reply(int request, Reply reply);
  }

  /** For the turns of a conversation. */
  public Session session() {
    return new Session(this, cache());
  }

  private KvCache cache() {
    return KvCache.open(device, model.config(), model.tokens().value().dtype());
  }

  /**
   * @param cache of a text that begins like the prompt
   * @param held takes what the cache holds in the end
   */
  Reply generate(
      KvCache cache, int[] prompt, Request request, Consumer<String> out, Consumer<int[]> held) {
    Tokenizer t = tokenizer();
    requirePrompt(prompt);
    TextStream text = new TextStream(t, prompt, request.stop(), out);
    List<Integer> ids = new ArrayList<>();
    Generation generation =
        new Generation(cache, prompt, model.config().positions(), request.maxNewTokens());
    Finish finish;
    try (Seat seat = passes.seat()) {
      finish =
          generation.run(
              seat,
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
    }
    held.accept(generation.held());
    if (finish != Finish.STOP_STRING && text.end()) {
      finish = Finish.STOP_STRING;
    }
    return new Reply(text.text(), ids, finish, generation.forgotten());
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
    requirePrompt(prompt);
    int[] drawn = {0};
    try (KvCache cache = cache();
        Seat seat = passes.seat()) {
      new Generation(cache, prompt, model.config().positions(), maxNewTokens)
          .run(
              seat,
              maxNewTokens,
              model.config().vocab(),
              sampler,
              new RepetitionPenalty(1),
              token -> {
                drawn[0]++;
                return more.test(token) ? null : Finish.STOP_STRING;
              });
    }
    return drawn[0];
  }

  private void requirePrompt(int[] prompt) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("the prompt must hold at least one token");
    }
    for (int token : prompt) {
      if (token < 0 || token >= model.config().vocab()) {
        throw new IllegalArgumentException(
            "token %d of the prompt is outside the model's vocabulary of %d"
                .formatted(token, model.config().vocab()));
      }
    }
  }

  private Tokenizer tokenizer() {
    if (tokenizer == null) {
      throw new IllegalStateException("generate: the model has no tokenizer; use tokens");
    }
    return tokenizer;
  }

  /**
   * A prompt in tokens: special ones in the text are recognised, and what the tokenizer begins a
   * text with is added. For the empty text, what a text begins with.
   */
  public int[] tokens(String text) {
    Tokenizer t = tokenizer();
    return text.isEmpty() ? beginning(t) : t.encodePrompt(text);
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
    passes.close();
  }
}
