package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

/**
 * Attention by its definition, in {@code double}, with the whole matrix of scores; dense tensors
 * {@code [batch, time, head, dim]}.
 */
final class AttentionOracle {
  final double[] o;
  final double[] lse;
  final double[] dq;
  final double[] dk;
  final double[] dv;

  private final AttentionShape s;

  AttentionOracle(
      float[] q, float[] k, float[] v, float[] gradOut, AttentionShape s, MaskView mask) {
    this.s = s;
    o = new double[q.length];
    lse = new double[s.batch() * s.queryHeads() * s.queries()];
    dq = new double[q.length];
    dk = new double[k.length];
    dv = new double[v.length];
    for (int b = 0; b < s.batch(); b++) {
      for (int h = 0; h < s.queryHeads(); h++) {
        for (int i = 0; i < s.queries(); i++) {
          row(q, k, v, gradOut, mask, b, h, i);
        }
      }
    }
  }

  private void row(
      float[] q, float[] k, float[] v, float[] gradOut, MaskView mask, int b, int h, int i) {
    int position = s.keys() - s.queries() + i;
    double[] p = new double[s.keys()];
    double[] slope = new double[s.keys()];
    double sum = 0;
    for (int j = 0; j < s.keys(); j++) {
      if (!sees(mask, b, i, position, j)) {
        continue;
      }
      double x = 0;
      for (int d = 0; d < s.dim(); d++) {
        x += (double) q[query(b, i, h) + d] * k[key(b, j, h) + d];
      }
      x *= mask.scale();
      slope[j] = 1;
      if (mask.softCap() != 0) {
        double t = Math.tanh(x / mask.softCap());
        x = mask.softCap() * t;
        slope[j] = 1 - t * t;
      }
      p[j] = Math.exp(x - mask.slope(h) * (position - j));
      sum += p[j];
    }
    lse[(b * s.queryHeads() + h) * s.queries() + i] = Math.log(sum);
    if (sum == 0) {
      return;
    }
    double delta = 0;
    double[] dp = new double[s.keys()];
    for (int j = 0; j < s.keys(); j++) {
      p[j] /= sum;
      for (int d = 0; d < s.dim(); d++) {
        double g = gradOut[query(b, i, h) + d];
        o[query(b, i, h) + d] += p[j] * v[key(b, j, h) + d];
        dv[key(b, j, h) + d] += p[j] * g;
        dp[j] += g * v[key(b, j, h) + d];
      }
      delta += p[j] * dp[j];
    }
    for (int j = 0; j < s.keys(); j++) {
      double ds = p[j] * (dp[j] - delta) * slope[j] * mask.scale();
      for (int d = 0; d < s.dim(); d++) {
        dq[query(b, i, h) + d] += ds * k[key(b, j, h) + d];
        dk[key(b, j, h) + d] += ds * q[query(b, i, h) + d];
      }
    }
  }

  private boolean sees(MaskView mask, int b, int i, int position, int j) {
    return (!mask.causal() || j <= position)
        && (mask.window() == 0 || position - j < mask.window())
        && (mask.lengths() == null || j < mask.lengths().getAtIndex(JAVA_INT_UNALIGNED, b))
        && (mask.documentStarts() == null
            || j >= mask.documentStarts().getAtIndex(JAVA_INT_UNALIGNED, b * s.queries() + i))
        && (mask.keyMask() == null
            || mask.keyMask().getAtIndex(JAVA_INT_UNALIGNED, b * s.keys() + j) != 0);
  }

  private int query(int b, int i, int h) {
    return ((b * s.queries() + i) * s.queryHeads() + h) * s.dim();
  }

  private int key(int b, int j, int h) {
    return ((b * s.keys() + j) * s.kvHeads() + h / s.group()) * s.dim();
  }
}
