package dev.javelin.train.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.report.ReportPage.Shown;
import dev.javelin.train.report.ReportPage.State;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunHistoryTest {
  @TempDir Path dir;

  private static String metrics(int from, int to) {
    StringBuilder lines = new StringBuilder();
    for (int s = from; s <= to; s++) {
      lines.append("{\"step\":%d,\"loss\":%s,\"lr\":0.001".formatted(s, 4.0 / s));
      lines.append(s % 10 == 0 ? ",\"eval_loss\":%s}\n".formatted(5.0 / s) : "}\n");
    }
    return lines.toString();
  }

  private static String json(RunHistory history) {
    StringBuilder out = new StringBuilder();
    history.json(out, "running");
    return out.toString();
  }

  private void append(String file, String text) throws IOException {
    Files.writeString(
        dir.resolve(file), text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }

  @Test
  void whatIsReadPieceByPieceIsWhatIsReadAtOnce() throws IOException {
    String all =
        metrics(1, 700)
            + "no json\n{\"step\":\"x\"}\n"
            + "{\"step\":701,\"loss\":null,\"key\\u00e9\":7}\n"
            + "x".repeat(3 << 20)
            + "\n"
            + metrics(702, 900);
    byte[] bytes = all.getBytes(StandardCharsets.UTF_8);
    RunHistory pieces = RunHistory.of(dir);
    SplittableRandom random = new SplittableRandom(1);
    for (int at = 0; at < bytes.length; ) {
      int n = Math.min(bytes.length - at, random.nextInt(1, 40_000));
      Files.write(
          dir.resolve("metrics.jsonl"),
          java.util.Arrays.copyOfRange(bytes, at, at + n),
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
      at += n;
      pieces.refresh();
    }
    RunHistory whole = RunHistory.of(dir).refresh();
    assertThat(json(pieces)).isEqualTo(json(whole));
    assertThat(whole.step()).isEqualTo(900);
    assertThat(whole.curves()).containsOnlyKeys("loss", "lr", "eval_loss", "keyé");
    assertThat(whole.least("eval_loss")).isEqualTo(5.0 / 900);
    assertThat(whole.last("loss")).isEqualTo(4.0 / 900);
  }

  @Test
  void aRunThatWentBackIsShownAsItWentOn() throws IOException {
    append("metrics.jsonl", metrics(1, 50));
    append("texts.jsonl", sample(20, "a") + sample(40, "b"));
    append(
        "events.jsonl",
        event(0, "start", "up to step 90") + event(30, "checkpoint", "a") + event(45, "spike", ""));
    RunHistory history = RunHistory.of(dir).refresh();
    append("events.jsonl", event(30, "start", "up to step 100"));
    append("metrics.jsonl", metrics(31, 33));
    append("texts.jsonl", sample(33, "c"));
    String now = json(history.refresh());
    assertThat(Objects.requireNonNull(history.curves().get("loss")).steps())
        .hasSize(33)
        .endsWith(32, 33);
    assertThat(history.steps()).isEqualTo(100);
    assertThat(now)
        .contains("\"samples\":[[20,\"\",\"a\"],[33,\"\",\"c\"]]")
        .contains("[45,\"spike\"");
  }

  @Test
  void aFileThatIsReplacedIsReadAnew() throws IOException {
    append("metrics.jsonl", metrics(1, 50));
    RunHistory history = RunHistory.of(dir).refresh();
    Files.writeString(dir.resolve("metrics.jsonl"), metrics(1, 3));
    assertThat(json(history.refresh())).isEqualTo(json(RunHistory.of(dir).refresh()));
    assertThat(history.step()).isEqualTo(3);
  }

  private static String sample(int step, String text) {
    return "{\"step\":%d,\"prompt\":\"\",\"text\":\"%s\"}\n".formatted(step, text);
  }

  private static String event(int step, String kind, String text) {
    return "{\"step\":%d,\"kind\":\"%s\",\"text\":\"%s\"}\n".formatted(step, kind, text);
  }

  @Test
  void aLongRunMakesASmallPage() throws IOException {
    StringBuilder lines = new StringBuilder();
    SplittableRandom random = new SplittableRandom(2);
    for (int s = 1; s <= 100_000; s++) {
      lines.append("{\"step\":").append(s);
      for (int k = 0; k < 12; k++) {
        lines.append(",\"key_").append(k).append("\":").append(random.nextDouble(0.1, 9));
      }
      lines.append("}\n");
    }
    append("metrics.jsonl", lines.toString());
    lines.setLength(0);
    for (int s = 0; s <= 100_000; s += 10) {
      lines.append(event(s, "spike", "")).append(event(s, "checkpoint", ""));
      append("texts.jsonl", s % 1000 == 0 ? sample(s, "text ".repeat(2000)) : "");
    }
    append("events.jsonl", lines.toString());
    RunHistory history = RunHistory.of(dir).refresh();
    String page = ReportPage.of(List.of(new Shown(history, State.FINISHED)));
    assertThat(page).hasSizeLessThan(600_000);
    assertThat(page).contains("\"spike\":10001"); // all are counted
    String samples = page.substring(page.indexOf("\"samples\":"));
    assertThat(samples).contains("[[0,", ",[100000,"); // the first and the newest
  }

  @Test
  void nothingInTheDataEndsTheScript() throws IOException {
    append("metrics.jsonl", metrics(1, 2));
    append("texts.jsonl", sample(1, "</script><!-- <script>alert(1)</script>"));
    append("events.jsonl", event(1, "odd", "</ScRiPt><img src=x>"));
    String page = ReportPage.of(List.of(new Shown(RunHistory.of(dir).refresh(), State.RUNNING)));
    assertThat(page).doesNotContain("alert(1)</script>", "<img", "<!-- ");
    assertThat(page.split("</script>", -1)).hasSize(3); // the data's and the page's own
  }

  @Test
  void damagedFilesGiveAPageAllTheSame() throws IOException {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyMoreDamagedFilesGiveAPageAllTheSame() throws IOException {
    mutate(100_000);
  }

  private void mutate(int times) throws IOException {
    List<String> names =
        List.of("metrics.jsonl", "events.jsonl", "texts.jsonl", "config.yaml", "health.jsonl");
    List<byte[]> sound =
        List.of(
            metrics(8, 12).getBytes(StandardCharsets.UTF_8),
            (event(0, "start", "up to step 9") + event(9, "spike", ""))
                .getBytes(StandardCharsets.UTF_8),
            (sample(1, "é") + sample(9, "b")).getBytes(StandardCharsets.UTF_8),
            "learning_rate: 0.01\nseed: 7\n".getBytes(StandardCharsets.UTF_8),
            """
            {"step":5,"layers":["a","b"],"update_ratio":[1,0.5],"still":[0,7],"ratios":[1,2]}
            {"step":9,"update_ratio":[1,null],"still":[0,7],"zero_gradient":[0,0]}
            """
                .getBytes(StandardCharsets.UTF_8));
    SplittableRandom random = new SplittableRandom(3);
    for (int i = 0; i < times; i++) {
      int n = random.nextInt(names.size());
      byte[] bytes = sound.get(n).clone();
      for (int flips = random.nextInt(1, 4); flips > 0; flips--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      int kept = random.nextInt(4) == 0 ? random.nextInt(bytes.length) : bytes.length;
      Files.write(dir.resolve(names.get(n)), java.util.Arrays.copyOf(bytes, kept));
      if (n == 3) {
        Objects.requireNonNull(RunHistory.of(dir).settings());
      } else {
        assertThat(json(RunHistory.of(dir).refresh())).startsWith("{\"name\":").endsWith("}");
      }
    }
  }
}
