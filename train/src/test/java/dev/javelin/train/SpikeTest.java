package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.monitor.EventsFile;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A bad window of the data, with and without a guard: the small version of docs/training. */
class SpikeTest {
  private static final int STEPS = 200;
  private static final String SPIKE = "spike@160:20";

  @TempDir Path dir;

  /** Ids three quarters of which follow from the one before. */
  private static int[] ids(int count, long seed) {
    Random random = new Random(seed);
    int[] ids = new int[count];
    for (int i = 1; i < count; i++) {
      boolean any = random.nextInt(4) == 0;
      ids[i] = any ? random.nextInt(TinyModels.VOCAB) : (3 * ids[i - 1] + 1) % TinyModels.VOCAB;
    }
    return ids;
  }

  private double train(String name, @Nullable String guard, @Nullable String inject)
      throws IOException {
    RunSettings settings =
        TinyModels.settings(STEPS)
            .withRun(r -> r.withSaveEvery(50).withEvalEvery(0).withKeep(0))
            .withBatch(b -> b.withBatchSize(8))
            .withGuard(
                g -> g.withGuard(guard).withInject(inject).withGuardWindow(60).withGuardWarmup(30));
    TokenSource train = TokenSource.of("train", ids(20_000, 1));
    TokenSource held = TokenSource.of("held out", ids(2_000, 2));
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Dataset data = new Dataset(train, held, null);
        RunDirectory run = RunDirectory.claim(dir.resolve(name));
        Trainer trainer = TextTraining.of(model, data, settings).trainer().into(run)) {
      return Objects.requireNonNull(trainer.run().evaluation()).loss();
    }
  }

  private List<RunEvent> events(String name, String kind) throws IOException {
    return EventsFile.read(dir.resolve(name).resolve("events.jsonl")).stream()
        .filter(e -> e.kind().equals(kind))
        .toList();
  }

  @Test
  void aBadWindowSpoilsARunUnlessItIsGuarded() throws IOException {
    double clean = train("clean", null, null);
    double bad = train("bad", null, SPIKE);
    assertThat(bad).as("without a guard; clean %s", clean).isGreaterThan(1.05 * clean);

    double skipped = train("skip", "skip", SPIKE);
    assertThat(skipped).as("skip").isCloseTo(clean, within(0.01 * clean));
    assertThat(events("skip", RunEvent.SKIP))
        .extracting(RunEvent::step)
        .contains(160L, 179L)
        .hasSizeBetween(20, 24);

    double back = train("rollback", "log:3,rollback", SPIKE);
    assertThat(back).as("rollback").isCloseTo(clean, within(0.01 * clean));
    assertThat(events("rollback", RunEvent.ROLLBACK)).isNotEmpty();
    assertThat(events("rollback", RunEvent.ROLLBACK).getFirst().text())
        .contains("back to checkpoint-150");

    double unharmed = train("guarded", "skip", null);
    assertThat(unharmed).as("a guard where nothing happens").isCloseTo(clean, within(0.01 * clean));
  }
}
