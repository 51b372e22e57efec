package dev.javelin.train.hook;

/** What a hook wants after a step. */
public sealed interface After {
  /** The next step. */
  After GO_ON = new GoOn();

  /** The next step. */
  record GoOn() implements After {}

  /**
   * Back to the weights of the newest checkpoint of this run, and on with the rows behind those
   * read last. Where there is no checkpoint the run goes on as it is.
   *
   * @param why for the log
   * @param atMost steps that the checkpoint may have: later ones may be damaged already
   */
  record RollBack(String why, long atMost) implements After {
    /** To whatever is the newest. */
    public RollBack(String why) {
      this(why, Long.MAX_VALUE);
    }
  }

  /**
   * The run ends here as one that has diverged does.
   *
   * @param why for the log
   */
  record GiveUp(String why) implements After {}

  /**
   * The run ends here, with a checkpoint.
   *
   * @param why for the log
   */
  record Stop(String why) implements After {}
}
