package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.train.estimate.MemoryTable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What the handbook says of memory, against what the device has counted. */
class MemoryBudgetTest {
  @ParameterizedTest
  @CsvSource({"1, 1", "1, 64", "2, 33"})
  void aTrainingTakesWhatWasEstimatedAndNoByteMore(int threads, int rows) throws IOException {
    long bytes = MemoryBudget.estimate(threads, rows).device();
    assertThat(MemoryBudget.train(threads, rows, bytes)).isEqualTo(bytes);
    assertThatThrownBy(() -> MemoryBudget.train(threads, rows, bytes - 1))
        .isInstanceOf(OutOfMemoryError.class)
        .hasMessageContaining("pass the limit of");
  }

  @Test
  void theLargestBatchFitsAndTheNextDoesNot() {
    long bytes = MemoryBudget.estimate(1, 300).device();
    int rows = MemoryBudget.largestBatch(1, bytes);
    MemoryTable next = MemoryBudget.estimate(1, rows + 1);
    assertThat(rows).isGreaterThanOrEqualTo(300);
    assertThat(MemoryBudget.estimate(1, rows).device()).isLessThanOrEqualTo(bytes);
    assertThat(next.device()).isGreaterThan(bytes);
    assertThat(MemoryBudget.largestBatch(1, 1000)).isZero();
  }

  /** With a heap that is smaller than the tensors; what leaks is told, and nothing else is. */
  @Test
  void leaksAreToldWithTheirPlace() throws Exception {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xmx32m",
                "-Djavelin.debug=true",
                "-cp",
                System.getProperty("java.class.path"),
                MemoryBudget.class.getName(),
                "1",
                "leak")
            .redirectErrorStream(true)
            .start();
    String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(said).isZero();
    assertThat(said).contains("optimizer state", "most at a time: ");
    String[] leaks = said.split("not closed: ", -1);
    assertThat(leaks).as(said).hasSizeGreaterThan(2); // weights, gradients
    for (int i = 1; i < leaks.length; i++) {
      assertThat(leaks[i]).contains("MemoryBudget.leak");
    }
  }
}
