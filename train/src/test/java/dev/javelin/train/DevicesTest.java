package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.data.InputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class DevicesTest {
  private static final TransformerConfig MODEL = TransformerConfig.llama(65, 2, 2, 1, 32, 48, 16);

  private static Devices.Choice open(String name, Devices.Use use) {
    return Devices.open(name, 2, MODEL, Precision.FP32, use);
  }

  @ParameterizedTest
  @ValueSource(strings = {"auto", "cpu", "cuda", "cuda:0", "cuda:15", "emulator"})
  void knowsItsNames(String name) {
    assertThat(Devices.isName(name)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "gpu", "cuda:", "cuda:x", "cuda0", "CPU", "cuda:-1"})
  void knowsWhatIsNoName(String name) {
    assertThat(Devices.isName(name)).isFalse();
  }

  @Test
  void cpuIsTheCpuWithItsThreads() {
    try (Device device = open("cpu", Devices.Use.TRAINING).device()) {
      assertThat(device)
          .isInstanceOfSatisfying(Cpu.class, c -> assertThat(c.threads()).isEqualTo(2));
    }
  }

  @Test
  void autoTakesTheCpuWithoutAWordWhereThereIsNoDriver() {
    assumeFalse(Cuda.hasDriver(), "this machine has a CUDA driver");
    Devices.Choice choice = open("auto", Devices.Use.INFERENCE);
    assertThat(choice.device()).isInstanceOf(Cpu.class);
    assertThat(choice.note()).isNull();
    choice.device().close();
  }

  /**
   * Whichever operators have kernels by now: the model runs, or the first that has none is named.
   */
  @ParameterizedTest
  @EnumSource(Devices.Use.class)
  @RequiresEmulator
  void aDeviceThatIsNamedRunsTheModelOrSaysWhatIsMissing(Devices.Use use) {
    try (Device device = open("emulator", use).device()) {
      assertThat(device).isInstanceOf(Cuda.class);
    } catch (InputException e) {
      assertThat(e)
          .hasMessageStartingWith("--device emulator: ")
          .hasMessageEndingWith(": has no kernel for emulator yet; use --device cpu");
    }
  }
}
