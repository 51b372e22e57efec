package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.Trained;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import java.util.function.Predicate;

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

  private final Trained trained;
  private final AdamWConfig config;
  private final int least;
  private final Moment first;
  private final Moment second;
  private final EpsilonScale epsilonScale;

  /** One of the two: codes and scales of large parameters, numbers of small ones. */
  private record Moment(FlatState codes, FlatState scales, FlatState numbers) {
    Moment(String name, Trained trained, Predicate<Parameter> isLarge) {
      this(
          FlatState.parts(
              name + "_codes",
              trained,
              DType.U8,
              p -> isLarge.test(p) ? Shape.of(blockCount(p), BLOCK) : null),
          FlatState.parts(
              name + "_scales",
              trained,
              DType.F32,
              p -> isLarge.test(p) ? Shape.of(blockCount(p)) : null),
          FlatState.parts(name, trained, DType.F32, p -> isLarge.test(p) ? null : p.shape()));
    }

    dev.javelin.tensor.op.AdamW8bit.Moment blocks(Parameter p) {
      return new dev.javelin.tensor.op.AdamW8bit.Moment(codes.part(p), scales.part(p));
    }
  }

  public AdamW8bit(Trained trained, AdamWConfig config) {
    this(trained, config, LEAST);
  }

  /**
   * @param least elements from which on a parameter's moments are codes
   */
  public AdamW8bit(Trained trained, AdamWConfig config, int least) {
    this.trained = trained;
    this.config = config;
    this.least = least;
    this.first = new Moment("exp_avg", trained, this::isLarge);
    this.second = new Moment("exp_avg_sq", trained, this::isLarge);
    this.epsilonScale = new EpsilonScale(trained.device());
  }

  private boolean isLarge(Parameter p) {
    return p.shape().elements() >= least;
  }

  private static int blockCount(Parameter p) {
    return Math.toIntExact((p.shape().elements() + BLOCK - 1) / BLOCK);
  }

  @Override
  public EpsilonScale epsilonScale() {
    return epsilonScale;
  }

  @Override
  public void step(StepState state) {
    for (Parameter p : trained.parameters()) {
      long n = p.shape().elements();
      if (isLarge(p)) {
        dev.javelin.tensor.op.AdamW8bit.step(
            ParameterPart.of(trained, p, 0, (long) BLOCK * blockCount(p)), // with its padding
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
            ParameterPart.of(trained, p),
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
