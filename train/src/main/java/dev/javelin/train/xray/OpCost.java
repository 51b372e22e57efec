package dev.javelin.train.xray;

import dev.javelin.autograd.Probe.Step;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Transformer;
import dev.javelin.train.xray.Xray.Cost;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * What a function costs by its definition. Operations of products are 2 per multiply-add and
 * nothing else, as is the custom (PaLM, appendix B); of other functions each addition,
 * multiplication, division, root and exponential is 1. With n elements of the result, R rows,
 * products of [R, K] and [N, K], P pairs of a query and a key that it sees, H heads of D features:
 *
 * <pre>
 * function               forward             backward
 * linear                 2·R·K·N             2·R·K·N for x, 2·R·K·N for the weight, n for the bias
 * linear_cross_entropy   6·R·K·N, its gradients are made in the forward pass
 * attention              4·P·H·D             8·P·H·D
 * low_rank               2·R·(K·r + r·N)     4·R·(K·r + r·N)
 * matmul                 2·n·K               4·n·K
 * embedding              0; n with positions n a table
 * rms_norm               4·n                 9·n
 * layer_norm             7·n                 12·n
 * add_…_norm             n more              n more
 * rope                   3·n                 3·n
 * qk_norm_rope           7·n                 12·n
 * glu                    5·n                 11·n
 * softmax                5·n                 4·n
 * an activation          4·n                 6·n
 * others                 n                   n for each input with a gradient
 * </pre>
 *
 * <p>Bytes are those that must move at least: inputs once and outputs once; backward the outputs'
 * gradients, the inputs where the formula needs them, the inputs' gradients once, and those of
 * parameters twice, since they add. Of a table only the rows that are looked up count.
 *
 * @see <a href="https://arxiv.org/abs/2204.02311">PaLM, appendix B</a>
 */
final class OpCost {
  /** Functions whose gradient does not depend on what they read. */
  private static final Set<String> LINEAR =
      Set.of(
          "add",
          "subtract",
          "scale",
          "dropout",
          "embedding",
          "cast",
          "contiguous",
          "broadcast",
          "concat",
          "sum",
          "mean",
          "rope",
          "qk_rope");

  private static final Set<String> ACTIVATIONS =
      Arrays.stream(Activation.values())
          .map(f -> f.name().toLowerCase(Locale.ROOT))
          .collect(Collectors.toUnmodifiableSet());

  private OpCost() {}

  /** Pairs of a query and a key that it sees, of {@code tokens} in a row; window 0 for none. */
  static long pairs(int tokens, int window) {
    long pairs = 0;
    for (int i = 1; i <= tokens; i++) {
      pairs += window == 0 ? i : Math.min(i, window);
    }
    return pairs;
  }

  /** The forward pass of a function that has run, without its time. */
  static Cost forward(Step step, Transformer model) {
    double bytes = bytes(step.outputs()) + read(step);
    double flops = flops(step, model);
    if (step.name().equals("linear_cross_entropy")) {
      bytes += written(step);
      flops *= 1 + wanted(step, 0) + wanted(step, 1);
    }
    return new Cost(flops, bytes, 0);
  }

  /** The backward pass. */
  static Cost backward(Step step, Transformer model) {
    if (step.name().equals("linear_cross_entropy") || !step.outputs().getFirst().requiresGrad()) {
      return Cost.NONE;
    }
    double bytes =
        bytes(step.outputs()) + (LINEAR.contains(step.name()) ? 0 : read(step)) + written(step);
    return new Cost(flopsBack(step, model), bytes, 0);
  }

