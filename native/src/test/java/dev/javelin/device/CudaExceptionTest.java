package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What a user reads where CUDA cannot be used. */
class CudaExceptionTest {

  /** In a process of its own: this one may have loaded the emulated driver. */
  @Test
  void aMachineWithoutDriverIsToldSo() throws IOException, InterruptedException {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                OpenFirst.class.getName())
            .redirectErrorStream(true)
            .start();
    String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    child.waitFor();
    assumeFalse(said.startsWith("has a driver"), "this machine has a CUDA driver");
    assertThat(said)
        .contains("no CUDA driver: ", " not found; install NVIDIA's driver (r580 or later)")
        .contains("--device cpu")
        .doesNotContain("at dev.javelin"); // words, not a stack trace
  }

  /** The child's main. */
  static final class OpenFirst {
    private OpenFirst() {}

    public static void main(String[] args) {
      if (Cuda.hasDriver()) {
        System.out.println("has a driver");
        return;
      }
      try (Cuda cuda = Cuda.open(0, (family, capability, emulated) -> null)) {
        System.out.println("opened " + cuda);
      } catch (CudaException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void anOldDriverIsNamedAsTheReason() {
    assertThat(
            CudaException.imageRefused(222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "fill", 90, 12060)
                .getMessage())
        .contains("'fill'", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "CUDA 12.6", "too old", "r580");
  }

  @Test
  void aNewDriverBlamesTheImage() {
    assertThat(
            CudaException.imageRefused(209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "fill", 75, 13000)
                .getMessage())
        .contains("no code for compute capability 7.5", "build again")
        .doesNotContain("too old");
  }

  @Test
  void aDriverThatDoesNotStartPointsToNvidiaSmi() {
    assertThat(CudaException.noStart(100, "CUDA_ERROR_NO_DEVICE").getMessage())
        .contains("does not start: CUDA_ERROR_NO_DEVICE", "nvidia-smi", "CUDA_VISIBLE_DEVICES");
  }

  @Test
  void outOfMemorySaysWhatWasAskedWhatIsFreeAndTheFlagsThatHelp() {
    CudaException e = CudaException.outOfMemory("cuda:0 (X)", 3L << 30, 100 << 20, 8L << 30);
    assertThat(e.getMessage())
        .isEqualTo(
            "out of memory on cuda:0 (X): asked for 3.00 GiB, 100.00 MiB of 8.00 GiB are free; lower --batch-size"
                + " (raising --gradient-accumulation-steps keeps the step as it is) or --seq-len");
    assertThat(e.code()).isEqualTo(CudaException.OUT_OF_MEMORY);
  }

  @Test
  void cardsBeforeAmpereAreRefused() {
    CudaProperties turing =
        new CudaProperties(0, "Tesla T4", 75, 16L << 30, 40, 64 << 10, 0, 0, 0, 0, 13000, false);
    assertThatThrownBy(() -> Cuda.requireCapability(turing))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("Tesla T4 has compute capability 7.5")
        .hasMessageContaining("8.0");
  }

  @Test
  void bandwidthIsTwoTransfersAClock() {
    CudaProperties a100 =
        new CudaProperties(
            0, "A100", 80, 40L << 30, 108, 163 << 10, 0, 0, 1_215_000, 5120, 13000, false);
    assertThat(a100.peakBandwidth()).isEqualTo(1555.2e9);
  }
}
