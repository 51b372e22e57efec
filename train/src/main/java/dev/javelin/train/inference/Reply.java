package dev.javelin.train.inference;

import java.util.List;

/**
 * What a model wrote.
 *
 * @param text without the prompt, and without the stop string or end token that ended it
 * @param ids the tokens that were drawn, those of a stop string included, an end token not
 * @param finish why there is no more of it
 * @param forgotten how many tokens, from the prompt's first on, the model no longer saw at the end,
 *     since its positions were used up
 */
public record Reply(String text, List<Integer> ids, Finish finish, int forgotten) {

  public Reply {
    ids = List.copyOf(ids);
  }

  /** Why a text ends. */
  public enum Finish {
    /** As many tokens were drawn as asked for. */
    LENGTH,
    /** The model drew one of its end tokens. */
    END_TOKEN,
    /** One of the request's stop strings came. */
    STOP_STRING,
    /** The thread was interrupted; it still is. */
    INTERRUPTED
  }
}
