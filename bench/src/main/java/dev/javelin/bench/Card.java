package dev.javelin.bench;

import java.util.List;
import java.util.Optional;

/**
 * A GPU's ceilings.
 *
 * @param name as the driver says it, or a part of that
 * @param gigabytesPerSecond read and written
 * @param tensorTeraflops of half types with fp32 sums by {@code mma.sync}, without sparsity
 * @param teraflops of fp32 outside of tensor cores
 * @param sources where these three are from
 */
record Card(
    String name,
    double gigabytesPerSecond,
    double tensorTeraflops,
    double teraflops,
    String sources) {

  static final List<Card> ALL =
      List.of(
          new Card(
              "H200",
              4300,
              989,
              67,
              "4.3 TB/s measured (device-to-device copy, PyTorch 2.11, bytes read + written; 4.8 by NVIDIA's"
                  + " H200 data sheet). Tensor cores: data sheet, dense; `mma.sync`, which some of our"
                  + " kernels use, reaches 63 to 65 % of it (github.com/waynehacking8/"
                  + "blackwell-tensorcore-kernels), cuBLAS measured 769 to 798. fp32: data sheet"),
          new Card("A100", 2039, 312, 19.5, "A100 SXM 80 GB, NVIDIA's data sheet, all three"),
          new Card(
              "RTX 4090",
              1008,
              165.2,
              82.6,
              "NVIDIA's Ada GPU architecture whitepaper, appendix A: half types with fp32 sums, dense"));

  /** The card of that driver's name, {@code NVIDIA H200}; empty where its ceilings are not here. */
  static Optional<Card> of(String device) {
    return ALL.stream().filter(c -> device.contains(c.name)).findFirst();
  }

  /** What a kernel of that cost is bound by. */
  String bound(Cost cost) {
    double memory = memoryMillis(cost);
    double tensor = cost.tensorFlops() / tensorTeraflops / 1e9;
    return millis(cost) == memory ? "memory" : millis(cost) == tensor ? "tensor cores" : "fp32";
  }

  /** No kernel of that cost can take less, where the ceilings are the card's. */
  double millis(Cost cost) {
    return Math.max(
        memoryMillis(cost),
        Math.max(cost.tensorFlops() / tensorTeraflops / 1e9, cost.flops() / teraflops / 1e9));
  }

  private double memoryMillis(Cost cost) {
    return cost.bytes() / gigabytesPerSecond / 1e6;
  }
}
