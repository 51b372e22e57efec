package dev.javelin.train.ranks;

import dev.javelin.tensor.Tensor;

/**
 * What the ranks of a training say to each other. All call the same methods in the same order with
 * tensors of the same shapes; sums are the same bits on every rank.
 *
 * <p>Tensors are worked on in the order of their device's work, so that a GPU can record the calls
 * as part of a step. A communicator is used by the thread that trains its rank.
 */
public interface Communicator {
  /** The only rank there is: does nothing. */
  Communicator SELF = new Self();

  /** Which rank this is, from 0. */
  int rank();

  /** How many there are. */
  int world();

  /** Replaces a tensor by its sum over all ranks. */
  void allReduce(Tensor tensor);

  /**
   * Sums a tensor over all ranks and leaves each one its part.
   *
   * @param part elements {@code [rank·n/world, (rank+1)·n/world)} of the sum
   * @param whole n elements
   */
  void reduceScatter(Tensor part, Tensor whole);

  /**
   * Puts the parts of all ranks together, in their order.
   *
   * @param whole n elements
   * @param part n/world elements
   */
  void allGather(Tensor whole, Tensor part);

  /** The sum over all ranks of a number on the host. */
  double sum(double value);

  /** Returns when all ranks have come here. */
  void barrier();
}
