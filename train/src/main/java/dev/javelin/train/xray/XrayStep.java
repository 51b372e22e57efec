package dev.javelin.train.xray;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Probe;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.Turn;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.run.Version;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.xray.Xray.ClipFacts;
import dev.javelin.train.xray.Xray.LossFacts;
import dev.javelin.train.xray.Xray.Subject;
import dev.javelin.train.xray.Xray.Target;
import dev.javelin.train.xray.Xray.Token;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Does one training step on a text and takes it apart:
 *
 * <pre>{@code
 * Xray fresh = XrayStep.of(model, "llama-small", settings).on("The cat sat on the mat.");
 * Xray later = XrayStep.of(model, "llama-small", settings)
 *     .during(optimizer, step, learningRate, carried) // of a training, between two steps
 *     .on("The cat sat on the mat.");
 * }</pre>
 *
 * <p>Afterwards the model's weights are what they were to the bit, and so is the optimizer of a
 * training; its gradients are zero. Beside what a training takes, it takes a copy of the trained
 * weights, and for {@link #during} one of the optimizer's state.
 *
 * @param model with its tokenizer, some of its parameters trainable
 * @param name for people
 * @param settings whose rule, clipping and seed the step has
 * @param running the training that the step is taken from; {@code null} for a first step
 * @param timing how long the pass is repeated for the sake of its times, of which the median
 *     counts; once at least
 * @param machine for the roofline, see {@link #measure}; {@code null} for none
 */
public record XrayStep(
    Examined model,
    String name,
    RunSettings settings,
    @Nullable Running running,
    Duration timing,
    Xray.@Nullable Machine machine) {
  /** Tokens of a text that can be shown. */
  public static final int MOST_TOKENS = 256;

  /** What is looked at where no text is named. */
  public static final String DEFAULT_TEXT =
      "The cat sat on the mat, and the dog sat beside the cat.";

  private static final int MOST_PASSES = 1000;
  private static final long GPU_SLAB_BYTES = 256L << 20;

  /**
   * A training between two steps.
   *
   * @param step steps done
   * @param learningRate of the next
   * @param carried what its {@link StepState#carried} is
   */
  public record Running(
      Optimizer optimizer, long step, double learningRate, StepState.Carried carried) {}

  /** A first step, its times taken for two seconds. */
  public static XrayStep of(Examined model, String name, RunSettings settings) {
    return new XrayStep(model, name, settings, null, Duration.ofSeconds(2), null);
  }

  /** The next step of a training. */
  public XrayStep during(
      Optimizer optimizer, long step, double learningRate, StepState.Carried carried) {
    return new XrayStep(
        model,
        name,
        settings,
        new Running(optimizer, step, learningRate, carried),
        timing,
        machine);
  }

  public XrayStep timing(Duration least) {
    return new XrayStep(model, name, settings, running, least, machine);
  }

  public XrayStep machine(Xray.@Nullable Machine measured) {
    return new XrayStep(model, name, settings, running, timing, measured);
  }

  /** Measures what the device can do, which takes a second or a few; see {@link #machine}. */
  public static Xray.Machine measure(Device device, DType type) {
    return Roofline.measure(device, type);
  }

  /** On a GPU in slabs: a training beside has taken most of its memory. */
  static Workspace workspace(Device device) {
    return device instanceof Cpu ? Workspace.on(device) : Workspace.on(device, GPU_SLAB_BYTES);
  }

  /**
   * Does the step on a text, encoded as a prompt is.
   *
   * @throws InputException for a text with fewer than two tokens, more than {@link #MOST_TOKENS} or
   *     the model's positions, or tokens that the model does not have; where there is no tokenizer
   */
  public Xray on(String text) {
    return on(tokens(text));
  }

  /** Refuses a text as {@link #on(String)} does, before there is anything to wait for. */
  public void check(String text) {
    tokens(text).check(model.config().vocab(), most());
  }

  private TextTokens tokens(String text) {
    if (model.tokenizer() == null) {
      throw new InputException("a text needs a tokenizer, and the model has none: name one");
    }
    try {
      return TextTokens.of(model.tokenizer(), text);
    } catch (IllegalArgumentException e) {
      throw new InputException("the text does not fit the tokenizer: " + e.getMessage(), e);
    }
  }

  /** Tokens that a text of this model may have. */
  public int most() {
    return Math.min(MOST_TOKENS, model.config().positions());
  }

  /** The same on tokens. */
  public Xray on(int... ids) {
    return on(TextTokens.of(model.tokenizer(), ids));
  }

  private Xray on(TextTokens tokens) {
    tokens.check(model.config().vocab(), most());
    Device device = model.device();
    try (Turn _ = device.turn()) {
      model.parameters().requireOpen();
      if (running != null) {
        return on(tokens, running, true);
      }
      double rate = settings.peakLearningRate();
      GradientClip clip = clip();
      try (Optimizer fresh =
          settings.optimizer().create(model.trained(), settings.rule().constants())) {
        StepState.Carried carried = new StepState.Carried(clip.scaling().initialScale(), 0, 0, 0);
        return on(tokens, new Running(fresh, 0, rate, carried), false);
      }
    }
  }

  private GradientClip clip() {
    return settings.optimizer().clip(model.precision().lossScaling());
  }

  private Xray on(TextTokens tokens, Running run, boolean keepsState) {
    try (Work work = new Work(tokens, run, keepsState)) {
      return work.run();
    }
  }

  /** What a step needs besides the model, for as long as it takes. */
  private final class Work implements AutoCloseable {
    private final TextTokens tokens;
    private final Running run;
    private final int[] ids;
    private final int[] targets;
    private final Transformer decoder = model.transformer().withRecompute(false);
    private final ParameterBuffer<?> trained = model.trained();
    private final Tensor gradients = trained.gradients();
    private final Workspace workspace;
    private final StepState state;
    private final Memory batch;
    private final Tensor idTensor;
    private final Tensor targetTensor;
    private final Snapshot snapshot = new Snapshot();

    Work(TextTokens tokens, Running run, boolean keepsState) {
      Device device = model.device();
      this.tokens = tokens;
      this.run = run;
      this.ids = tokens.ids();
      this.targets = Arrays.copyOfRange(ids, 1, ids.length + 1);
      targets[ids.length - 1] = LossOptions.IGNORED;
      this.workspace = workspace(device);
      this.state = StepState.on(device);
      state.restore(run.carried());
      Shape shape = Shape.of(1, ids.length);
      long bytes = DType.I32.bytes(ids.length);
      this.batch = device.allocate(2 * bytes);
      this.idTensor = Tensor.of(batch, 0, DType.I32, shape);
      this.targetTensor = Tensor.of(batch, bytes, DType.I32, shape);
      idTensor.fromHost(MemorySegment.ofArray(ids));
      targetTensor.fromHost(MemorySegment.ofArray(targets));
      for (ParameterBuffer.Flat flat : trained.flats()) {
        snapshot.take(flat.weights());
        if (flat.master() != null) {
          snapshot.take(flat.master());
        }
      }
      if (keepsState) {
        run.optimizer().state().forEach(s -> snapshot.take(s.buffer()));
      }
    }

    Xray run() {
      try {
        return take();
      } finally {
        Fill.zero(gradients);
        snapshot.putBack();
      }
    }

    private Xray take() {
      OpTimer timer = new OpTimer();
      long begun = System.nanoTime();
      int passes = 0;
      do {
        pass(timer);
        passes++;
      } while (passes < MOST_PASSES && System.nanoTime() - begun < timing.toNanos());
      Fill.zero(gradients);

      double[] before = losses();
      double lossScale = run.carried().lossScale();
      MemoryWatch memory = new MemoryWatch(workspace);
      Look look;
      Xray.MemoryPicture picture;
      int[] known = Arrays.stream(targets).map(t -> Math.max(t, -1)).toArray();
      try (LogitLens lens = new LogitLens(decoder, known, tokens::text)) {
        look = new Look(decoder, lens, lossScale);
        pass(look, memory);
        picture = memory.picture(parameterBytes(), optimizerBytes());
      }
      ParameterReader reader = new ParameterReader(model, run, lossScale);
      ClipFacts clip = update(lossScale);
      List<Xray.ParameterFacts> facts = reader.after(snapshot);
      double[] after = losses();
      return new Xray(
          subject(),
          tokens(before, after),
          look.tape(timer, memory),
          look.attention(),
          look.stream(),
          facts,
          look.units(),
          look.saliency(),
          clip,
          new LossFacts(mean(before), mean(after), ids.length - 1),
          picture,
          machine == null ? new Xray.Machine(Roofline.name(model.device()), 0, 0) : machine);
    }

    private void begin() {
      int step = Math.toIntExact(run.step());
      state.begin(settings.run().seed(), step, (float) run.learningRate(), 1f / (ids.length - 1));
    }

    private void pass(Probe... probes) {
      workspace.reset();
      begin();
      Tape tape = new Tape(workspace);
      for (Probe probe : probes) {
        Probe.on(tape, probe);
      }
      tape.backward(
          Losses.linearCrossEntropy(
              decoder.hidden(tape, idTensor, Pass.PLAIN),
              decoder.headWeight(tape),
              targetTensor,
              decoder.lossOptions(),
              state),
          state.lossScaleTensor());
    }

    /** The loss of each token as the weights are now; that of the last is 0. */
    private double[] losses() {
      workspace.reset();
      Tape tape = Tape.inference(workspace);
      return Sums.doubles(
          Losses.linearCrossEntropyLosses(
                  decoder.hidden(tape, idTensor, Pass.PLAIN),
                  decoder.headWeight(tape),
                  targetTensor,
                  decoder.lossOptions())
              .value());
    }

    private double mean(double[] losses) {
      return Arrays.stream(losses).limit(ids.length - 1L).sum() / (ids.length - 1);
    }

    private ClipFacts update(double lossScale) {
      GradientClip clip = clip();
      List<Tensor> numbers = new ArrayList<>();
      for (FlatState kept : run.optimizer().state()) {
        if (kept.buffer().dtype() == DType.F32) {
          numbers.add(kept.buffer());
        }
      }
      GlobalNorm.watch(state, numbers);
      clip.run(state, gradients);
      run.optimizer().step(state);
      return new ClipFacts(
          state.gradNorm(), clip.maxNorm(), state.clipFactor(), lossScale, state.overflow());
    }

    private List<Token> tokens(double[] before, double[] after) {
      List<Token> all = new ArrayList<>();
      for (int i = 0; i < ids.length; i++) {
        Target target =
            i == ids.length - 1
                ? null
                : new Target(targets[i], tokens.text(targets[i]), before[i], after[i]);
        all.add(
            new Token(i, ids[i], tokens.text(ids[i]), tokens.from()[i], tokens.to()[i], target));
      }
      return all;
    }

    private long parameterBytes() {
      ParameterBuffer<Transformer> base = model.parameters();
      long bytes = base.weightBytes() + DType.F32.bytes(gradients.elements());
      if (trained != base) {
        bytes += trained.weightBytes();
      }
      for (ParameterBuffer.Flat flat : trained.flats()) {
        bytes += flat.master() == null ? 0 : DType.F32.bytes(flat.master().elements());
      }
      return bytes;
    }

    private long optimizerBytes() {
      return run.optimizer().state().stream()
          .mapToLong(s -> s.buffer().dtype().bytes(s.buffer().elements()))
          .sum();
    }

    private Subject subject() {
      TransformerConfig c = model.config();
      Device device = model.device();
      long size = model.parameters().size();
      return new Subject(
          name,
          c.family().modelType(),
          c.layers(),
          c.hidden(),
          c.heads(),
          c.kvHeads(),
          c.headDim(),
          c.ffn(),
          c.vocab(),
          c.tied(),
          trained == model.parameters() ? size : size + trained.size(),
          model.precision().name(),
          device.toString(),
          device instanceof Cpu cpu ? cpu.threads() : 0,
          run.step(),
          settings.optimizer().optimizer(),
          run.learningRate(),
          settings.run().seed(),
          Version.NUMBER,
          Version.commit(),
          Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    }

    @Override
    public void close() {
      snapshot.close();
      batch.close();
      state.close();
      workspace.close();
    }
  }
}
