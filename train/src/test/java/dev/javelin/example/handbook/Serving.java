package dev.javelin.example.handbook;

import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.schedule.Schedule;
import dev.javelin.train.tokenizer.CharTokenizer;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Answers requests by copies of a model that is trained on meanwhile. */
public final class Serving {
  private static final String TEXT =
      "the cat sat on the mat, and the dog sat on the log. ".repeat(40);
  private static final int LENGTH = 32;

  /** A text, and the step whose weights have written it. */
  public record Answer(long step, String text) {}

  /** A copy of the model. Requests read it, and a new step writes it. */
  private static final class Copy {
    final LanguageModel model;
    final Inference inference;
    final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
    long step; // under the lock

    Copy(LanguageModel trained, Device device) {
      model = trained.copy(device);
      inference = model.inference();
    }
  }

  /**
   * Two copies: one has the newest weights and is read, the other waits for its last request and
   * takes the next. The training waits for no request. The trainer closes them.
   */
  public static final class Snapshots implements Watcher {
    final LongAdder passedOver = new LongAdder(); // steps that found the other copy in use
    private final LanguageModel trained;
    private final int every;
    private final List<Copy> copies;
    private volatile Copy newest;

    public Snapshots(LanguageModel trained, Device device, int every) {
      this.trained = trained;
      this.every = every;
      this.copies = List.of(new Copy(trained, device), new Copy(trained, device));
      this.newest = copies.get(0);
    }

    @Override
    public void advanced(long step) {
      if (step % every != 0) {
        return;
      }
      Copy next = newest == copies.get(0) ? copies.get(1) : copies.get(0);
      if (!next.lock.writeLock().tryLock()) {
        passedOver.increment();
        return;
      }
      try {
        next.model.copyFrom(trained);
        next.step = step;
      } finally {
        next.lock.writeLock().unlock();
      }
      newest = next;
    }

    /** For any thread; the text comes in pieces, too. */
    public Answer answer(Request request, Consumer<String> out) {
      Copy copy = newest;
      copy.lock.readLock().lock();
      try {
        return new Answer(copy.step, copy.inference.generate(request, out).text());
      } finally {
        copy.lock.readLock().unlock();
      }
    }

    @Override
    public void close() {
      for (Copy copy : copies) {
        copy.inference.close();
        copy.model.close();
      }
    }
  }

  private Serving() {}

  /** A small Llama that writes by characters. */
  static LanguageModel model(Device device) {
    CharTokenizer characters = CharTokenizer.of(Stream.of(TEXT));
    return LanguageModel.create(
        device,
        Llama.config(characters.vocabSize(), 2, 4, 2, 32, 64, LENGTH),
        Precision.FP32,
        Grouping.decayMatrices(0.1f),
        1,
        characters);
  }

  static Training training(LanguageModel model, long steps) {
    int vocabulary = model.config().vocab();
    int[] ids = CharTokenizer.of(Stream.of(TEXT)).encode(TEXT);
    Windows rows = new Windows(TokenSource.of("text", ids), LENGTH, vocabulary);
    return Training.of(
            model.parameters(),
            new NextToken(model.transformer()),
            BatchSource.endless(rows, Order.shuffled(1)))
        .batch(4)
        .schedule(new Schedule.Constant(1e-2, 0))
        .steps(steps);
  }

  public static void main(String[] args) throws Exception {
    Request request = Request.of("the ").maxNewTokens(40).sampler(new Sampler(0.8, 0, 1, 7));
    try (Cpu training = Cpu.open();
        Cpu serving = Cpu.open(1);
        LanguageModel model = model(training);
        Trainer trainer = training(model, 100).trainer();
        ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Snapshots snapshots = new Snapshots(model, serving, 10);
      Future<Trainer.Outcome> run = threads.submit(trainer.watch(snapshots)::run);
      while (!run.isDone()) {
        System.out.println(snapshots.answer(request, piece -> {}));
      }
      System.out.println(run.get());
    }
  }
}
