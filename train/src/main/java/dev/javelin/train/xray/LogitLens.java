package dev.javelin.train.xray;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.nn.Norm;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.xray.Xray.Guess;
import dev.javelin.train.xray.Xray.Lens;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What a model would predict if it ended at some place of the residual stream: its final norm and
 * its head, with the model's own operators, then the softmax in double.
 *
 * @see <a href="https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens">
 *     nostalgebraist 2020, the logit lens</a>
 */
final class LogitLens implements AutoCloseable {
  static final int TOP = 5;
  private static final int LOGITS_BYTES = 16 << 20; // on the heap at a time

  private final Transformer model;
  private final int[] targets; // −1: none
  private final IntFunction<String> text;
  private final Workspace aside; // so that the step's own memory is what it is without

  /**
   * @param targets by token; −1 for none
   * @param text of a token
   */
  LogitLens(Transformer model, int[] targets, IntFunction<String> text) {
    this.model = model;
    this.targets = targets;
    this.text = text;
    this.aside = Workspace.on(model.tokens().value().device(), 16 << 20);
  }

  /** For each token, of the stream {@code sum + pending}, [1, T, C]. */
  List<Lens> of(Tensor sum, @Nullable Tensor pending) {
    Lens[] all = new Lens[targets.length];
    forLogits(sum, pending, (token, logits) -> all[token] = lens(token, logits));
    return Arrays.asList(all);
  }

  /** Takes the logits of a token. */
  private interface Row {
    void take(int token, float[] logits);
  }

  private void forLogits(Tensor sum, @Nullable Tensor pending, Row row) {
    try {
      Tape tape = Tape.inference(aside);
      Var added = pending == null ? null : tape.constant(pending);
      Tensor normed =
          model.norm().forward(new Norm.Stream(tape.constant(sum), added)).norm().value();
      Tensor rows = normed.reshape(normed.rows(), normed.last());
      int vocab = model.config().vocab();
      int chunk = Math.max(1, LOGITS_BYTES / (Float.BYTES * vocab));
      for (int from = 0; from < targets.length; from += chunk) {
        int first = from;
        int to = Math.min(targets.length, from + chunk);
        try (Workspace.Scope _ = aside.scope()) {
          float[] logits = model.logits(tape.constant(rows.slice(0, from, to))).value().toFloats();
          IntStream.range(from, to)
              .parallel()
              .forEach(
                  t ->
                      row.take(
                          t,
                          Arrays.copyOfRange(
                              logits, (t - first) * vocab, (t - first + 1) * vocab)));
        }
      }
    } finally {
      aside.reset();
    }
  }

  private Lens lens(int token, float[] logits) {
    double log = logOfSum(logits);
    int[] top = top(logits);
    List<Guess> guesses =
        Arrays.stream(top)
            .mapToObj(id -> new Guess(id, text.apply(id), Math.exp(logits[id] - log)))
            .toList();
    int target = targets[token];
    return target < 0
        ? new Lens(guesses, Double.NaN, 0)
        : new Lens(guesses, Math.exp(logits[target] - log), rank(logits, target));
  }

  /** {@code ln Σ e^x}. */
  private static double logOfSum(float[] logits) {
    double max = Double.NEGATIVE_INFINITY;
    for (float v : logits) {
      max = Math.max(max, v);
    }
    double sum = 0;
    for (float v : logits) {
      sum += Math.exp(v - max);
    }
    return max + Math.log(sum);
  }

  /** The ids of the largest, the first of equals first. */
  private static int[] top(float[] logits) {
    int[] ids = new int[Math.min(TOP, logits.length)];
    int count = 0;
    for (int id = 0; id < logits.length; id++) {
      if (count == ids.length && !(logits[id] > logits[ids[count - 1]])) {
        continue;
      }
      int at = count < ids.length ? count++ : count - 1;
      while (at > 0 && logits[id] > logits[ids[at - 1]]) {
        ids[at] = ids[at - 1];
        at--;
      }
      ids[at] = id;
    }
    return ids;
  }

  private static int rank(float[] logits, int target) {
    int rank = 1;
    for (int id = 0; id < logits.length; id++) {
      if (logits[id] > logits[target] || logits[id] == logits[target] && id < target) {
        rank++;
      }
    }
    return rank;
  }

  @Override
  public void close() {
    aside.close();
  }
}
