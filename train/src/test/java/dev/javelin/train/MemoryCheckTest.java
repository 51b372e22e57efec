package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.javelin.device.Cpu;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.estimate.NotEnoughMemoryException;
import dev.javelin.train.settings.ByteSize;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What fits is run, and one step beyond it fails; what does not fit says so, before and after. */
class MemoryCheckTest {
  @TempDir Path temp;

  private static RunSettings settings(Map<String, ?> values) {
    return RunSettings.DEFAULT
        .with(
            Map.of(
                "model", "llama-shakespeare-cpu",
                "device", "cpu",
                "threads", 2,
                "max_steps", 1,
                "eval_batches", 1,
                "batch_size", 4,
                "seq_len", 32,
                "quiet", "true"))
        .with(Map.of("sample_every", 0))
        .with(values);
  }

  private RunSettings in(RunSettings settings) throws IOException {
    Path directory = Files.createTempDirectory(temp, "run");
    return settings.withRun(r -> r.withOutputDir(directory.resolve("out")));
  }

  /** Runs with no more for tensors than so many bytes. */
  private void run(RunSettings settings, long tensors) throws IOException {
    try (Run run = Run.open(in(settings))) {
      ((Cpu) run.device()).limit(tensors);
      run.run();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "batch_size, fp32, false",
    "batch_size, bf16, true",
    "seq_len, fp32, true",
    "seq_len, bf16, false"
  })
  void theLargestThatFitsRunsAndTheNextDoesNot(String key, String precision, boolean recompute)
      throws IOException {
    RunSettings asked = settings(Map.of("precision", precision, "recompute", recompute + ""));
    long jvm;
    try (Estimate plain = Estimate.of(asked)) {
      jvm = plain.memory().jvm().total();
    }
    RunSettings bounded =
        asked.withDevice(
            d -> d.withMemory(new ByteSize(jvm + 40_000_000))); // the model takes 13 MB
    int answer;
    long tensors;
    try (Estimate estimate = Estimate.of(bounded)) {
      answer = key.equals("seq_len") ? estimate.longestSequence() : estimate.largestBatch();
      tensors = estimate.budget().bytes() - estimate.memory().jvm().total();
    }
    assertThat(answer).isGreaterThan(4);
    IntFunction<RunSettings> with = n -> asked.with(Map.of(key, n));
    run(with.apply(answer), tensors);
    assertThatThrownBy(() -> run(with.apply(answer + 1), tensors))
        .isInstanceOf(NotEnoughMemoryException.class)
        .hasMessageStartingWith("out of memory in step 1: ");
  }

  @Test
  void aRunThatWillNotFitSaysSoBeforeItStartsWithWhatHelps() throws IOException {
    RunSettings asked = settings(Map.of("memory", "150MB", "batch_size", 64, "seq_len", 64));
    Path out = temp.resolve("out");
    NotEnoughMemoryException refusal =
        catchThrowableOfType(
            NotEnoughMemoryException.class,
            () -> Run.open(asked.withRun(r -> r.withOutputDir(out))));
    assertThat(refusal)
        .hasMessageContaining("the run needs ")
        .hasMessageContaining("150.0 MB (--memory)")
        .hasMessageContaining("--memory-check=false");
    assertThat(refusal.details())
        .contains("activations ", "optimizer state ", "Java heap ")
        .contains("--batch-size 1 --gradient-accumulation-steps 64 saves ")
        .contains("--recompute saves ", "--precision bf16 saves ");
    assertThat(refusal.details().indexOf("--batch-size 1 "))
        .as("the most first")
        .isLessThan(refusal.details().indexOf("--batch-size 32 "));
    assertThat(out).doesNotExist();
  }

  @Test
  void aRunThatStartsAllTheSameEndsWithTheActualNumbers() throws IOException {
    RunSettings asked =
        settings(Map.of("memory", "1MB", "memory_check", "false", "batch_size", 2, "seq_len", 64));
    assertThatThrownBy(() -> Run.open(in(asked))) // not even the weights fit
        .isInstanceOf(OutOfMemoryError.class)
        .hasMessageContaining("pass the limit of 0 bytes");
    RunSettings free = settings(Map.of("batch_size", 2, "seq_len", 64));
    try (Run run = Run.open(in(free))) {
      Cpu cpu = (Cpu) run.device();
      MemoryTable table = run.estimate();
      cpu.limit(cpu.liveBytes() + 100_000);
      assertThatThrownBy(run::run)
          .isInstanceOf(NotEnoughMemoryException.class)
          .hasMessageContaining(" of tensors were in use")
          .hasMessageContaining("estimated at " + MemoryTable.size(table.total()));
      cpu.limit(Long.MAX_VALUE);
      assertThat(run.run().step()).as("it can go on").isEqualTo(1);
    }
  }
}
