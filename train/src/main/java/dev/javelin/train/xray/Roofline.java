package dev.javelin.train.xray;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.summary.Peak;
import dev.javelin.train.summary.Processor;

/** The two lines of a roofline, measured. */
final class Roofline {
  private Roofline() {}

  static Xray.Machine measure(Device device, DType type) {
    try (Workspace workspace = XrayStep.workspace(device)) {
      Double flops = Peak.measure(workspace, type);
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
