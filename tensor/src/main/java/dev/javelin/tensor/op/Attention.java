package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaHeads;
import static dev.javelin.tensor.op.Operands.cudaHeadsOrNull;
import static dev.javelin.tensor.op.Operands.heads;
import static dev.javelin.tensor.op.Operands.headsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.kernels.cpu.AttentionCpu;
import dev.javelin.kernels.cpu.AttentionShape;
import dev.javelin.kernels.cpu.DropoutCpu;
import dev.javelin.kernels.cpu.MaskView;
import dev.javelin.kernels.cuda.AttentionCuda;
import dev.javelin.kernels.cuda.CudaDropout;
import dev.javelin.kernels.cuda.CudaMask;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Scaled dot-product attention with grouped queries, in memory linear in the length.
 *
 * @see <a href="https://arxiv.org/abs/2205.14135">Dao et al. 2022, FlashAttention</a>
 */
public final class Attention {
  private Attention() {}

  /** {@code 1 / sqrt(D)}, the usual scale. */
  public static float scale(Tensor q) {
    return (float) (1 / Math.sqrt(q.last()));
  }

  /**
   * Why a device has no kernels for heads of {@code headDim} features, and what to do; {@code null}
   * where it has. Of all operators this one alone has such a limit: a GPU keeps whole heads in
   * shared memory.
   */
  public static @Nullable String obstacle(Device device, int headDim) {
    return switch (device) {
      case Cpu _ -> null;
      case Cuda _ ->
          headDim <= AttentionCuda.MAX_DIM
              ? null
              : "kernels for GPUs take head dimensions up to %d, got %d; use --device cpu"
                  .formatted(AttentionCuda.MAX_DIM, headDim);
    };
  }

  private static void checkKernels(Check check, Tensor q) {
    String obstacle = obstacle(q.device(), q.last());
    check.is(obstacle == null, () -> obstacle + ", for q " + q.shape());
  }

  /**
   * {@code o[b,i,h] = Σ_j softmax_j(scale · q[b,i,h]·k[b,j,h']) · v[b,j,h']} over the keys that the
   * mask shows, {@code h' = h / (H / Hkv)}; {@code lse[b,h,i]} is the logarithm of the softmax's
   * denominator, −∞ for a query that sees nothing, whose o is 0.
   *
   * <p>q, o [B, Tq, H, D], k, v [B, Tk, Hkv, D], of one float type, with a dense last dimension and
   * any other strides, so that parts of a packed qkv, transposed tensors and parts of a KV cache
   * need no copy; Tq ≤ Tk; lse F32 [B, H, Tq]. Arithmetic in fp32; on a GPU products of half types
   * go through tensor cores with fp32 sums, probabilities rounded to the type, and D ≤ 256.
   * 4·B·H·Tq·Tk·D operations, half of that under a causal mask with Tq = Tk.
   */
  public static void forward(
      Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale) {
    forward(o, lse, q, k, v, mask, scale, null);
  }

  /**
   * The same with dropout of the softmax's weights; lse does not feel it. {@code null} for none,
   * and then with the bits of {@link #forward(Tensor, Tensor, Tensor, Tensor, Tensor,
   * AttentionMask, float)}.
   */
  public static void forward(
      Tensor o,
      Tensor lse,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionMask mask,
      float scale,
      @Nullable AttentionDropout dropout) {
    Check check = check("attention", lse, q, k, v, mask);
    operand(check, "o", o, "q", q);
    switch (q.device()) {
      case Cpu cpu ->
          AttentionCpu.forward(
              cpu,
              heads(o),
              lse.segment(),
              heads(q),
              heads(k),
              heads(v),
              shape(q, k),
              cpu(mask, scale),
              cpu(dropout));
      case Cuda cuda -> {
        checkKernels(check, q);
        AttentionCuda.forward(
            cuda,
            cudaHeads(o),
            lse,
            cudaHeads(q),
            cudaHeads(k),
            cudaHeads(v),
            cuda(mask),
            scale,
            cuda(dropout));
      }
    }
  }

  /**
   * With {@code p} the softmax and {@code dp_j = dy·v_j}: {@code ds = p · (dp − Σ_d dy·o) · scale},
   * {@code dq_i = Σ_j ds·k_j}, {@code dk_j = Σ_i ds·q_i}, {@code dv_j = Σ_i p·dy_i}, the sums over
   * query heads and positions in one fixed order. Each destination has the type of what it is the
   * gradient of; any may be {@code null}.
   */
  public static void backward(
      @Nullable Grad dq,
      @Nullable Grad dk,
      @Nullable Grad dv,
      Tensor dy,
      Tensor o,
      Tensor lse,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionMask mask,
      float scale) {
    backward(dq, dk, dv, dy, o, lse, q, k, v, mask, scale, null);
  }

