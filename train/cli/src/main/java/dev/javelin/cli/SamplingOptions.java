package dev.javelin.cli;

import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import java.util.List;
import picocli.CommandLine.Option;

/** How a text is drawn: the flags that {@code generate} and {@code chat} share. */
final class SamplingOptions {
  @Option(
      names = {"--max-new-tokens", "--num-tokens"},
      paramLabel = "N",
      description = "Stop after this many tokens. Default: ${DEFAULT-VALUE}.")
  private int maxNewTokens = 200;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "Divide the logits by this; 0 always takes the most likely token. Default: ${DEFAULT-VALUE}.")
  private double temperature = 0.8;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "Sample from the K most likely tokens; 0 uses all. Default: ${DEFAULT-VALUE}.")
  private int topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "Sample from the smallest set of tokens whose probabilities add up to P. Default: ${DEFAULT-VALUE}.")
  private double topP = 1;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      description =
          "Sample from tokens at least P times as likely as the likeliest; 0 uses all. Default: ${DEFAULT-VALUE}.")
  private double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "P",
      description =
          "Above 1 makes tokens that already occurred less likely. Default: ${DEFAULT-VALUE}.")
  private double repetitionPenalty = 1;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      description = "Stop before this text; may be repeated. Default: none.")
  private List<String> stop = List.of();

  @Option(
      names = "--seed",
      paramLabel = "N",
      description =
          "Seed for sampling; each further prompt or turn adds 1. Default: ${DEFAULT-VALUE}.")
  private long seed = 1;

  Request request() {
    return new Request(
        "",
        maxNewTokens,
        new Sampler(temperature, topK, topP, minP, seed),
        repetitionPenalty,
        stop);
  }
}
