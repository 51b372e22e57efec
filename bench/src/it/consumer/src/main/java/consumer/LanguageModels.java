package consumer;

import static consumer.Consumer.check;

import dev.javelin.device.Cpu;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Run;
import dev.javelin.train.Trainer;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.RunSettings;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/** Trains on a text, is cancelled, goes on, and serves. */
final class LanguageModels {
  private static final int STEPS = 60;

  private LanguageModels() {}

  private static RunSettings settings(Path text, Path directory) {
    return RunSettings.DEFAULT
        .withModel(m -> m.withModel("llama-shakespeare-cpu").withTokenizer("char"))
        .withData(d -> d.withData(List.of(text)))
        .withBatch(b -> b.withBatchSize(4).withSeqLen(32))
        .withDevice(d -> d.withDevice("cpu").withThreads(2))
        .withRun(r -> r.withMaxSteps(STEPS).withOutputDir(directory));
  }

  /** The same bits, whether a training was cancelled on the way or not. */
  static Path trainCancelAndResume(Path folder) throws Exception {
    Path text = Texts.write(folder.resolve("text.txt"), 2000);
    RunSettings whole = settings(text, folder.resolve("whole"));
    RunSettings broken = settings(text, folder.resolve("broken"));
    double last;
    try (Run run = Run.open(whole)) {
      Trainer.Outcome outcome = run.trainer().run();
      last = outcome.loss();
      check(!outcome.interrupted() && last < 3, "it learns, got a loss of " + last);
    }
    long stopped = cancel(broken);
    check(stopped > 0 && stopped < STEPS, "cancelled on the way, after step " + stopped);
    try (Run run = Run.open(broken.withRun(r -> r.withResume("auto")))) {
      check(run.trainer().step() == stopped, "goes on from step " + run.trainer().step());
      check(run.trainer().run().loss() == last, "the same loss as without a break");
    }
    Path weights = Path.of("checkpoint-" + STEPS, "model.safetensors");
    check(
        Files.mismatch(
                folder.resolve("whole").resolve(weights), folder.resolve("broken").resolve(weights))
            == -1,
        "the same weights as without a break");
    return folder.resolve("whole/last");
  }

  /** Cancels the task of an executor that trains; the step it had reached. */
  private static long cancel(RunSettings settings) throws Exception {
    CountDownLatch under = new CountDownLatch(5); // steps
    CountDownLatch ended = new CountDownLatch(1);
    AtomicReference<Long> step = new AtomicReference<>(-1L);
    try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
      Future<?> training =
          executor.submit(
              () -> {
                try (Run run = Run.open(settings)) {
                  run.trainer().watch(new CountSteps(under));
                  step.set(run.trainer().run().step());
                } finally {
                  ended.countDown();
                }
                return null;
              });
      check(under.await(60, TimeUnit.SECONDS), "five steps");
      training.cancel(true);
      check(ended.await(60, TimeUnit.SECONDS), "a cancelled training ends");
    }
    return step.get();
  }

  private record CountSteps(CountDownLatch steps) implements Watcher {
    @Override
    public void advanced(long step) {
      steps.countDown();
    }

    @Override
    public void logged(StepMetrics metrics) {}
  }

  /** Eight threads share a model; each reply is what it would be alone. */
  static void serve(Path directory) throws Exception {
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = LanguageModel.load(cpu, directory);
        Inference inference = model.inference();
        ExecutorService threads = Executors.newFixedThreadPool(8)) {
      List<Request> requests = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        requests.add(
            Request.of(i % 2 == 0 ? "The fox" : "A heron ")
                .maxNewTokens(12 + i)
                .sampler(new Sampler(0.8, 0, 0.95, i)));
      }
      List<String> alone = new ArrayList<>();
      for (Request request : requests) {
        alone.add(inference.generate(request).text());
      }
      List<Future<String>> replies = new ArrayList<>();
      for (Request request : requests) {
        replies.add(threads.submit(() -> inference.generate(request).text()));
      }
      for (int i = 0; i < requests.size(); i++) {
        check(replies.get(i).get().equals(alone.get(i)), "reply " + i + " is its own");
      }
      String line = inference.generate(Request.of("The fox").stop(".\n")).text();
      check(!line.contains(".\n"), "a stop string ends the reply, got " + line);
    }
  }
}