  private static double flops(Step step, Transformer model) {
    double n = elements(step.outputs().getLast());
    Var x = Objects.requireNonNull(step.inputs().getFirst());
    double k = x.value().rank() == 0 ? 1 : x.value().last();
    return switch (step.name()) {
      case "linear", "quantized_linear", "matmul" -> 2 * n * k;
      case "linear_cross_entropy" -> 2 * elements(x) * required(step, 1).value().dim(0);
      case "attention" -> 4 * attention(step, model);
      case "low_rank" -> lowRank(step);
      case "embedding" -> step.inputs().size() > 1 ? n : 0;
      case "rms_norm" -> 4 * n;
      case "add_rms_norm" -> 5 * n;
      case "layer_norm" -> 7 * n;
      case "add_layer_norm" -> 8 * n;
      case "rope" -> 3 * n;
      case "qk_rope" -> 3 * elements(step);
      case "qk_norm_rope" -> 7 * elements(step);
      case "glu", "softmax", "log_softmax" -> 5 * n;
      default -> ACTIVATIONS.contains(step.name()) ? 4 * n : n;
    };
  }

  private static double flopsBack(Step step, Transformer model) {
    double n = elements(step.outputs().getLast());
    double flops = flops(step, model);
    return switch (step.name()) {
      case "linear" -> flops * (wanted(step, 0) + wanted(step, 1)) + n * wanted(step, 2);
      case "quantized_linear" -> flops * wanted(step, 0) + n * wanted(step, 1);
      case "matmul" -> flops * (wanted(step, 0) + wanted(step, 1));
      case "attention", "low_rank" -> 2 * flops;
      case "embedding" -> n * (wanted(step, 0) + wanted(step, 1));
      case "rms_norm" -> 9 * n;
      case "add_rms_norm" -> 10 * n;
      case "layer_norm" -> 12 * n;
      case "add_layer_norm" -> 13 * n;
      case "rope", "qk_rope" -> flops;
      case "qk_norm_rope" -> 12 * elements(step);
      case "glu" -> 11 * n;
      case "softmax", "log_softmax" -> 4 * n;
      default -> {
        if (ACTIVATIONS.contains(step.name())) {
          yield 6 * n;
        }
        int wanted = 0;
        for (int i = 0; i < step.inputs().size(); i++) {
          wanted += wanted(step, i);
        }
        yield wanted * n;
      }
    };
  }

  /** {@code P·H·D}. */
  private static double attention(Step step, Transformer model) {
    Var q = required(step, 0);
    int window = model.blocks().get(step.layer()).attn().window();
    return (double) q.shape().dim(2) * q.shape().dim(3) * pairs(q.shape().dim(1), window);
  }

  private static double lowRank(Step step) {
    double rows = required(step, 1).value().rows();
    double flops = 2 * rows * elements(required(step, 2));
    for (int i = 3; i < step.inputs().size(); i++) {
      flops += 2 * rows * elements(required(step, i));
    }
    return flops;
  }

  private static Var required(Step step, int input) {
    return Objects.requireNonNull(step.inputs().get(input));
  }

  /** 1 where the gradient of an input is wanted, else 0. */
  private static int wanted(Step step, int input) {
    Var v = input < step.inputs().size() ? step.inputs().get(input) : null;
    return v != null && v.requiresGrad() ? 1 : 0;
  }

  private static double elements(Var v) {
    return v.value().elements();
  }

  /** Of all outputs. */
  private static double elements(Step step) {
    return step.outputs().stream().mapToDouble(OpCost::elements).sum();
  }

  private static double bytes(Iterable<? extends @Nullable Var> vars) {
    double bytes = 0;
    for (Var v : vars) {
      bytes += v == null ? 0 : v.value().dtype().bytes(v.value().elements());
    }
    return bytes;
  }

  /** Of the inputs. */
  private static double read(Step step) {
    return step.name().equals("embedding")
        ? step.inputs().size() * bytes(step.outputs())
        : bytes(step.inputs());
  }

  /** Of the inputs' gradients. */
  private static double written(Step step) {
    double bytes = 0;
    for (Var v : step.inputs()) {
      if (v == null || !v.requiresGrad()) {
        continue;
      }
      boolean parameter = v.origin().parameter() != null;
      double count =
          step.name().equals("embedding") ? elements(step.outputs().getFirst()) : elements(v);
      bytes +=
          parameter ? 2 * DType.F32.bytes((long) count) : v.value().dtype().bytes((long) count);
    }
    return bytes;
  }
}
