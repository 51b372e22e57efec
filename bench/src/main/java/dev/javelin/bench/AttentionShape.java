package dev.javelin.bench;

import dev.javelin.device.DType;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Attention;
import dev.javelin.tensor.op.AttentionMask;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Causal attention, written {@code b32h12k12t1024d64}: batch, heads, heads of keys and values, time
 * steps, features of a head; {@code -backward} appended for dq, dk and dv.
 */
record AttentionShape(int batch, int heads, int kvHeads, int steps, int dim, boolean backward)
    implements TensorShape {
  private static final Pattern NAME =
      Pattern.compile("b(\\d+)h(\\d+)k(\\d+)t(\\d+)d(\\d+)(-backward)?");

  /** Of a forward pass: scores, and their product with the values. */
  private static final int FORWARD_PRODUCTS = 2;

  /** Of the mathematics: scores, dP, dV, dQ, dK. */
  private static final int BACKWARD_PRODUCTS = 5;

  /** Of our kernels, one for dQ, one for dK and dV: both compute scores and dP. */
  private static final int OUR_BACKWARD_PRODUCTS = 7;

  /** Of wide heads, where dK and dV have a kernel each, which compute the scores once more. */
  private static final int OUR_WIDE_BACKWARD_PRODUCTS = 8;

  static boolean isOne(String name) {
    return NAME.matcher(name).matches();
  }

  static AttentionShape parse(String name) {
    Matcher m = NAME.matcher(name);
    if (!m.matches()) {
      throw new IllegalArgumentException("no attention case: " + name);
    }
    return new AttentionShape(
        Integer.parseInt(m.group(1)),
        Integer.parseInt(m.group(2)),
        Integer.parseInt(m.group(3)),
        Integer.parseInt(m.group(4)),
        Integer.parseInt(m.group(5)),
        m.group(6) != null);
  }

  /** What the mathematics asks for: half of the T·T scores, 2 FLOPs a multiply-add. */
  @Override
  public double flops() {
    return product() * (backward ? BACKWARD_PRODUCTS : FORWARD_PRODUCTS);
  }

  private double product() {
    return (double) batch * heads * steps * steps * dim;
  }

  /** What our kernels do. */
  @Override
  public Cost cost(DType type) {
    double perHead = (double) batch * steps * dim * type.bytes(1);
    double statistics = 4.0 * batch * heads * steps;
    int ours = dim > 128 ? OUR_WIDE_BACKWARD_PRODUCTS : OUR_BACKWARD_PRODUCTS;
    double products = product() * (backward ? ours : FORWARD_PRODUCTS);
    // forward: q, o and k, v; backward: q, o, dy, dq and k, v, dk, dv; the scores stay on the chip
    double bytes =
        backward
            ? perHead * (4 * heads + 4 * kvHeads) + 3 * statistics
            : perHead * (2 * heads + 2 * kvHeads) + statistics;
    return type == DType.F32 ? new Cost(bytes, 0, products) : new Cost(bytes, products, 0);
  }

  Runnable on(Operands o) {
    Tensor q = o.random(batch, steps, heads, dim);
    Tensor k = o.random(batch, steps, kvHeads, dim);
    Tensor v = o.random(batch, steps, kvHeads, dim);
    Tensor y = o.random(batch, steps, heads, dim);
    Tensor lse = o.random(DType.F32, batch, heads, steps);
    float scale = Attention.scale(q);
    if (!backward) {
      return () -> Attention.forward(y, lse, q, k, v, AttentionMask.CAUSAL, scale);
    }
    Tensor dy = o.random(batch, steps, heads, dim);
    Grad dq = new Grad(o.random(batch, steps, heads, dim), false);
    Grad dk = new Grad(o.random(batch, steps, kvHeads, dim), false);
    Grad dv = new Grad(o.random(batch, steps, kvHeads, dim), false);
    Attention.forward(y, lse, q, k, v, AttentionMask.CAUSAL, scale);
    return () -> Attention.backward(dq, dk, dv, dy, y, lse, q, k, v, AttentionMask.CAUSAL, scale);
  }
}
