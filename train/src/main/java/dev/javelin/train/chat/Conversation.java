package dev.javelin.train.chat;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What was said, from first to last.
 *
 * @param messages at least one
 * @param tools what a template calls {@code tools}: JSON objects as {@link
 *     dev.javelin.tensor.io.Json} reads them; null for none
 */
public record Conversation(List<Message> messages, @Nullable List<?> tools) {
  public Conversation {
    messages = List.copyOf(messages);
    tools = tools == null ? null : List.copyOf(tools);
    if (messages.isEmpty()) {
      throw new IllegalArgumentException("a conversation has at least one message");
    }
  }

  /** A conversation without tools. */
  public Conversation(List<Message> messages) {
    this(messages, null);
  }

  public static Conversation of(Message... messages) {
    return new Conversation(List.of(messages));
  }

  /** Its first {@code count} messages. */
  public Conversation first(int count) {
    return new Conversation(messages.subList(0, count), tools);
  }

  /** The same with one more message at its end. */
  public Conversation with(Message next) {
    List<Message> all = new java.util.ArrayList<>(messages);
    all.add(next);
    return new Conversation(all, tools);
  }
}
