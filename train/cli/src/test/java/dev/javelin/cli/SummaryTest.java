package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.cli.CommandLineTest.Result;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run says at its end about what it has cost. */
class SummaryTest {
  @TempDir Path dir;

  @Test
  void aRunEndsWithItsCost() {
    Path out = dir.resolve("out");
    Result r = Tiny.train(dir, out, "--max-steps=4", "--quiet=false");
    ResumeTest.assertSuccess(r);
    assertThat(r.out()).containsPattern("4 steps, [\\d,]+ tokens in \\d+\\.\\d s: steps \\d+ %");
    assertThat(r.out()).containsPattern("FLOP, \\d+\\.\\d GFLOP/s: \\d+ % of the \\d+\\.\\d");
    JsonObject json = Json.read(out.resolve("summary.json"));
    assertThat(json.number("last_step")).isEqualTo(4);
    assertThat(json.number("flops")).isPositive();
    assertThat(json.number("mfu")).isBetween(0.0, 1.5); // a busy machine may not find its peak
    r = Tiny.train(dir, out, "--max-steps=6", "--resume");
    ResumeTest.assertSuccess(r);
    json = Json.read(out.resolve("summary.json"));
    assertThat(json.number("first_step")).isEqualTo(5);
    assertThat(json.number("last_step")).isEqualTo(6);
  }
}
