package dev.javelin.bench;

/**
 * What a piece of work asks of a device at least: what its kernels move to and from memory if each
 * operand is read or written once per kernel, and what they compute.
 *
 * @param bytes read from memory and written to it
 * @param tensorFlops of products on tensor cores, 2 per multiply-add
 * @param flops of everything else, fp32
 */
record Cost(double bytes, double tensorFlops, double flops) {
  static final Cost NONE = new Cost(0, 0, 0);

  /** Work that moves memory, with some arithmetic for each element. */
  static Cost elementwise(double bytes, double flops) {
    return new Cost(bytes, 0, flops);
  }

  Cost plus(Cost other) {
    return new Cost(bytes + other.bytes, tensorFlops + other.tensorFlops, flops + other.flops);
  }

  Cost times(double n) {
    return new Cost(n * bytes, n * tensorFlops, n * flops);
  }

  double allFlops() {
    return tensorFlops + flops;
  }
}
