package dev.javelin.train;

import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A long run of a tiny model, then many short ones, in one Java machine: {@code STEPS CYCLES
 * DIRECTORY}. Says what it takes as it goes, a line each: {@code run|cycle, step|cycle, resident
 * set and heap in KiB, open files, threads}.
 */
@SuppressWarnings("SystemOut") // what the test reads
final class Soak {
  private static final int CYCLE_STEPS = 20;
  private static final int SAMPLES = 100;
  private static final int PAGE_KIB = 4;

  private Soak() {}

  public static void main(String[] args) throws IOException {
    int steps = Integer.parseInt(args[0]);
    int cycles = Integer.parseInt(args[1]);
    Path directory = Path.of(args[2]);
    Files.createDirectories(directory.resolve("model"));
    Files.writeString(
        directory.resolve("model/config.json"),
        """
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16,
         "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 1, "max_position_embeddings": 16, "vocab_size": 256,
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
         "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0}
        """);
    Files.writeString(directory.resolve("text.txt"), "the quick brown fox jumps. ".repeat(200));
    long begun = System.nanoTime();
    train(directory, steps, Math.max(1, steps / SAMPLES));
    System.out.printf("%.3f ms a step%n", (System.nanoTime() - begun) * 1e-6 / steps);
    for (int cycle = 1; cycle <= cycles; cycle++) {
      train(directory, CYCLE_STEPS, 0);
      if (cycle % Math.max(1, cycles / SAMPLES) == 0) {
        sample("cycle", cycle);
      }
    }
  }

  /** A run as the command line makes it: logs, metrics, report, evaluations, checkpoints. */
  private static void train(Path directory, int steps, int sampleEvery) throws IOException {
    Path output = directory.resolve("run");
    int save = Math.max(CYCLE_STEPS / 2, steps / 200);
    RunSettings settings =
        RunSettings.DEFAULT
            .withModel(
                m -> m.withModel(directory.resolve("model").toString()).withTokenizer("byte"))
            .withData(d -> d.withData(List.of(directory.resolve("text.txt"))).withValFraction(0.2))
            .withBatch(b -> b.withBatchSize(2).withSeqLen(8))
            .withDevice(d -> d.withDevice("cpu").withThreads(1))
            .withRun(
                r ->
                    r.withMaxSteps(steps)
                        .withEvalEvery(2 * save)
                        .withEvalBatches(2)
                        .withSaveEvery(save)
                        .withKeep(2)
                        .withLoggingSteps(Math.max(1, save / 5))
                        .withOutputDir(output));
    try (Run run = Run.open(settings)) {
      run.trainer()
          .watch(
              new Watcher() {
                @Override
                public void advanced(long step) {
                  if (sampleEvery > 0 && step % sampleEvery == 0) {
                    sample("run", step);
                  }
                }
              })
          .run();
    }
    try (Stream<Path> all = Files.walk(output)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private static void sample(String phase, long at) {
    System.gc();
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      long pages = Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ", 3)[1]);
      System.out.printf(
          "%s,%d,%d,%d,%d,%d%n",
          phase,
          at,
          pages * PAGE_KIB,
          ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed() >> 10,
          files.count(),
          ManagementFactory.getThreadMXBean().getThreadCount());
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
