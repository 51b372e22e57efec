package dev.javelin.train.chat;

import dev.javelin.tensor.io.Json;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Calls of tools for templates that know none: they become text, so that nothing is lost. */
final class ToolText {
  private ToolText() {}

  static Conversation of(Conversation conversation, ChatTemplate template) {
    boolean none =
        conversation.messages().stream().noneMatch(m -> m.more().get("tool_calls") != null);
    if (none || template.mentions("tool_calls")) {
      return conversation;
    }
    List<Message> messages = new ArrayList<>();
    conversation.messages().forEach(message -> messages.add(folded(message)));
    return new Conversation(messages, conversation.tools());
  }

  /** The content, and below it a line of JSON for each call. */
  private static Message folded(Message message) {
    if (!(message.more().get("tool_calls") instanceof List<?> calls)) {
      return message;
    }
    StringBuilder content = new StringBuilder(message.content());
    for (Object call : calls) {
      Object function =
          call instanceof Map<?, ?> fields && fields.get("function") != null
              ? fields.get("function")
              : call;
      content.append(content.isEmpty() ? "" : "\n").append(Json.writeCompact(function));
    }
    return new Message(message.role(), content.toString(), message.more());
  }
}
