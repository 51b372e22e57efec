package dev.javelin.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/**
 * Numbers within 1 in eight bits, on a scale of fourth powers: fine near 1, where most of a block
 * lies that is divided by its largest, and with a range of nine orders of magnitude.
 *
 * <pre>
 * signed     c in [-127, 127]    sign(c) · (|c|/127)⁴     down to 3.8e-9, error at x: 1.6 % · x^¾
 * unsigned   c in [0, 255]       (c/255)⁴                 down to 2.4e-10, error at x: 0.8 % · x^¾
 * </pre>
 *
 * Both ways are roots and products, each rounded once: every device has the same codes.
 */
final class MomentCode {
  static final int SIGNED_TOP = 127;
  static final int UNSIGNED_TOP = 255;

  private static final float ROUND = 0x1p23f; // its last place is 1

  private MomentCode() {}

  /** {@code (c/top)⁴} with the sign of c, for whole numbers c. */
  static FloatVector decode(FloatVector c, int top) {
    FloatVector x = c.mul(1f / top);
    FloatVector square = x.mul(x);
    return square.mul(square).mul(sign(c));
  }

  private static FloatVector sign(FloatVector c) {
    return Lanes.broadcast(1).blend(-1, c.lt(0));
  }

  /** The nearest root for a magnitude of at most 1: {@code round(top·x^¼)}, as a whole number. */
  static FloatVector encode(FloatVector magnitude, int top) {
    FloatVector root = magnitude.sqrt().sqrt().mul(top);
    return root.add(ROUND).sub(ROUND).min(top);
  }
}
