package dev.javelin.cli;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.Quantize;
import picocli.CommandLine.Option;

/** The linear layers of a model that is read, not trained: how they are kept and multiplied. */
final class QuantizeOptions {
  @Option(
      names = "--quantize",
      paramLabel = "none|int8|nf4",
      description =
          "Keep the weights of linear layers in 8 or 4 bits, quantized while the model is read. Default: ${DEFAULT-VALUE}.")
  private String quantize = "none";

  @Option(
      names = "--activations",
      paramLabel = "float|int8",
      description =
          "With --quantize on a CPU: int8 rounds what linear layers read to 8 bits and multiplies whole numbers, faster and less exact. Default: ${DEFAULT-VALUE}.")
  private String activations = "float";

  /** Whether weights are quantized. */
  boolean isOn() {
    return format() != Quantize.NONE || int8();
  }

  /** What the flags say. */
  Grouping grouping() {
    Quantize format = format();
    if (int8() && format == Quantize.NONE) {
      throw new InputException(
          "--activations int8 multiplies with weights in few bits: add --quantize int8 or nf4");
    }
    return format.frozen(int8());
  }

  /** Refuses a device that cannot do it. */
  void check(Device device) {
    if (int8() && !(device instanceof Cpu)) {
      throw new InputException(
          "--activations int8 is for CPUs, and this is %s: add --device cpu, or leave it out"
              .formatted(device));
    }
  }

  private Quantize format() {
    return Quantize.named(quantize);
  }

  private boolean int8() {
    return switch (activations) {
      case "int8" -> true;
      case "float" -> false;
      default ->
          throw new InputException("--activations must be float or int8, got " + activations);
    };
  }
}
