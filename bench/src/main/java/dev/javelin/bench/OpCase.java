package dev.javelin.bench;

import dev.javelin.device.DType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.BiFunction;

/**
 * Single operators by the names that comparisons use, {@code name-dims}, for instance {@code
 * rmsnorm-backward-4096x384}: how they are run ({@link OpWork}), and what they cost. How often each
 * operand is moved, and the arithmetic for an element, are what the kernels' headers say.
 */
enum OpCase {
  COPY(OpWork::copy, (t, d) -> elements(t, d, 2, 0)),
  RMSNORM(OpWork::rmsNorm, (t, d) -> elements(t, d, 2, 4)),
  RMSNORM_BACKWARD(OpWork::rmsNormBackward, (t, d) -> elements(t, d, 3, 10)),
  /** The sum with the residual is written too. */
  ADD_RMSNORM(OpWork::addRmsNorm, (t, d) -> elements(t, d, 4, 5)),
  /** With the gradient that comes past the norm; x and h get the same, each its own. */
  ADD_RMSNORM_BACKWARD(OpWork::addRmsNormBackward, (t, d) -> elements(t, d, 5, 11)),
  LAYERNORM(OpWork::layerNorm, (t, d) -> elements(t, d, 2, 8)),
  LAYERNORM_BACKWARD(OpWork::layerNormBackward, (t, d) -> elements(t, d, 3, 14)),
  ADD_LAYERNORM(OpWork::addLayerNorm, (t, d) -> elements(t, d, 4, 9)),
  ADD_LAYERNORM_BACKWARD(OpWork::addLayerNormBackward, (t, d) -> elements(t, d, 5, 15)),
  GELU(OpWork::gelu, (t, d) -> elements(t, d, 2, 20)),
  GELU_BACKWARD(OpWork::geluBackward, (t, d) -> elements(t, d, 3, 40)),
  SWIGLU(OpWork::swiGlu, (t, d) -> elements(t, d, 3, 15)),
  SWIGLU_BACKWARD(OpWork::swiGluBackward, (t, d) -> elements(t, d, 5, 30)),
  SOFTMAX(OpWork::softmax, (t, d) -> elements(t, d, 2, 10)),
  SOFTMAX_BACKWARD(OpWork::softmaxBackward, (t, d) -> elements(t, d, 3, 10)),
  CROSS_ENTROPY(OpWork::crossEntropy, (t, d) -> elements(t, d, 1, 10)),
  CROSS_ENTROPY_BACKWARD(OpWork::crossEntropyBackward, (t, d) -> elements(t, d, 2, 10)),
  /** Rows, columns, vocabulary: loss and both gradients. */
  LINEAR_CROSS_ENTROPY(
      OpWork::linearCrossEntropy, (t, d) -> StepCost.sum(HeadCost.of(t, d[0], d[1], d[2]))),
  /** Batch, time steps, heads, features. Its backward pass moves the same. */
  ROPE(OpWork::rope, (t, d) -> elements(t, d, 2, 3)),
  /** Ten rounds of Philox for four elements. */
  DROPOUT(OpWork::dropout, (t, d) -> elements(t, d, 2, 20)),
  /** Tokens, columns, vocabulary. */
  EMBEDDING(OpWork::embedding, (t, d) -> elements(t, leading(d), 2, 0)),
  /** As if all tokens were different. */
  EMBEDDING_BACKWARD(OpWork::embeddingBackward, OpCase::embeddingBackward),
  BIAS_GRADIENT(OpWork::biasGradient, (t, d) -> elements(t, d, 1, 1)),
  GLOBAL_NORM(OpWork::globalNorm, (t, d) -> elements(DType.F32, d, 1, 2)),
  /**
   * Reads and writes w, m, v, gradient; and writes a copy of the weights where these are halves.
   */
  ADAMW(OpWork::adamW, OpCase::adamW),
  /** Batch, time steps, heads, features; causal. */
  ATTENTION((o, d) -> attention(d, false).on(o), (t, d) -> attention(d, false).cost(t)),
  ATTENTION_BACKWARD((o, d) -> attention(d, true).on(o), (t, d) -> attention(d, true).cost(t)),
  /** Of the CPU only. */
  EXP(OpWork::exp, (t, d) -> elements(t, d, 2, 10));

  private interface Rule {
    Cost cost(DType type, int... dims);
  }

  private final BiFunction<Operands, int[], Runnable> work;
  private final Rule rule;

  OpCase(BiFunction<Operands, int[], Runnable> work, Rule rule) {
    this.work = work;
    this.rule = rule;
  }

  private static OpCase named(String name) {
    String op = name.substring(0, name.lastIndexOf('-'));
    for (OpCase c : values()) {
      if (c.name().toLowerCase(Locale.ROOT).replace('_', '-').equals(op)) {
        return c;
      }
    }
    throw new IllegalArgumentException("no such case: " + name);
  }

  private static int[] dims(String name) {
    String dims = name.substring(name.lastIndexOf('-') + 1);
    return Arrays.stream(dims.split("x")).mapToInt(Integer::parseInt).toArray();
  }

  /** The operator on tensors that are allocated once. */
  static Runnable on(Operands operands, String name) {
    return named(name).work.apply(operands, dims(name));
  }

  /** Kernel by kernel where they are bound by different things, else as one. */
  static List<StepCost.Part> parts(String name, DType type) {
    OpCase op = named(name);
    int[] d = dims(name);
    return op == LINEAR_CROSS_ENTROPY
        ? HeadCost.of(type, d[0], d[1], d[2])
        : List.of(new StepCost.Part(name, 1, op.cost(type, d)));
  }

  Cost cost(DType type, int... dims) {
    return rule.cost(type, dims);
  }

  /** Each element of so many operands once. */
  private static Cost elements(DType type, int[] dims, double operands, double flops) {
    double n = Arrays.stream(dims).asDoubleStream().reduce(1, (a, b) -> a * b);
    return Cost.elementwise(n * operands * type.bytes(1), n * flops);
  }

  private static int[] leading(int[] dims) {
    return Arrays.copyOf(dims, dims.length - 1);
  }

  private static Cost embeddingBackward(DType type, int... dims) {
    double n = (double) dims[0] * dims[1];
    return Cost.elementwise(n * (type.bytes(1) + 8), n);
  }

  private static Cost adamW(DType type, int... dims) {
    double bytes = 32 + (type == DType.F32 ? 0 : type.bytes(1));
    return Cost.elementwise(bytes * dims[0], 15.0 * dims[0]);
  }

  private static AttentionShape attention(int[] dims, boolean backward) {
    return new AttentionShape(dims[0], dims[2], dims[2], dims[1], dims[3], backward);
  }
}
