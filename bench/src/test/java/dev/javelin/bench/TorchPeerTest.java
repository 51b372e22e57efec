package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** A shell in the place of Python, which answers as the peer does, and stops as it may. */
@EnabledOnOs({OS.LINUX, OS.MAC})
class TorchPeerTest {
  private static final GpuCase CASE = new GpuCase("matmul", "32x64x48-nt", DType.BF16);
  private static final String ENV = "echo '{\"bench\": \"env\", \"torch\": \"2\"}'\n";
  private static final String ANSWER =
      "read line; echo a warning; echo '{\"bench\": \"matmul\", \"ms\": 0.5}'\n";
  private static final String REFUSAL =
      "read line; echo '{\"bench\": \"matmul\", \"error\": \"no such\"}'\n";

  @TempDir Path folder;

  private TorchPeer peer(String script, long limitSeconds) {
    try {
      return new TorchPeer(
          "/bin/sh", Files.writeString(folder.resolve("peer.sh"), script), limitSeconds);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void answersAreTimesOrReasons() {
    try (TorchPeer peer = peer(ENV + ANSWER + REFUSAL + ANSWER, 60)) {
      assertThat(peer.version()).isEqualTo("2");
      assertThat(peer.millis(CASE, "eager", 1).millis()).hasValue(0.5);
      assertThat(peer.millis(CASE, "eager", 1).error()).hasValue("no such");
      assertThat(peer.millis(CASE, "eager", 1).millis()).hasValue(0.5);
    }
  }

  @Test
  void afterItsEndThereIsAReasonForEachCase() {
    try (TorchPeer peer = peer(ENV + ANSWER, 60)) {
      assertThat(peer.millis(CASE, "eager", 1).millis()).hasValue(0.5);
      for (int i = 0; i < 2; i++) {
        assertThat(peer.millis(CASE, "eager", 1).error())
            .hasValueSatisfying(why -> assertThat(why).startsWith("PyTorch stopped at matmul"));
      }
    }
  }

  @Test
  void whoAnswersTooLateIsEnded() {
    try (TorchPeer peer = peer(ENV + "read line; exec sleep 600\n", 1)) {
      assertThat(peer.millis(CASE, "compile", 1).error())
          .hasValueSatisfying(why -> assertThat(why).contains("no answer to matmul"));
    }
  }

  @Test
  void whatDoesNotStartIsSaid() {
    assertThatThrownBy(() -> peer("exit 1\n", 60))
        .isInstanceOf(UncheckedIOException.class)
        .hasMessageContaining("does not start");
  }
}
