package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.data.InputException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DevicesTest {
  private static final TransformerConfig MODEL = Llama.config(65, 2, 2, 1, 32, 48, 16);

  private static Devices.Choice open(String name) {
    return Devices.open(name, 2, MODEL);
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
    try (Device device = open("cpu").device()) {
      assertThat(device)
          .isInstanceOfSatisfying(Cpu.class, c -> assertThat(c.threads()).isEqualTo(2));
    }
  }

  @Test
  void autoTakesTheCpuWithoutAWordWhereThereIsNoDriver() {
    assumeFalse(Cuda.hasDriver(), "this machine has a CUDA driver");
    Devices.Choice choice = open("auto");
    assertThat(choice.device()).isInstanceOf(Cpu.class);
    assertThat(choice.note()).isNull();
    choice.device().close();
  }

  @Test
  @RequiresEmulator
  void theEmulatedDeviceIsTakenForModelsThatHaveKernels() {
    TransformerConfig wide = Llama.config(65, 1, 1, 1, 256, 48, 16);
    for (TransformerConfig model : List.of(MODEL, wide)) {
      try (Device device = Devices.open("emulator", 1, model).device()) {
        assertThat(device).isInstanceOf(Cuda.class);
      }
    }
  }

  @Test
  @RequiresEmulator
  void whatHasNoKernelIsNamed() {
    TransformerConfig wide = Llama.config(65, 1, 1, 1, 264, 48, 16);
    assertThatThrownBy(() -> Devices.open("emulator", 1, wide).device())
        .isInstanceOf(InputException.class)
        .hasMessage(
            "--device emulator: attention: kernels for GPUs take head dimensions up to 256, got 264; use --device cpu");
  }
}
