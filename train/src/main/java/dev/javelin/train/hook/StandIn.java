package dev.javelin.train.hook;

/** Other weights in the place of the trained ones for an evaluation; closing puts those back. */
public interface StandIn extends AutoCloseable {
  /** The key of its loss in the log, such as {@code ema_eval_loss}. */
  String key();

  @Override
  void close();
}
