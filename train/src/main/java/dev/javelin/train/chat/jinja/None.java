package dev.javelin.train.chat.jinja;

/** Python's {@code None}; JSON's null. */
enum None {
  NONE
}
