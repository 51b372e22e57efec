package dev.javelin.train.settings;

import dev.javelin.nn.Recomputation;
import org.jspecify.annotations.Nullable;

/**
 * Which model is trained, and what it reads.
 *
 * @param model a preset, or a Hugging Face directory; {@code preset:NAME} and {@code ./NAME} where
 *     a name is both
 * @param tokenizer {@code byte}, {@code char}, {@code bpe} or a directory; {@code null} for the one
 *     that comes with the model or the data
 * @param dropout probability with which the embedding and what each layer adds are dropped; {@code
 *     null} for what the model says
 * @param attentionDropout probability with which a weight of attention is dropped; {@code null} for
 *     what the model says, or for none where {@code dropout} is given
 * @param recompute what is computed again in the backward pass: less memory, more time
 * @param quantize {@code none}, or {@code int8} or {@code nf4} for the linear layers of a frozen
 *     base
 */
public record ModelSpec(
    @Also({"model_name_or_path"}) String model,
    @Also({"tokenizer_name"}) @Nullable String tokenizer,
    @Also({"resid_pdrop"}) @Nullable Double dropout,
    @Also({"attn_pdrop"}) @Nullable Double attentionDropout,
    @Also({"gradient_checkpointing"}) Recomputation recompute,
    Quantize quantize) {
  /** What a run has where nothing else is said. */
  public static final ModelSpec DEFAULT =
      new ModelSpec("llama-small", null, null, null, Recomputation.NONE, Quantize.NONE);

  public ModelSpec {
    Checks.require(!model.isEmpty(), "--model must name a preset or a directory");
    Checks.require(
        dropout == null || dropout >= 0 && dropout < 1,
        "--dropout must lie between 0 and 1 (exclusive), got " + dropout);
    Checks.require(
        attentionDropout == null || attentionDropout >= 0 && attentionDropout < 1,
        "--attention-dropout must lie between 0 and 1 (exclusive), got " + attentionDropout);
  }

  public ModelSpec withQuantize(Quantize value) {
    return Components.with(this, "quantize", value);
  }

  public ModelSpec withModel(String value) {
    return Components.with(this, "model", value);
  }

  public ModelSpec withTokenizer(@Nullable String value) {
    return Components.with(this, "tokenizer", value);
  }

  public ModelSpec withDropout(@Nullable Double value) {
    return Components.with(this, "dropout", value);
  }

  public ModelSpec withAttentionDropout(@Nullable Double value) {
    return Components.with(this, "attentionDropout", value);
  }

  public ModelSpec withRecompute(Recomputation value) {
    return Components.with(this, "recompute", value);
  }

  /** The model of that name or directory. */
  public static ModelSpec named(String model) {
    return DEFAULT.withModel(model);
  }
}
