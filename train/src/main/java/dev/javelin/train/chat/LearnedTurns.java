package dev.javelin.train.chat;

/** Which parts of a conversation a model is to learn to write. */
public enum LearnedTurns {
  /** All that the assistant says, the end of its turns included. */
  ASSISTANT,
  /** The same of the last turn of the assistant. */
  LAST,
  /** Every token. */
  ALL
}
