package dev.javelin.nn;

/**
 * The decoders of Hugging Face that {@link Transformer} can be. What tells them apart are switches
 * of one model, not classes of their own.
 */
public enum Architecture {
  /** RMSNorm, rotary positions, grouped queries, SwiGLU; Llama 2, 3, 3.1 and the many like it. */
  LLAMA("llama", "LlamaForCausalLM", false, false),
  /** Llama with a sliding window. */
  MISTRAL("mistral", "MistralForCausalLM", false, false),
  /** Llama with biases on q, k and v. */
  QWEN2("qwen2", "Qwen2ForCausalLM", true, false),
  /** Llama with RMSNorm on each head of q and k. */
  QWEN3("qwen3", "Qwen3ForCausalLM", false, true),
  /** LayerNorm, learned positions, GELU, biases everywhere but in the head. */
  GPT2("gpt2", "GPT2LMHeadModel", true, false);

  private final String modelType;
  private final String className;
  private final boolean qkvBias;
  private final boolean qkNorm;

  Architecture(String modelType, String className, boolean qkvBias, boolean qkNorm) {
    this.modelType = modelType;
    this.className = className;
    this.qkvBias = qkvBias;
    this.qkNorm = qkNorm;
  }

  /** {@code model_type} in {@code config.json}. */
  public String modelType() {
    return modelType;
  }

  /** The one of {@code architectures} in {@code config.json}. */
  public String className() {
    return className;
  }

  boolean qkvBias() {
    return qkvBias;
  }

  boolean qkNorm() {
    return qkNorm;
  }
}
