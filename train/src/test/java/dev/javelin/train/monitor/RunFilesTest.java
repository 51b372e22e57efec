package dev.javelin.train.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Mutations;
import dev.javelin.train.monitor.StepPlaces.Reading;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code events.jsonl} and {@code samples.jsonl}. */
class RunFilesTest {
  private static final long SEED = 20261130;

  @TempDir Path dir;

  @Test
  void eventsComeBackAsTheyWereWrittenAcrossResumesAndTornLines() throws IOException {
    Path file = dir.resolve("events.jsonl");
    RunEvent spike = new RunEvent(7, RunEvent.SPIKE, "loss 9.1 \"far\"\nabove 2.5");
    try (EventsFile f = new EventsFile(file, 0)) {
      f.event(spike);
    }
    Files.writeString(file, Files.readString(file) + "{\"step\":8,\"ki");
    try (EventsFile f = new EventsFile(file, 5)) {
      f.event(new RunEvent(9, "plateau", "rate halved"));
    }
    assertThat(EventsFile.read(file))
        .containsExactly(
            spike,
            new RunEvent(5, RunEvent.RESUME, "going on"),
            new RunEvent(9, "plateau", "rate halved"));
  }

  @Test
  void everyStepsPlacesAreKnownThroughRollBackRampAndResume() throws IOException {
    Path file = dir.resolve("samples.jsonl");
    try (SamplesFile f = new SamplesFile(file)) {
      for (int step = 1; step <= 20; step++) {
        f.begins(step, 4L * (step - 1), 4);
      }
      assertThat(Files.readAllLines(file)).hasSize(1);
      for (int step = 11; step <= 30; step++) { // rolled back to 10; rows 40 to 79 are left out
        f.begins(step, 80 + 4L * (step - 11), 4);
      }
      for (int step = 31; step <= 40; step++) { // batches twice as large
        f.begins(step, 160 + 8L * (step - 31), 8);
      }
    }
    try (SamplesFile f = new SamplesFile(file)) { // killed behind 40, resumed from 36
      f.begins(37, 208, 8);
    }
    StepPlaces places = SamplesFile.read(file);
    assertThat(places.of(1)).containsExactly(new Reading(1, 0, 4));
    assertThat(places.of(15)).containsExactly(new Reading(15, 56, 4), new Reading(15, 96, 4));
    assertThat(places.of(25)).containsExactly(new Reading(25, 136, 4));
    assertThat(places.of(32)).containsExactly(new Reading(32, 168, 8));
    assertThat(places.of(40)).containsExactly(new Reading(40, 232, 8));
    assertThat(places.of(0)).isEmpty();
  }

  @Test
  void changedBytesAreReadOrPassedOver() throws IOException {
    mutate(Mutations.SHORT);
  }

  @Test
  @Tag("long")
  void changedBytesAreReadOrPassedOverManyTimes() throws IOException {
    mutate(Mutations.LONG);
  }

  private void mutate(int times) throws IOException {
    Path file = dir.resolve("lines");
    byte[] valid =
        """
        {"step":7,"kind":"spike","text":"loss 9.1"}
        {"step":1,"place":0,"rows":4}
        {"step":11,"place":80,"rows":4,"before":20}
        """
            .getBytes(StandardCharsets.UTF_8);
    int refused =
        Mutations.count(
            valid,
            SEED,
            times,
            bytes -> {
              Files.write(file, bytes);
              StepPlaces places = SamplesFile.read(file);
              places.of(bytes.length);
              return EventsFile.read(file).size() + places.stretches().size() < 3;
            });
    assertThat(refused).as("files with a damaged line").isPositive().isLessThan(times);
  }
}
