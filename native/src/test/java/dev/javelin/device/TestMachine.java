package dev.javelin.device;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * One of the devices that a test of CUDA runs on: the emulated one with an order of threads and a
 * compute capability, or the GPU.
 *
 * @param order of threads, warps and blocks: {@code forward}, {@code reverse}, or a seed; in
 *     reverse, memory is guarded as well, and asynchronous work is done early instead of late, with
 *     a seed at some moment between
 * @param capability what the device says it is, 90 for 9.0
 * @param checked with every load and store checked and guarded memory: the caller opens it with
 *     checked images
 * @param fast what approximate functions return: {@code exact}, {@code low}, {@code high}, or a
 *     seed; where they are not exact, tensor cores add as the hardware's do
 */
public record TestMachine(String order, int capability, boolean checked, String fast) {
  /** As the process was started. */
  private static final String GUARD = System.getenv().getOrDefault("JAVELIN_EMULATOR_GUARD", "0");

  private static final TestMachine GPU = new TestMachine("its own", 0, false, "exact");

  /** Three orders of threads on devices of 8.0, 8.9 and 9.0; a GPU is one machine. */
  public static List<TestMachine> all() {
    return TestCuda.isEmulated()
        ? IntStream.of(80, 89, 90)
            .boxed()
            .flatMap(c -> Stream.of("forward", "reverse", "1").map(o -> of(o, c)))
            .toList()
        : List.of(GPU);
  }

  private static TestMachine of(String order, int capability) {
    return new TestMachine(order, capability, false, "exact");
  }

  /**
   * {@link #all}, and devices with the arithmetic of hardware, whose results differ from exact ones
   * within tolerances: sums of tensor cores truncated, approximate functions two units off.
   */
  public static List<TestMachine> andRough() {
    return TestCuda.isEmulated()
        ? Stream.concat(
                all().stream(),
                Stream.of(
                    new TestMachine("forward", 80, false, "low"),
                    new TestMachine("forward", 90, false, "high"),
                    new TestMachine("forward", 90, false, "1")))
            .toList()
        : all();
  }

  /** {@link #all}, and once with every access checked. */
  public static Stream<TestMachine> andChecked() {
    return TestCuda.isEmulated()
        ? Stream.concat(all().stream(), Stream.of(new TestMachine("forward", 90, true, "exact")))
        : all().stream();
  }

  /** Opens it, where {@link TestCuda#missing} has nothing to say; {@link #restore} afterwards. */
  public Cuda open(KernelImages images) {
    if (!equals(GPU)) { // a device has the capability that was set before it was opened
      Emulator.set("capability", capability / 10 + "." + capability % 10);
      Emulator.set("order", order);
      Emulator.set(
          "async",
          switch (order) {
            case "forward" -> "late";
            case "reverse" -> "early";
            default -> order;
          });
      Emulator.set("guard", checked || order.equals("reverse") ? "1" : GUARD);
      Emulator.set("fast", fast);
      Emulator.set("tensor", fast.equals("exact") ? "rounded" : "truncated");
    }
    return TestCuda.open(images);
  }

  /** The switches as they were. */
  public static void restore() {
    if (TestCuda.isEmulated()) {
      Emulator.set("capability", "9.0");
      Emulator.set("order", "forward");
      Emulator.set("async", "late");
      Emulator.set("guard", GUARD);
      Emulator.set("fast", "exact");
      Emulator.set("tensor", "rounded");
    }
  }

  @Override
  public String toString() {
    return equals(GPU)
        ? TestCuda.choice()
        : "%d.%d, %s%s%s"
            .formatted(
                capability / 10,
                capability % 10,
                order,
                checked ? ", checked" : "",
                fast.equals("exact") ? "" : ", functions " + fast);
  }
}
