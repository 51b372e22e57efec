package dev.javelin.train;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.Turn;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Eight threads train, evaluate, generate, run operators and save with one model on one device,
 * while others interrupt them and close what they use, in any order, at any moment. Threads may be
 * refused; nothing else may happen. Run in a process of its own, since the fault looked for ends
 * it.
 */
@SuppressWarnings("SystemOut") // what the test reads
final class Stress {
  private static final int BYTES = 256;
  private static final int POSITIONS = 32;

  private static final AtomicLong CALLS = new AtomicLong();

  private final Random random;
  private final Device device;
  private final LanguageModel model;
  private final Inference inference;
  private final Trainer trainer;
  private final Memory ids;
  private final List<Throwable> failures = Collections.synchronizedList(new ArrayList<>());
  private final List<Thread> threads = new ArrayList<>();
  private final CountDownLatch begin = new CountDownLatch(1);

  private interface Task {
    void run() throws Exception;
  }

  private Stress(Random random, Device device) {
    this.random = random;
    this.device = device;
    TransformerConfig config =
        random.nextBoolean()
            ? Llama.config(BYTES, 2, 4, 2, 32, 48, POSITIONS)
            : Gpt2.config(BYTES, 2, 4, 32, POSITIONS);
    this.model =
        LanguageModel.create(
            device,
            config,
            random.nextInt(3) == 0 ? Precision.BF16 : Precision.FP32,
            Grouping.decayMatrices(0.1f),
            1,
            new ByteTokenizer());
    this.inference = model.inference();
    TokenSource tokens = TokenSource.of("pattern", TinyModels.ids(2000));
    this.trainer = trainer(model, new Dataset(tokens, tokens, null));
    this.ids = device.allocate(DType.I32.bytes(POSITIONS));
  }

  private static Trainer trainer(LanguageModel model, Dataset data) {
    return TextTraining.of(
            model, data, TinyModels.settings(1_000_000).withRun(r -> r.withEvalEvery(3)))
        .trainer();
  }

  private static void work(Task task) throws Exception {
    while (true) {
      task.run();
      CALLS.incrementAndGet();
      if (Thread.interrupted()) {
        LockSupport.parkNanos(1000);
      }
    }
  }

  private void thread(Task task) {
    Thread t =
        new Thread(
            () -> {
              try {
                begin.await();
                task.run();
              } catch (IllegalStateException | InterruptedException refused) {
                // something that was needed has been closed
              } catch (Throwable t0) {
                failures.add(t0);
              }
            });
    threads.add(t);
    t.start();
  }

  private void evaluate() throws Exception {
    try (Workspace workspace = Workspace.on(device, 1 << 20);
        StepState state = StepState.on(device)) {
      Tensor tokens = Tensor.of(ids, 0, DType.I32, Shape.of(2, POSITIONS / 2));
      work(
          () -> {
            workspace.reset();
            Tape tape = Tape.inference(workspace);
            try (Turn _ = device.turn()) {
              Losses.linearCrossEntropy(
                  model.transformer().hidden(tape, tokens, Pass.PLAIN),
                  model.transformer().headWeight(tape),
                  tokens,
                  LossOptions.PLAIN,
                  state);
            }
            if (!Double.isFinite(state.loss())) {
              throw new AssertionError("the loss is " + state.loss());
            }
          });
    }
  }

  private void operators() throws Exception {
    try (Workspace workspace = Workspace.on(device, 1 << 20)) {
      work(
          () -> {
            workspace.reset();
            Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, POSITIONS));
            tokens.fromHost(MemorySegment.ofArray(TinyModels.ids(POSITIONS)));
            Tensor logits = model.transformer().forward(Tape.inference(workspace), tokens).value();
            MemorySegment read = logits.toHost();
            if (read.byteSize() != logits.dtype().bytes((long) POSITIONS * BYTES)) {
              throw new AssertionError("logits of " + read.byteSize() + " bytes");
            }
          });
    }
  }

  /** Reads memory as it lies there, also while it is closed. */
  private void read() {
    Tensor t = Tensor.of(ids, 0, DType.I32, Shape.of(POSITIONS));
    while (true) {
      MemorySegment s = t.toHost();
      for (int i = 0; i < POSITIONS; i++) {
        if (s.getAtIndex(ValueLayout.JAVA_INT, i) != 0) {
          throw new AssertionError("an id of " + s.getAtIndex(ValueLayout.JAVA_INT, i));
        }
      }
    }
  }

  private void round() throws InterruptedException {
    Sampler sampler = new Sampler(0.8, 20, 0.9, 1);
    thread(() -> work(trainer::run));
    thread(() -> work(() -> inference.generate(Request.of("abc").sampler(sampler))));
    thread(() -> work(() -> inference.generate(Request.of("x").stop("a", "b"))));
    thread(() -> work(() -> model.generate("de", 9, sampler)));
    thread(this::evaluate);
    thread(this::operators);
    thread(this::read);
    List<Task> closings =
        new ArrayList<>(
            List.of(trainer::close, inference::close, model::close, ids::close, device::close));
    Collections.shuffle(closings, random);
    long most = device instanceof Cpu ? 1_000_000L << random.nextInt(6) : 300_000_000;
    long[] pauses = random.longs(closings.size(), 0, most).toArray();
    thread(
        () -> {
          for (int i = 0; i < pauses.length; i++) {
            LockSupport.parkNanos(pauses[i]);
            closings.get(i).run();
          }
        });
    Thread canceller =
        new Thread(
            () -> {
              for (int i = 0; i < 20; i++) {
                LockSupport.parkNanos(200_000);
                threads.get(i % (threads.size() - 1)).interrupt();
              }
            });
    begin.countDown();
    canceller.start();
    canceller.join();
    for (Thread t : threads) {
      t.join();
    }
  }

  /**
   * Rounds, seed of the first, and {@code cpu} or {@code emulator}; exits with 0 if all is well.
   */
  public static void main(String[] args) throws InterruptedException {
    int rounds = Integer.parseInt(args[0]);
    long seed = Long.parseLong(args[1]);
    for (int i = 0; i < rounds; i++) {
      Random random = new Random(seed + i);
      Device device =
          args[2].equals("cpu")
              ? Cpu.open(1 + random.nextInt(3))
              : Cuda.emulated(new BundledKernels());
      Stress stress = new Stress(random, device);
      stress.round();
      if (!stress.failures.isEmpty()) {
        System.out.println("seed " + (seed + i));
        stress.failures.forEach(t -> t.printStackTrace(System.out));
        System.exit(3);
      }
    }
    System.out.println(rounds + " rounds, " + CALLS + " calls");
  }
}
