package dev.javelin.train.eval;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What a model is worth on held-out tokens.
 *
 * @param loss mean cross-entropy of the target tokens, nats
 * @param bitsPerByte loss in bits over the bytes of text the targets stand for; {@code null}
 *     without a tokenizer
 * @param tokens target tokens
 */
public record Evaluation(double loss, @Nullable Double bitsPerByte, long tokens) {

  /** {@code exp(loss)} */
  public double perplexity() {
    return Math.exp(loss);
  }

  /** {@code {"loss":…,"perplexity":…,"bits_per_byte":…,"tokens":…}} */
  public String json() {
    return "{\"loss\":"
        + number(loss)
        + ",\"perplexity\":"
        + number(perplexity())
        + ",\"bits_per_byte\":"
        + (bitsPerByte == null ? "null" : number(bitsPerByte))
        + ",\"tokens\":"
        + tokens
        + "}";
  }

  private static String number(double value) {
    return Double.isFinite(value) ? Double.toString(value) : "null";
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "loss %.4f | perplexity %.2f%s | %,d tokens",
        loss,
        perplexity(),
        bitsPerByte == null ? "" : String.format(Locale.ROOT, " | %.4f bits per byte", bitsPerByte),
        tokens);
  }
}
