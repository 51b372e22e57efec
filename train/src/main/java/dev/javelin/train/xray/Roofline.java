package dev.javelin.train.xray;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.summary.Peak;
import dev.javelin.train.summary.Processor;
import java.util.Objects;

/** The two lines of a roofline, measured. */
final class Roofline {
  private static final int MOST_TRIES = 5;
  private static final double BETTER = 1.1;

  private Roofline() {}

  /** Measures again while that gets faster: in a fresh process the compiler is still at work. */
  static Xray.Machine measure(Device device, DType type) {
    try (Workspace workspace = XrayStep.workspace(device)) {
      Double flops = Peak.measure(workspace, type);
      for (int i = 1; flops != null && i < MOST_TRIES; i++) {
        double again = Objects.requireNonNull(Peak.measure(workspace, type));
        boolean done = again < BETTER * flops;
        flops = Math.max(flops, again);
        if (done) {
          break;
        }
      }
      Double bytes = Peak.bandwidth(workspace);
      return new Xray.Machine(name(device), flops == null ? 0 : flops, bytes == null ? 0 : bytes);
    }
  }

  static String name(Device device) {
    return switch (device) {
      case Cpu _ -> Processor.name();
      case Cuda cuda -> cuda.properties().describe();
    };
  }
}
