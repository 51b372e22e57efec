package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.sun.management.ThreadMXBean;
import dev.javelin.autograd.Tensors;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.Sample;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Recomputation;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole trainings on a GPU, or the emulated one. */
@RequiresCuda
class CudaTrainingTest {
  private static final int TOKENS = 500;

  @AfterEach
  void restore() {
    if (TestCuda.isEmulated()) {
      TestCuda.set("order", "forward");
      TestCuda.set("overlap", "0");
    }
  }

  private record Result(List<StepMetrics> steps, double[] weights, long peakBytes) {
    List<Double> losses() {
      return steps.stream().map(StepMetrics::loss).toList();
    }

    List<Double> norms() {
      return steps.stream().map(StepMetrics::gradNorm).toList();
    }
  }

  private static TransformerConfig shape(String name) {
    return name.equals("llama") ? TinyModels.llama() : TinyModels.gpt2();
  }

  private static Cuda cuda() {
    return TestCuda.open(new BundledKernels());
  }

  private static Result train(
      Device device, TransformerConfig shape, Precision precision, RunSettings config) {
    return train(device, shape, precision, config, true);
  }

  /** Trains and closes the device. */
  private static Result train(
      Device device,
      TransformerConfig shape,
      Precision precision,
      RunSettings config,
      boolean recorded) {
    List<StepMetrics> steps = new ArrayList<>();
    try (device;
        LanguageModel model = TinyModels.model(device, shape, precision);
        Dataset data = TinyModels.data(TOKENS);
        Trainer trainer = TextTraining.of(model, data, config).recorded(recorded).trainer()) {
      trainer
          .watch(
              new Watcher() {
                @Override
                public void logged(StepMetrics metrics) {
                  steps.add(metrics);
                }
              })
          .run();
      double[] weights = Tensors.toDoubles(model.parameters().weights());
      return new Result(steps, weights, trainer.peakBytes());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static RunSettings config(int steps, int parts) {
    return TinyModels.settings(steps)
        .withBatch(b -> b.withGradientAccumulationSteps(parts).withBatchSize(8 / parts));
  }

  /** The tolerances are those of the reference curves, see GoldenModelTest. */
  @ParameterizedTest
  @CsvSource({
    "llama, fp32, 1e-4", "llama, bf16, 2e-2", "llama, fp16, 2e-2",
    "gpt2, fp32, 1e-4", "gpt2, bf16, 2e-2", "gpt2, fp16, 2e-2"
  })
  void lossesAndMemoryAreTheCpus(String shape, String precision, double tolerance) {
    Precision p = Precision.named(precision);
    Result expected = train(Cpu.open(2), shape(shape), p, config(20, 1));
    Result got = train(cuda(), shape(shape), p, config(20, 1));
    for (int i = 0; i < 20; i++) {
      double loss = expected.steps.get(i).loss();
      assertThat(got.steps.get(i).loss())
          .as("%s in %s, loss of step %d", shape, precision, i + 1)
          .isCloseTo(loss, within(tolerance * loss));
    }
    assertThat(expected.steps.getLast().loss()).isLessThan(expected.steps.getFirst().loss() - 0.3);
    assertThat(got.peakBytes).as("bytes of the workspace").isEqualTo(expected.peakBytes);
  }

  /**
   * Micro-batches, recomputed blocks and an evaluation take the memory that they take on the CPU;
   * of half types the CPU keeps both summands of a block's input for recomputation.
   */
  @ParameterizedTest
  @CsvSource({"none, fp16", "blocks, fp32"})
  void thePeakIsTheCpusInWhateverPartsAStepIsDone(String recompute, String precision)
      throws IOException {
    long[] peaks = new long[2];
    for (int i = 0; i < 2; i++) {
      RunSettings config =
          config(3, 2)
              .withModel(
                  m ->
                      m.withRecompute(
                          recompute.equals("none") ? Recomputation.NONE : Recomputation.BLOCKS))
              .withRun(r -> r.withEvalEvery(2));
      TokenSource text = TokenSource.of("pattern", TinyModels.ids(TOKENS));
      try (Device device = i == 0 ? Cpu.open(2) : cuda();
          LanguageModel model =
              TinyModels.model(device, TinyModels.gpt2(), Precision.named(precision));
          Trainer trainer =
              TextTraining.of(model, new Dataset(text, text, null), config).trainer()) {
        trainer.run();
        peaks[i] = trainer.peakBytes();
      }
    }
    assertThat(peaks[1]).isEqualTo(peaks[0]);
  }

  /** A training whose step is recorded. */
  record Recording(String shape, String precision, int parts, boolean recompute) {
    static Stream<Recording> of(String shape) {
      return Stream.of("fp32", "bf16", "fp16")
          .flatMap(
              p ->
                  Stream.of(1, 2, 4)
                      .flatMap(
                          n -> Stream.of(false, true).map(r -> new Recording(shape, p, n, r))));
    }

    /** Kernel by kernel, as a graph, and as a graph in other orders of threads and of streams. */
    void check() {
      RunSettings config =
          config(7, parts).withModel(m -> m.withRecompute(Recomputation.of(recompute)));
      Precision p = Precision.named(precision);
      Result eager = train(cuda(), CudaTrainingTest.shape(shape), p, config, false);
      Map<String, String> orders =
          TestCuda.isEmulated()
              ? Map.of("forward", "0", "reverse", "ahead", "4711", "behind")
              : Map.of("as it comes", "");
      for (Map.Entry<String, String> order : orders.entrySet()) {
        if (TestCuda.isEmulated()) {
          TestCuda.set("order", order.getKey());
          TestCuda.set("overlap", order.getValue());
        }
        Result recorded = train(cuda(), CudaTrainingTest.shape(shape), p, config);
        assertThat(recorded.losses()).as("%s", order).isEqualTo(eager.losses());
        assertThat(recorded.norms()).as("%s", order).isEqualTo(eager.norms());
        assertThat(recorded.weights).as("%s", order).isEqualTo(eager.weights);
      }
    }
  }

  static Stream<Sample<Recording>> recordings() {
    return Stream.of("llama", "gpt2")
        .flatMap(s -> Sample.of("recorded " + s, Recording.of(s).toList(), 1).stream());
  }

  @ParameterizedTest
  @MethodSource("recordings")
  void aRecordedStepHasTheBitsOfOneThatIsNot(Sample<Recording> recording) {
    recording.check(Recording::check);
  }

  static Stream<Recording> allRecordings() {
    return Stream.of("llama", "gpt2").flatMap(Recording::of);
  }

  @Tag("long")
  @ParameterizedTest
  @MethodSource("allRecordings")
  void everyRecordedStepHasTheBitsOfOneThatIsNot(Recording recording) {
    recording.check();
  }

  /** Dropout too: the masks belong to sequences of the step, wherever it is cut. */
  @Test
  void theSplitOfABatchChangesOnlyRounding() {
    Result whole = train(cuda(), TinyModels.gpt2(), Precision.FP32, config(8, 1));
    Result parts = train(cuda(), TinyModels.gpt2(), Precision.FP32, config(8, 4));
    for (int i = 0; i < 8; i++) {
      double loss = whole.steps.get(i).loss();
      assertThat(parts.steps.get(i).loss()).isCloseTo(loss, within(1e-4 * loss));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  @RequiresEmulator
  void theSteadyStateLaunchesGraphsAndWaitsForNothing(int parts) throws IOException {
    RunSettings config = config(12, parts).withRun(r -> r.withLoggingSteps(100));
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    List<long[]> counts = new ArrayList<>();
    String[] calls = {"cu", "cuGraphLaunch", "cuMem", "cuStreamSynchronize", "cuCtxSynchronize"};
    try (Cuda cuda = cuda();
        LanguageModel model = TinyModels.model(cuda, TinyModels.llama(), Precision.BF16);
        Dataset data = TinyModels.data(TOKENS);
        Trainer trainer = TextTraining.of(model, data, config).trainer()) {
      trainer
          .watch(
              new Watcher() {
                @Override
                public void advanced(long step) {
                  long[] now = new long[calls.length + 3];
                  now[calls.length + 1] = threads.getCurrentThreadAllocatedBytes();
                  for (int i = 0; i < calls.length; i++) {
                    now[i] = TestCuda.calls(calls[i]);
                  }
                  now[calls.length] = cuda.allocations();
                  counts.add(now);
                  now[calls.length + 2] = threads.getCurrentThreadAllocatedBytes();
                }
              })
          .run();
    }
    for (int step = 6; step < 11; step++) {
      long[] before = counts.get(step - 1);
      long[] after = counts.get(step);
      long[] n = new long[calls.length];
      for (int i = 0; i < n.length; i++) {
        n[i] = after[i] - before[i];
      }
      long garbage = after[calls.length + 1] - before[calls.length + 2];
      assertThat(n[1]).as("graphs").isEqualTo(parts == 1 ? 1 : parts + 1);
      assertThat(n[3] + n[4]).as("calls that wait for the device").isZero();
      assertThat(n[0]).as("calls of the driver").isLessThanOrEqualTo(4 + 10 * parts);
      assertThat(garbage).as("bytes of garbage").isLessThan(4 << 10);
    }
    assertThat(counts.get(10)[5]).as("allocations").isEqualTo(counts.get(0)[5]);
  }

  @Test
  @RequiresEmulator
  void evaluationsReplayAGraphOfTheirOwnAndTakeNoMemory() throws IOException {
    RunSettings config = config(6, 1).withRun(r -> r.withEvalEvery(1));
    TokenSource held = TokenSource.of("held out", TinyModels.ids(6 * 64 + 30)); // 7 batches
    TokenSource text = TokenSource.of("pattern", TinyModels.ids(TOKENS));
    List<long[]> counts = new ArrayList<>();
    try (Cuda cuda = cuda();
        LanguageModel model = TinyModels.model(cuda, TinyModels.llama(), Precision.BF16);
        Trainer trainer = TextTraining.of(model, new Dataset(text, held, null), config).trainer()) {
      trainer
          .watch(
              new Watcher() {
                @Override
                public void logged(StepMetrics metrics) {
                  counts.add(
                      new long[] {
                        TestCuda.calls("cuGraphLaunch"),
                        TestCuda.calls("cuLaunchKernel"),
                        cuda.allocations()
                      });
                }
              })
          .run();
    }
    long[] fourth = counts.get(3);
    long[] fifth = counts.get(4);
    assertThat(fifth[0] - fourth[0]).as("graphs: the step's, seven batches'").isEqualTo(1 + 7);
    assertThat(fifth[1] - fourth[1]).as("kernels launched one by one").isZero();
    assertThat(fifth[2]).as("allocations").isEqualTo(counts.getFirst()[2]);
  }

  /** Its angles depend on its length, and lie where the recorded step finds its own. */
  @Test
  void aTextWrittenBetweenStepsLeavesRecordedStepsAndEvaluationsAlone() throws IOException {
    assertThat(stretched(List.of(1L, 2L, 5L), false)).isEqualTo(stretched(List.of(), false));
  }

  @Test
  void textsThatAnotherThreadWritesMeanwhileLeaveThemAloneToo() throws IOException {
    assertThat(stretched(List.of(), true)).isEqualTo(stretched(List.of(), false));
  }

  /**
   * Losses of a training with an evaluation after each step, and a text after some, or all the time
   * in a thread beside it.
   */
  private static List<Double> stretched(List<Long> texts, boolean beside) throws IOException {
    RunSettings config = config(8, 1).withRun(r -> r.withEvalEvery(1));
    TokenSource train = TokenSource.of("pattern", TinyModels.ids(TOKENS));
    List<Double> losses = new ArrayList<>();
    try (Cuda cuda = cuda();
        LanguageModel model = TinyModels.model(cuda, TinyModels.dynamic(), Precision.FP32);
        Inference generator = model.inference();
        Trainer trainer =
            TextTraining.of(model, new Dataset(train, train, null), config).trainer()) {
      AtomicBoolean done = new AtomicBoolean(!beside);
      CompletableFuture<Void> writer =
          CompletableFuture.runAsync(
              () -> {
                while (!done.get()) {
                  generator.tokens(TinyModels.ids(12), 3, Sampler.GREEDY, token -> true);
                }
              },
              Thread::startVirtualThread);
      trainer
          .watch(
              new Watcher() {
                @Override
                public void logged(StepMetrics metrics) {
                  losses.add(metrics.loss());
                  losses.add(metrics.evalLoss());
                  if (texts.contains(metrics.step())) {
                    generator.tokens(TinyModels.ids(12), 3, Sampler.GREEDY, token -> true);
                  }
                }
              })
          .run();
      done.set(true);
      writer.join();
    }
    assertThat(losses).hasSize(16).doesNotContainNull();
    return losses;
  }

  @Test
  void theLossOfAnEvaluationIsTheCpus() throws IOException {
    Evaluation cpu = evaluate(Cpu.open(2));
    Evaluation gpu = evaluate(cuda());
    assertThat(gpu.tokens()).isEqualTo(cpu.tokens());
    assertThat(gpu.loss()).isCloseTo(cpu.loss(), within(1e-4 * cpu.loss()));
  }

  /** Seven batches, the last of which is not full. */
  private static Evaluation evaluate(Device device) throws IOException {
    RunSettings config = config(2, 1);
    TokenSource held = TokenSource.of("held out", TinyModels.ids(6 * 64 + 30));
    TokenSource train = TokenSource.of("pattern", TinyModels.ids(TOKENS));
    try (device;
        LanguageModel model = TinyModels.model(device, TinyModels.gpt2(), Precision.FP32);
        Dataset data = new Dataset(train, held, null);
        Trainer trainer = TextTraining.of(model, data, config).trainer()) {
      return java.util.Objects.requireNonNull(trainer.run().evaluation());
    }
  }
}
