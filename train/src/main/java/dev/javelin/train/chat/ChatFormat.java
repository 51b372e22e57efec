package dev.javelin.train.chat;

import dev.javelin.train.data.format.Document;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** What the rows of a file are, recognised by their fields. */
public enum ChatFormat {
  /** Running text in one field. */
  TEXT,
  /** {@code {"messages": [{"role": "user", "content": "…"}, …]}}, as OpenAI has them. */
  MESSAGES,
  /** {@code {"conversations": [{"from": "human", "value": "…"}, …]}}. */
  SHAREGPT,
  /** {@code {"instruction": "…", "input": "…", "output": "…"}}. */
  ALPACA,
  /** {@code {"prompt": "…", "completion": "…"}}; each text or messages. */
  PROMPT_COMPLETION,
  /** {@code {"prompt": "…", "chosen": "…", "rejected": "…"}}; each text or messages. */
  PREFERENCE;

  /** As settings write it. */
  public String title() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Whether rows become examples of their own, with parts that are learned. */
  public boolean isConversation() {
    return this != TEXT;
  }

  /**
   * The format of a row, empty where it is of none.
   *
   * @param column the field that holds running text
   */
  static Optional<ChatFormat> of(Document row, String column) {
    Map<String, @Nullable Object> fields = row.fields();
    if (fields.containsKey("chosen") && fields.containsKey("rejected")) {
      return Optional.of(PREFERENCE);
    }
    if (fields.get("messages") instanceof List<?>) {
      return Optional.of(MESSAGES);
    }
    if (fields.get("conversations") instanceof List<?> turns) {
      boolean roles =
          !turns.isEmpty() && turns.getFirst() instanceof Map<?, ?> m && m.containsKey("role");
      return Optional.of(roles ? MESSAGES : SHAREGPT);
    }
    if (fields.containsKey("instruction")
        && (fields.containsKey("output") || fields.containsKey("response"))) {
      return Optional.of(ALPACA);
    }
    if (fields.containsKey("prompt")
        && (fields.containsKey("completion") || fields.containsKey("response"))) {
      return Optional.of(PROMPT_COMPLETION);
    }
    return fields.containsKey(column) ? Optional.of(TEXT) : Optional.empty();
  }
}
