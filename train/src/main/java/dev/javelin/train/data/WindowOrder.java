package dev.javelin.train.data;

/** Which window comes i-th, without end. */
@FunctionalInterface
public interface WindowOrder {

  /**
   * @param i counts from 0 over all epochs
   * @param windows how many there are
   */
  long window(long i, long windows);

  /** One after the other, and again. */
  static WindowOrder sequential() {
    return (i, windows) -> i % windows;
  }

  /** A permutation of its own for every epoch, given by the seed alone. */
  static WindowOrder shuffled(long seed) {
    return (i, windows) -> Permutation.of(seed, i / windows, windows).apply(i % windows);
  }
}
