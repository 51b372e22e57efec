package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * AdamW whose moments take a byte each, in blocks with a scale; the formula stands at {@link
 * dev.javelin.tensor.op.AdamW8bit}. Parameters of less than {@link #LEAST} elements (norms, biases)
 * keep fp32 moments: they weigh nothing and are sensitive.
 *
 * @see <a href="https://arxiv.org/abs/2110.02861">Dettmers et al. 2021, 8-bit optimizers via
 *     block-wise quantization</a>
 */
public final class AdamW8bit implements Optimizer, EpsilonScale.Scaled {
  /** Elements from which on a parameter's moments are codes. */
  public static final int LEAST = 4096;

  private static final int BLOCK = dev.javelin.tensor.op.AdamW8bit.BLOCK;

  private final ParameterBuffer<?> parameters;
  private final AdamWConfig config;
  private final List<Parameter> trained;
  private final Moment first;
  private final Moment second;
  private final EpsilonScale epsilonScale;

  /** One of the two: codes and scales of large parameters, numbers of small ones. */
  private record Moment(FlatState codes, FlatState scales, FlatState numbers) {
    Moment(String name, ParameterBuffer<?> parameters) {
      this(
          FlatState.parts(name + "_codes", parameters, DType.U8, p -> blocks(p, true)),
          FlatState.parts(name + "_scales", parameters, DType.F32, p -> blocks(p, false)),
          FlatState.parts(name, parameters, DType.F32, p -> isLarge(p) ? null : p.shape()));
    }

    dev.javelin.tensor.op.AdamW8bit.Moment blocks(Parameter p) {
      return new dev.javelin.tensor.op.AdamW8bit.Moment(codes.part(p), scales.part(p));
    }

    private static @Nullable Shape blocks(Parameter p, boolean codes) {
      if (!isLarge(p)) {
        return null;
      }
      int n = Math.toIntExact(ceil(p.shape().elements()));
      return codes ? Shape.of(n, BLOCK) : Shape.of(n);
    }
  }

  public AdamW8bit(ParameterBuffer<?> parameters, AdamWConfig config) {
    this.parameters = parameters;
    this.config = config;
    this.trained = ParameterPart.trained(parameters);
    this.first = new Moment("exp_avg", parameters);
    this.second = new Moment("exp_avg_sq", parameters);
    this.epsilonScale = new EpsilonScale(parameters.gradients().device());
  }

  private static boolean isLarge(Parameter p) {
    return p.shape().elements() >= LEAST;
  }

  private static long ceil(long elements) {
    return (elements + BLOCK - 1) / BLOCK;
  }

  @Override
  public EpsilonScale epsilonScale() {
    return epsilonScale;
  }

  @Override
  public void step(StepState state) {
    for (Parameter p : trained) {
      long n = p.shape().elements();
      if (isLarge(p)) {
        dev.javelin.tensor.op.AdamW8bit.step(
            ParameterPart.of(parameters, p, 0, BLOCK * ceil(n)), // with its padding
            first.blocks(p),
            second.blocks(p),
            state,
            config.beta1(),
            config.beta2(),
            config.epsilon(),
            epsilonScale.tensor());
      } else {
        Tensor m = ParameterPart.flat(first.numbers.part(p), 0, n);
        Tensor v = ParameterPart.flat(second.numbers.part(p), 0, n);
        AdamW.step(
            ParameterPart.of(parameters, p),
            m,
            v,
            state,
            config.beta1(),
            config.beta2(),
            config.epsilon(),
            epsilonScale.tensor());
      }
    }
  }

  @Override
  public List<FlatState> state() {
    return List.of(
        first.codes, first.scales, first.numbers, second.codes, second.scales, second.numbers);
  }

  @Override
  public void close() {
    Optimizer.super.close();
    epsilonScale.close();
  }
}
