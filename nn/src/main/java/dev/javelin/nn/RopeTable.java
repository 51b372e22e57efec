package dev.javelin.nn;

import dev.javelin.tensor.Tensor;

/**
 * Cosine and sine of the angle by which each feature pair turns at each position.
 *
 * @param cos F32 [P, D/2]
 * @param sin F32 [P, D/2]
 */
record RopeTable(Tensor cos, Tensor sin) {

  static RopeTable declare(Declare d, RopeConfig rope, int positions, int headDim) {
    int pairs = headDim / 2;
    double[] frequencies = rope.frequencies(headDim);
    double factor = rope.amplitude();
    float[] cos = new float[positions * pairs];
    float[] sin = new float[positions * pairs];
    for (int p = 0; p < positions; p++) {
      for (int i = 0; i < pairs; i++) {
        cos[p * pairs + i] = (float) (StrictMath.cos(p * frequencies[i]) * factor);
        sin[p * pairs + i] = (float) (StrictMath.sin(p * frequencies[i]) * factor);
      }
    }
    return new RopeTable(d.constant(cos, positions, pairs), d.constant(sin, positions, pairs));
  }
}
