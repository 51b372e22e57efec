package dev.javelin.train.chat;

import java.util.LinkedHashMap;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/** A row of instruction, input and output. */
final class AlpacaRow {
  private AlpacaRow() {}

  /**
   * What is asked: instruction and input with an empty line between them, and each for itself for
   * the template that writes them so.
   */
  static Message question(String instruction, String input) {
    SequencedMap<String, @Nullable Object> more = new LinkedHashMap<>();
    more.put("instruction", instruction);
    more.put("input", input);
    return new Message(
        Message.USER, input.isEmpty() ? instruction : instruction + "\n\n" + input, more);
  }
}
