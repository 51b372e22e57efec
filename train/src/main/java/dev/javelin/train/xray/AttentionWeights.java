package dev.javelin.train.xray;

import dev.javelin.nn.Attention;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The weights of attention by its definition, in double: {@code softmax_j(cap(scale·q_i·k_j) +
 * slope·(j − i))} over the keys that the causal mask and the window show.
 */
final class AttentionWeights {
  private AttentionWeights() {}

  /**
   * All heads of a layer.
   *
   * @param q [1, T, H, D] as the operator got it
   * @param k [1, T, Hkv, D]
   */
  static List<Xray.AttentionHead> of(Attention layer, Tensor q, Tensor k) {
    int tokens = q.dim(1);
    int heads = q.dim(2);
    int keyHeads = k.dim(2);
    int dim = q.dim(3);
    float[] qs = q.toFloats();
    float[] ks = k.toFloats();
    float[] slopes = layer.alibi() == null ? new float[heads] : layer.alibi().get().toFloats();
    List<Xray.AttentionHead> all = new ArrayList<>();
    for (int h = 0; h < heads; h++) {
      int keyHead = h / (heads / keyHeads);
      float[][] weights = new float[tokens][];
      for (int i = 0; i < tokens; i++) {
        double[] scores = new double[i + 1];
        int first = layer.window() == 0 ? 0 : Math.max(0, i - layer.window() + 1);
        for (int j = first; j <= i; j++) {
          double dot = 0;
          for (int d = 0; d < dim; d++) {
            dot += (double) qs[(i * heads + h) * dim + d] * ks[(j * keyHeads + keyHead) * dim + d];
          }
          scores[j] = capped(layer.scale() * dot, layer.scoreCap()) + slopes[h] * (j - i);
        }
        weights[i] = softmax(scores, first);
      }
      all.add(new Xray.AttentionHead(layer.index(), h, keyHead, layer.window(), weights));
    }
    return all;
  }

  private static double capped(double score, double cap) {
    return cap == 0 ? score : cap * Math.tanh(score / cap);
  }

  private static float[] softmax(double[] scores, int first) {
    double max = Double.NEGATIVE_INFINITY;
    for (int j = first; j < scores.length; j++) {
      max = Math.max(max, scores[j]);
    }
    double sum = 0;
    for (int j = first; j < scores.length; j++) {
      sum += Math.exp(scores[j] - max);
    }
    float[] weights = new float[scores.length];
    for (int j = first; j < scores.length; j++) {
      weights[j] = (float) (Math.exp(scores[j] - max) / sum);
    }
    return weights;
  }
}
