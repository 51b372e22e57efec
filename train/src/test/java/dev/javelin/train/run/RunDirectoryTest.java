package dev.javelin.train.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Keep;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.Watcher;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunDirectoryTest {
  @TempDir Path dir;

  @Test
  void aSecondRunOfTheProcessIsRefusedByNameAndOwner() {
    Path run = dir.resolve("run");
    try (RunDirectory first = RunDirectory.claim(run)) {
      assertThat(first.isLocked()).isTrue();
      assertThatThrownBy(() -> RunDirectory.claim(run))
          .isInstanceOf(InputException.class)
          .hasMessageContainingAll(
              run.toString(),
              "in use",
              Long.toString(ProcessHandle.current().pid()),
              "--output-dir");
    }
    RunDirectory.claim(run).close();
  }

  @Test
  void otherNamesOfADirectoryAreTheSameDirectory() throws IOException {
    Path run = Files.createDirectory(dir.resolve("run"));
    Path link = Files.createSymbolicLink(dir.resolve("link"), run);
    try (RunDirectory _ = RunDirectory.claim(run)) {
      for (Path other : List.of(link, dir.resolve("link/../run"), run.resolve("."))) {
        assertThatThrownBy(() -> RunDirectory.claim(other)).hasMessageContaining("in use");
      }
    }
  }

  @Test
  void anotherProcessIsRefusedByNameAndOwner() throws Exception {
    Path run = dir.resolve("run");
    Process holder = Holder.start("claim", run);
    try (BufferedReader out = holder.inputReader()) {
      assertThat(out.readLine()).isEqualTo(run.toString());
      for (int i = 0; i < 3; i++) {
        assertThatThrownBy(() -> RunDirectory.claim(run))
            .isInstanceOf(InputException.class)
            .hasMessageContainingAll(run.toString(), "in use by process " + holder.pid());
      }
    } finally {
      holder.destroyForcibly().waitFor();
    }
    assertThat(run.resolve(".lock")).hasContent("process " + holder.pid() + "\n");
    try (RunDirectory claimed = RunDirectory.claim(run)) {
      assertThat(claimed.path()).isEqualTo(run);
    }
  }

  @Test
  void processesStartedTogetherGetTheirOwnDefaultDirectories() throws Exception {
    Path base = dir.resolve("out");
    Process one = Holder.start("next", base);
    Process two = Holder.start("next", base);
    try (BufferedReader first = one.inputReader();
        BufferedReader second = two.inputReader();
        RunDirectory third = RunDirectory.claimNext(base)) {
      assertThat(List.of(first.readLine(), second.readLine(), third.path().toString()))
          .containsExactlyInAnyOrder(base.toString(), base + "-2", base + "-3");
    } finally {
      one.destroyForcibly().waitFor();
      two.destroyForcibly().waitFor();
    }
  }

  @Test
  void ofManyThreadsThatClaimAtOnceOneGetsTheDirectory() throws Exception {
    int threads = 8;
    CyclicBarrier together = new CyclicBarrier(threads);
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      for (int round = 0; round < 20; round++) {
        Path run = dir.resolve("run-" + round);
        Callable<Boolean> claim =
            () -> {
              together.await();
              try (RunDirectory _ = RunDirectory.claim(run)) {
                together.await();
                return true;
              } catch (InputException refused) {
                together.await();
                return false;
              }
            };
        List<Boolean> claimed = new ArrayList<>();
        for (Future<Boolean> f : pool.invokeAll(java.util.Collections.nCopies(threads, claim))) {
          claimed.add(f.get());
        }
        assertThat(claimed).containsOnlyOnce(true);
      }
    }
  }

  @Test
  void threadsThatClaimTheDefaultAtOnceGetOneEach() throws Exception {
    int threads = 8;
    CyclicBarrier together = new CyclicBarrier(threads);
    Callable<Path> claim =
        () -> {
          together.await();
          try (RunDirectory run = RunDirectory.claimNext(dir.resolve("out"))) {
            together.await();
            return run.path().getFileName();
          }
        };
    try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
      List<String> names = new ArrayList<>();
      for (Future<Path> f : pool.invokeAll(java.util.Collections.nCopies(threads, claim))) {
        names.add(f.get().toString());
      }
      assertThat(names)
          .containsExactlyInAnyOrder(
              "out", "out-2", "out-3", "out-4", "out-5", "out-6", "out-7", "out-8");
    }
  }

  @Test
  void aDirectoryInWhichNothingWasWrittenGoesAway() throws IOException {
    RunDirectory.claim(dir.resolve("a/b/c")).close();
    assertThat(dir).isEmptyDirectory();
    try (RunDirectory _ = RunDirectory.claim(dir.resolve("a/b"))) {
      Files.writeString(dir.resolve("a/b/file"), "");
    }
    assertThat(dir.resolve("a/b/file")).exists();
    Path given = Files.createDirectory(dir.resolve("given"));
    RunDirectory.claim(given).close();
    assertThat(given).isDirectory();
  }

  @Test
  void whatCannotBeADirectoryIsNamed() throws IOException {
    Path file = Files.writeString(dir.resolve("file"), "");
    assertThatThrownBy(() -> RunDirectory.claim(file))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll("--output-dir " + file, "is a file");
    assertThatThrownBy(() -> RunDirectory.claim(file.resolve("run")))
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(file.resolve("run").toString(), "--output-dir");
  }

  @Test
  void aLockFileThatIsALinkIsNotWrittenThrough() throws IOException {
    Path victim = Files.writeString(dir.resolve("victim"), "text");
    Path run = Files.createDirectory(dir.resolve("run"));
    Files.createSymbolicLink(run.resolve(".lock"), victim);
    assertThatThrownBy(() -> RunDirectory.claim(run))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(run.toString());
    assertThat(victim).hasContent("text");
  }

  @Test
  void aDirectoryThatIsTakenAwayComesBackWithTheNextCheckpoint() throws IOException {
    Path run = dir.resolve("run");
    try (RunDirectory directory = RunDirectory.claim(run)) {
      directory.describe("settings\n", Keep.ALL, null, Map.of());
      directory.begin(0, 5).forEach(Watcher::close);
      Files.move(run, dir.resolve("elsewhere"));
      directory.save(
          new TrainingState(5, 5, 5, 1, new StepState.Carried(1, 0, 5, 0), null, 0, "m"),
          into -> Files.writeString(into.resolve("model"), "weights"));
      assertThat(run.resolve("config.yaml")).hasContent("settings");
      assertThat(run.resolve("last/model")).hasContent("weights");
      assertThatThrownBy(() -> RunDirectory.claim(run)).hasMessageContaining("in use");
      RunDirectory.claim(dir.resolve("elsewhere")).close();
    }
    RunDirectory.claim(run).close();
  }
}
