package dev.javelin.train.inference;

import dev.javelin.train.chat.Conversation;
import dev.javelin.train.chat.Message;
import dev.javelin.train.data.InputException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A conversation with a model, turn by turn; for one thread at a time. Where it no longer fits the
 * model's positions, its oldest turns are left out for good, but never the system message.
 *
 * <pre>{@code
 * try (Chat chat = new Chat(inference, c -> template.prompt(c, tokenizer), positions, system, Request.of(""))) {
 *   Reply reply = chat.say("Hello!", leftOut -> {}, System.out::print);
 * }
 * }</pre>
 */
public final class Chat implements AutoCloseable {
  private final Session session;
  private final Function<Conversation, int[]> template;
  private final int positions;
  private final @Nullable String system;
  private final Request options;
  private List<Message> turns = new ArrayList<>();
  private long said;

  /**
   * @param template a conversation in tokens that ask for the assistant's turn
   * @param positions of the model, or fewer, which the conversation is to fit
   * @param system what the model is told first; {@code null} for nothing
   * @param options how replies are drawn; each turn adds one to the seed
   */
  public Chat(
      Inference inference,
      Function<Conversation, int[]> template,
      int positions,
      @Nullable String system,
      Request options) {
    this.session = inference.session();
    this.template = template;
    this.positions = positions;
    this.system = system;
    this.options = options;
  }

  /**
   * The model's answer, which with the message is then a part of the conversation.
   *
   * @param leftOut is told, before anything is written, how many messages no longer fit
   * @param out takes the answer as it is written
   * @throws InputException where the message alone does not fit; the conversation is as before
   */
  public Reply say(String message, IntConsumer leftOut, Consumer<String> out) {
    List<Message> kept = new ArrayList<>(turns);
    kept.add(Message.user(message));
    int room = positions - Math.min(options.maxNewTokens(), positions / 2);
    int[] prompt = template.apply(conversation(kept));
    while (prompt.length > room && kept.size() > 1) {
      kept.subList(0, Math.min(2, kept.size() - 1)).clear(); // a message and its answer
      prompt = template.apply(conversation(kept));
    }
    if (prompt.length >= positions) {
      throw new InputException(
          "the message makes %d tokens, and the model has %d positions: shorten it"
              .formatted(prompt.length, positions));
    }
    int dropped = turns.size() + 1 - kept.size();
    if (dropped > 0) {
      leftOut.accept(dropped);
    }
    Sampler sampler = options.sampler();
    Request request =
        options
            .maxNewTokens(Math.min(options.maxNewTokens(), positions - prompt.length))
            .sampler(sampler.withSeed(sampler.seed() + said));
    Reply reply = session.generate(prompt, request, out);
    kept.add(Message.assistant(reply.text()));
    turns = kept;
    said++;
    return reply;
  }

  /** Forgets what was said. */
  public void reset() {
    turns.clear();
  }

  /** What the model still knows, the system message first. */
  public List<Message> messages() {
    return turns.isEmpty() && system == null ? List.of() : conversation(turns).messages();
  }

  private Conversation conversation(List<Message> messages) {
    List<Message> all = new ArrayList<>();
    if (system != null) {
      all.add(Message.system(system));
    }
    all.addAll(messages);
    return new Conversation(all);
  }

  @Override
  public void close() {
    session.close();
  }
}
