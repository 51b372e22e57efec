package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.AdamW8bitCpu;
import dev.javelin.kernels.cuda.AdamW8bitCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@link AdamW} with moments in eight bits. Each {@link #BLOCK} neighbours share a scale, so that
 * the largest of them is the largest code; m is kept in signed codes, and in place of v its root,
 * in unsigned ones, which halves the range of exponents that has to be covered:
 *
 * <pre>
 * m   s eeee mmm    ±(1 + m/8)·2^(e-15)     relative error at most 1/16
 * √v    eeee mmmm    (1 + m/16)·2^(e-15)    relative error at most 1/32, never rounded to 0
 * </pre>
 *
 * A step decodes a block, updates it as AdamW does, moves the weights by what it has then, and
 * encodes the moments again, to nearest.
 *
 * @see <a href="https://arxiv.org/abs/2110.02861">Dettmers et al. 2021, 8-bit optimizers via
 *     block-wise quantization</a>
 */
public final class AdamW8bit {
  /** Elements that share a scale: those of a row of a model's flat buffers. */
  public static final int BLOCK = AdamW8bitCpu.BLOCK;

  private AdamW8bit() {}

  /**
   * One moment.
   *
   * @param codes U8 [n/128, 128]
   * @param scales F32 [n/128]
   */
  public record Moment(Tensor codes, Tensor scales) {}

  /**
   * One update, where {@link GlobalNorm} has decided the step; see {@link AdamW#step}.
   *
   * @param flat n elements, a multiple of 128, in segments that begin and end at such
   * @param epsScale factor on eps, F32 [1], read on the device when the step runs; {@code null} for
   *     1
   */
  public static void step(
      FlatWeights flat,
      Moment m,
      Moment v,
      StepState state,
      float beta1,
      float beta2,
      Epsilon eps,
      @Nullable Tensor epsScale) {
    Check check = Check.that("adamW8bit");
    long blocks = flat.weights().elements() / BLOCK;
    Shape scales = Shape.of(Math.toIntExact(blocks));
    for (Moment moment : List.of(m, v)) {
      check
          .dtype("codes", moment.codes, DType.U8)
          .shape("codes", moment.codes, Shape.of(scales.dim(0), BLOCK))
          .contiguous("codes", moment.codes)
          .dtype("scales", moment.scales, DType.F32)
          .shape("scales", moment.scales, scales)
          .contiguous("scales", moment.scales);
    }
    for (Segment s : flat.segments()) {
      check.is(
          s.from() % BLOCK == 0 && s.to() % BLOCK == 0,
          () -> s + " must begin and end at multiples of " + BLOCK);
    }
    List<Tensor> kept = List.of(m.codes, m.scales, v.codes, v.scales);
    switch (flat.weights().device()) {
      case Cpu cpu ->
          Update.of("adam_w", flat)
              .beside(kept)
              .step(
                  state,
                  s ->
                      new AdamW8bitCpu(
                          cpu, AdamW.constants(s, state, beta1, beta2, eps, epsScale)));
      case Cuda cuda -> {
        check.is(
            flat.grads().offset() % 16 == 0
                && flat.precise().offset() % 16 == 0
                && flat.weights().offset() % 8 == 0
                && m.codes.offset() % 4 == 0
                && v.codes.offset() % 4 == 0,
            () -> "weights, gradients and codes must be aligned to four elements");
        AdamW8bitCuda.step(
            cuda,
            Update.weights(flat),
            kept,
            Update.parts(flat),
            state,
            epsScale,
            AdamW.numbers(beta1, beta2, eps));
      }
    }
  }
}
