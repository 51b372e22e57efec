package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The same bits for any number of threads, and whether code is interpreted or compiled. */
class DeterminismTest {
  @TempDir Path dir;

  @Test
  void oneTwoAndFourThreadsGiveTheSameBits() throws IOException {
    Map<String, String> one = weights("one", "--threads=1");
    assertThat(weights("two", "--threads=2")).isEqualTo(one);
    assertThat(weights("four", "--threads=4")).isEqualTo(one);
  }

  @Test
  void theInterpreterGivesTheBitsOfTheCompiler() throws Exception {
    List<String> three =
        Tiny.flags(dir, dir.resolve("compiled"), "--max-steps=2", "--batch-size=1", "--seq-len=8");
    List<String> soon = List.of("-Xbatch", "-XX:-TieredCompilation", "-XX:CompileThreshold=200");
    ChildJvm compiled = ChildJvm.start(dir, soon, three);
    List<String> again =
        Tiny.flags(
            dir, dir.resolve("interpreted"), "--max-steps=2", "--batch-size=1", "--seq-len=8");
    ChildJvm interpreted = ChildJvm.start(dir, List.of("-Xint"), again);
    assertThat(interpreted.join()).as(interpreted.text()).isEqualTo(0);
    assertThat(compiled.join()).as(compiled.text()).isEqualTo(0);
    assertThat(Tiny.numbers(dir.resolve("interpreted/checkpoint-2")))
        .isEqualTo(Tiny.numbers(dir.resolve("compiled/checkpoint-2")));
  }

  private Map<String, String> weights(String name, String... flags) throws IOException {
    Path run = dir.resolve(name);
    ResumeTest.assertSuccess(Tiny.train(dir, run, flags));
    return Tiny.numbers(run.resolve("checkpoint-12"));
  }
}
