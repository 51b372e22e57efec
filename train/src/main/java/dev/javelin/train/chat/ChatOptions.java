package dev.javelin.train.chat;

import org.jspecify.annotations.Nullable;

/**
 * How rows become examples.
 *
 * @param format of all files; null to recognise it
 * @param template name of a template; null for that of the tokenizer
 * @param turns what is learned
 * @param skipBadRows pass over rows that cannot be used, and count them
 * @param column the field that holds running text, which says that a file is no conversation
 */
public record ChatOptions(
    @Nullable ChatFormat format,
    @Nullable String template,
    LearnedTurns turns,
    boolean skipBadRows,
    String column) {
  public static final ChatOptions DEFAULT =
      new ChatOptions(null, null, LearnedTurns.ASSISTANT, false, "text");
}
