package dev.javelin.train.inference;

import java.util.List;

/**
 * What a model is to write. Immutable; the same request gives the same reply, whatever else the
 * model is asked at the time.
 *
 * <pre>{@code
 * Request.of("Once upon a time").maxNewTokens(100).sampler(new Sampler(0.8, 40, 0.95, 1)).stop("\n\n")
 * }</pre>
 *
 * @param prompt what to go on from; empty for the beginning of a text
 * @param maxNewTokens the most tokens to draw, 0 to {@link #MOST_NEW_TOKENS}
 * @param sampler how tokens are drawn, with the seed of the random numbers
 * @param repetitionPenalty more than 1 makes tokens of the prompt and of the text so far less
 *     likely, less than 1 more likely; see {@link RepetitionPenalty}
 * @param stop strings that end the text; it ends before the first of them
 */
public record Request(
    String prompt, int maxNewTokens, Sampler sampler, double repetitionPenalty, List<String> stop) {
  public static final int MOST_NEW_TOKENS = 1 << 24;

  private static final int DEFAULT_NEW_TOKENS = 200;

  /**
   * @throws IllegalArgumentException where a value is outside its range, or a stop string is empty
   */
  public Request {
    requireNewTokens(maxNewTokens);
    RepetitionPenalty.require(repetitionPenalty);
    stop = List.copyOf(stop);
    if (stop.contains("")) {
      throw new IllegalArgumentException("--stop must not be empty: leave it out to stop nowhere");
    }
  }

  /** At most 200 tokens, each the most likely one. */
  public static Request of(String prompt) {
    return new Request(prompt, DEFAULT_NEW_TOKENS, Sampler.GREEDY, 1, List.of());
  }

  /** The same options for another prompt. */
  public Request prompt(String other) {
    return new Request(other, maxNewTokens, sampler, repetitionPenalty, stop);
  }

  public Request maxNewTokens(int most) {
    return new Request(prompt, most, sampler, repetitionPenalty, stop);
  }

  public Request sampler(Sampler other) {
    return new Request(prompt, maxNewTokens, other, repetitionPenalty, stop);
  }

  public Request repetitionPenalty(double penalty) {
    return new Request(prompt, maxNewTokens, sampler, penalty, stop);
  }

  public Request stop(String... strings) {
    return new Request(prompt, maxNewTokens, sampler, repetitionPenalty, List.of(strings));
  }

  static void requireNewTokens(int most) {
    if (most < 0 || most > MOST_NEW_TOKENS) {
      throw new IllegalArgumentException(
          "--max-new-tokens must lie between 0 and " + MOST_NEW_TOKENS + ", got " + most);
    }
  }
}
