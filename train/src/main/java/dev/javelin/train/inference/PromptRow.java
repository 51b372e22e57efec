package dev.javelin.train.inference;

import dev.javelin.train.chat.Conversation;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * A prompt from a file, with what the file says of it.
 *
 * @param place where it stands, {@code prompts.jsonl: line 3}
 * @param fields of its JSON object, in the file's order; of a plain line, {@code prompt} alone
 * @param conversation whose next turn is asked for; {@code null} where the request has the prompt
 * @param request with the row's own options
 * @see PromptRows
 */
public record PromptRow(
    String place,
    SequencedMap<String, @Nullable Object> fields,
    @Nullable Conversation conversation,
    Request request) {
  static final String REPLY = "reply";
  static final String FINISH = "finish";
  static final String NEW_TOKENS = "new_tokens";
  static final String FORGOTTEN = "forgotten_tokens";

  public PromptRow {
    fields = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(fields));
  }

  /** A plain prompt. */
  static PromptRow plain(String place, String prompt, Request options) {
    SequencedMap<String, @Nullable Object> fields = new LinkedHashMap<>();
    fields.put(PromptRows.PROMPT, prompt);
    return new PromptRow(place, fields, null, options.prompt(prompt));
  }

  /**
   * The row with its reply, as a line of a JSONL file: {@code reply}, {@code finish} ({@code
   * length}, {@code end_token} or {@code stop_string}), {@code new_tokens}, and {@code
   * forgotten_tokens} where there are any.
   */
  public SequencedMap<String, @Nullable Object> with(Reply reply) {
    SequencedMap<String, @Nullable Object> all = new LinkedHashMap<>(fields);
    all.put(REPLY, reply.text());
    all.put(FINISH, reply.finish().name().toLowerCase(Locale.ROOT));
    all.put(NEW_TOKENS, (long) reply.ids().size());
    if (reply.forgotten() > 0) {
      all.put(FORGOTTEN, (long) reply.forgotten());
    }
    return all;
  }
}
