package dev.javelin.train.chat;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One turn of a conversation.
 *
 * @param role who speaks: {@code system}, {@code user}, {@code assistant}, {@code tool}, or what
 *     else a template knows
 * @param content what is said
 * @param more further fields for the template, such as {@code name} or {@code tool_calls}: values
 *     as {@link dev.javelin.tensor.io.Json} reads them
 */
public record Message(String role, String content, SequencedMap<String, @Nullable Object> more) {
  public static final String SYSTEM = "system";
  public static final String USER = "user";
  public static final String ASSISTANT = "assistant";

  /**
   * Roles that a template may build a control token of, as {@code <|user|>}; others are data, or
   * one called {@code endoftext} could end the text.
   */
  static final Set<String> KNOWN_ROLES =
      Set.of(
          SYSTEM,
          USER,
          ASSISTANT,
          "tool",
          "developer",
          "function",
          "model",
          "ipython",
          "observation",
          "environment");

  public Message {
    more = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(more));
  }

  /** Role and content alone. */
  public Message(String role, String content) {
    this(role, content, Collections.emptySortedMap());
  }

  public static Message system(String content) {
    return new Message(SYSTEM, content);
  }

  public static Message user(String content) {
    return new Message(USER, content);
  }

  public static Message assistant(String content) {
    return new Message(ASSISTANT, content);
  }
}
