package dev.javelin.train.chat.jinja;

/** What can be called in an expression. */
interface Callable {
  Object call(Evaluator with, Args args);
}
