package dev.javelin.train.chat;

/** What a row says, before it is tokens. */
sealed interface Sample {
  /** What the assistant says in it is learned. */
  record Talk(Conversation conversation) implements Sample {}

  /** What follows the prompt is learned; no template writes it. */
  record Plain(String prompt, String completion) implements Sample {}

  /** Two answers to one prompt. */
  record Pair(Sample chosen, Sample rejected) implements Sample {}
}
