package dev.javelin.train.schedule;

/** How a decay falls from 1 at {@code x = 0} to 0 at {@code x = 1}. */
public enum Decay {
  /** {@code 1 − x} */
  LINEAR {
    @Override
    double at(double x) {
      return 1 - x;
    }
  },
  /** {@code ½·(1 + cos(π·x))} */
  COSINE {
    @Override
    double at(double x) {
      return 0.5 * (1 + StrictMath.cos(Math.PI * x));
    }
  },
  /** {@code 1 − √x}, which a short decay likes best (Hägele et al. 2024, arXiv:2405.18392). */
  SQRT {
    @Override
    double at(double x) {
      return 1 - Math.sqrt(x);
    }
  };

  abstract double at(double x);
}
