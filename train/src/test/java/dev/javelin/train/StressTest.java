package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cuda;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

class StressTest {

  private static void rounds(int count, String device) throws Exception {
    Process child = start(count, device);
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    assertThat(output).contains(count + " rounds");
  }

  private static Process start(int count, String device) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:+UseSerialGC",
            "-XX:-CreateCoredumpOnCrash",
            "-XX:ErrorFile=/dev/null",
            "-Xmx256m",
            "-cp",
            System.getProperty("java.class.path"),
            Stress.class.getName(),
            Integer.toString(count),
            "1",
            device)
        .redirectErrorStream(true)
        .start();
  }

  @Test
  void noUseBySeveralThreadsEndsTheProcess() throws Exception {
    rounds(20, "cpu");
  }

  @Test
  void norOnTheEmulatedDevice() throws Exception {
    Assumptions.assumeTrue(Cuda.hasEmulator(), "this build has no emulated device");
    rounds(2, "emulator");
  }

  @Test
  @Tag("long")
  void noUseBySeveralThreadsEndsTheProcessInAThousandRounds() throws Exception {
    rounds(1000, "cpu");
  }

  @Test
  @Tag("long")
  void norOnTheEmulatedDeviceInFiftyRounds() throws Exception {
    rounds(50, "emulator");
  }
}
