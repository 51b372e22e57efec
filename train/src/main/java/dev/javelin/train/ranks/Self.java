package dev.javelin.train.ranks;

import dev.javelin.tensor.Tensor;

/** One rank: every sum is its only summand. */
record Self() implements Communicator {
  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int world() {
    return 1;
  }

  @Override
  public void allReduce(Tensor tensor) {}

  @Override
  public void reduceScatter(Tensor part, Tensor whole) {
    copy(part, whole);
  }

  @Override
  public void allGather(Tensor whole, Tensor part) {
    copy(whole, part);
  }

  private static void copy(Tensor to, Tensor from) {
    if (to.memory() != from.memory() || to.offset() != from.offset()) {
      to.copyFrom(from);
    }
  }

  @Override
  public double sum(double value) {
    return value;
  }

  @Override
  public void barrier() {}
}
