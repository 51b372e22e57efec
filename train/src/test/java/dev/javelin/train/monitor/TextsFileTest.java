package dev.javelin.train.monitor;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.HostMemory;
import dev.javelin.train.eval.Evaluation;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextsFileTest {
  @TempDir Path dir;
  private final List<String> also = new ArrayList<>();
  private final List<String> log = new ArrayList<>();

  private TextsFile open(@Nullable Integer every, Supplier<String> writer) throws IOException {
    return new TextsFile(
        dir.resolve("texts.jsonl"), every, "p", writer, (s, t) -> also.add(s + t), log::add);
  }

  private static void train(Watcher watcher) {
    for (long step = 1; step <= 10; step++) {
      watcher.advanced(step);
      if (step % 5 == 0) {
        watcher.evaluated(step, new Evaluation(step == 5 ? 2 : Double.NaN, null, 1));
      }
    }
  }

  @Test
  void textsComeAtEvaluationsUnlessToldOtherwise() throws IOException {
    try (TextsFile file = open(null, () -> "q\n\"")) {
      train(file); // the second evaluation is no number
    }
    try (TextsFile file = open(4, () -> "r")) {
      train(file);
    }
    assertThat(Files.readAllLines(dir.resolve("texts.jsonl")))
        .containsExactly(
            "{\"step\":5,\"prompt\":\"p\",\"text\":\"q\\n\\\"\"}",
            "{\"step\":4,\"prompt\":\"p\",\"text\":\"r\"}",
            "{\"step\":8,\"prompt\":\"p\",\"text\":\"r\"}");
    assertThat(also).containsExactly("5pq\n\"", "4pr", "8pr");
  }

  @Test
  void aModelThatCannotWriteIsNotAskedAgain() throws IOException {
    int[] asked = {0};
    Supplier<String> writer =
        () -> {
          asked[0]++;
          throw new IllegalArgumentException("the logit of token 3 is NaN");
        };
    try (TextsFile file = open(1, writer)) {
      train(file);
    }
    assertThat(asked[0]).isEqualTo(1);
    assertThat(log).singleElement().asString().contains("goes on without", "token 3");
  }

  /** The message as {@code event.proto}, {@code summary.proto} and {@code tensor.proto} say. */
  @Test
  void tensorBoardGetsTextsAsItsTextPluginWantsThem() throws IOException {
    try (EventFile events = new EventFile(dir, 0)) {
      events.text(3, "samples", "hi");
    }
    Path file;
    try (var files = Files.list(dir)) {
      file = files.findFirst().orElseThrow();
    }
    String hex = HexFormat.of().formatHex(Files.readAllBytes(file));
    String tag =
        "0a14" + HexFormat.of().formatHex("samples/text_summary".getBytes(StandardCharsets.UTF_8));
    String metadata = "4a0a" + "0a06" + "0a04" + "74657874" + "2002"; // plugin "text", a tensor
    String tensor = "4211" + "0807" + "1204" + "12020801" + "4207" + "202020206869" + "0a";
    assertThat(hex).contains(tag + metadata + tensor).contains("1003"); // step 3
  }

  @Test
  void memoryIsToldInBytes() {
    long block = 64L << 20;
    try (Cpu cpu = Cpu.open(1)) {
      Map<String, Double> before = measure(cpu);
      try (HostMemory memory = cpu.allocate(block)) {
        memory.segment().fill((byte) 1);
        Map<String, Double> now = measure(cpu);
        assertThat(now.get("memory_device")).isGreaterThanOrEqualTo(block);
        Runtime java = Runtime.getRuntime();
        assertThat(now.get("memory_heap")).isBetween(1e6, (double) java.totalMemory());
        if (Files.exists(Path.of("/proc/self/statm"))) {
          double grown =
              Objects.requireNonNull(now.get("memory_rss"))
                  - Objects.requireNonNull(before.get("memory_rss"));
          assertThat(grown).isGreaterThan(0.5 * block);
        }
      }
    }
  }

  private static Map<String, Double> measure(Cpu cpu) {
    Map<String, Double> measured = new TreeMap<>();
    MemoryUse.measure(cpu, measured::put);
    return measured;
  }
}