  /** The same where the forward pass had dropout: its mask is drawn again. */
  public static void backward(
      @Nullable Grad dq,
      @Nullable Grad dk,
      @Nullable Grad dv,
      Tensor dy,
      Tensor o,
      Tensor lse,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionMask mask,
      float scale,
      @Nullable AttentionDropout dropout) {
    Check check =
        check("attention backward", lse, q, k, v, mask)
            .like("dq", dq, "q", q)
            .like("dk", dk, "k", k)
            .like("dv", dv, "v", v);
    operand(check, "dy", dy, "q", q);
    operand(check, "o", o, "q", q);
    switch (q.device()) {
      case Cpu cpu ->
          AttentionCpu.backward(
              cpu,
              headsOrNull(dq),
              headsOrNull(dk),
              headsOrNull(dv),
              heads(dy),
              heads(o),
              lse.segment(),
              heads(q),
              heads(k),
              heads(v),
              shape(q, k),
              cpu(mask, scale),
              cpu(dropout));
      case Cuda cuda -> {
        checkKernels(check, q);
        AttentionCuda.backward(
            cuda,
            cudaHeadsOrNull(dq),
            cudaHeadsOrNull(dk),
            cudaHeadsOrNull(dv),
            cudaHeads(dy),
            cudaHeads(o),
            lse,
            cudaHeads(q),
            cudaHeads(k),
            cudaHeads(v),
            cuda(mask),
            scale,
            cuda(dropout));
      }
    }
  }

  private static Check check(
      String op, Tensor lse, Tensor q, Tensor k, Tensor v, AttentionMask mask) {
    Check check = Check.that(op).floats("q", q).rank("q", q, 4).rank("k", k, 4);
    int batch = q.dim(0);
    int queries = q.dim(1);
    int heads = q.dim(2);
    int keys = k.dim(1);
    check
        .shape("k", k, Shape.of(batch, keys, k.dim(2), q.dim(3)))
        .dtype("k", k, q.dtype())
        .is(
            k.dim(2) > 0 && heads % k.dim(2) == 0,
            () ->
                "the heads of q must be a multiple of those of k, got q "
                    + q.shape()
                    + " and k "
                    + k.shape())
        .is(
            queries <= keys,
            () ->
                "there must be at least as many keys as queries, got q "
                    + q.shape()
                    + " and k "
                    + k.shape())
        .shape("lse", lse, Shape.of(batch, heads, queries))
        .dtype("lse", lse, DType.F32)
        .contiguous("lse", lse);
    operand(check, "q", q, "q", q);
    operand(check, "k", k, "k", k);
    operand(check, "v", v, "k", k);
    array(check, "mask.lengths", mask.lengths(), DType.I32, batch);
    array(check, "mask.keys", mask.keys(), DType.I32, batch, keys);
    array(check, "mask.documentStarts", mask.documentStarts(), DType.I32, batch, queries);
    array(check, "mask.slopes", mask.slopes(), DType.F32, heads);
    return check;
  }

  private static void operand(Check check, String name, Tensor t, String other, Tensor o) {
    check.sameShape(name, t, other, o).dtype(name, t, o.dtype());
    Operands.checkHeads(check, name, t);
  }

  private static void array(Check check, String name, @Nullable Tensor t, DType type, int... dims) {
    if (t != null) {
      check.shape(name, t, Shape.of(dims)).dtype(name, t, type).contiguous(name, t);
    }
  }

  private static AttentionShape shape(Tensor q, Tensor k) {
    return new AttentionShape(q.dim(0), q.dim(1), k.dim(1), q.dim(2), k.dim(2), q.dim(3));
  }

  static MaskView cpu(AttentionMask m, float scale) {
    return new MaskView(
        scale,
        m.causal(),
        m.window(),
        m.softCap(),
        segment(m.lengths()),
        segment(m.keys()),
        segment(m.documentStarts()),
        segment(m.slopes()));
  }

  private static CudaMask cuda(AttentionMask m) {
    return new CudaMask(
        m.causal(), m.window(), m.softCap(), m.lengths(), m.keys(), m.documentStarts(), m.slopes());
  }

  private static dev.javelin.kernels.cpu.@Nullable AttentionDropout cpu(
      @Nullable AttentionDropout d) {
    return d == null || d.p() == 0
        ? null
        : new dev.javelin.kernels.cpu.AttentionDropout(d.p(), Dropout.key(d.site(), d.state()));
  }

  private static @Nullable CudaDropout cuda(@Nullable AttentionDropout d) {
    return d == null || d.p() == 0
        ? null
        : new CudaDropout(
            d.state(), d.site(), (int) DropoutCpu.threshold(d.p()), DropoutCpu.scale(d.p()));
  }

  private static @Nullable MemorySegment segment(@Nullable Tensor t) {
    return t == null ? null : t.segment();
  }
}
