package dev.javelin.train.xray;

import dev.javelin.autograd.Probe;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One training step of a decoder on one text, taken apart. Numbers only: nothing here holds a
 * tensor or a device. What each number is stands in {@code docs/learn/xray-numbers.md}.
 *
 * <p>The text is one row of T tokens, of which each but the last has the next as its target;
 * dropout is off. Arrays are shared and not to be written.
 *
 * @param tokens T of them
 * @param tape in the order of the forward pass, {@link Op#index} is the place here
 * @param attention by layer, then head
 * @param stream in the order of the forward pass: behind the embedding, then behind attention and
 *     MLP of each layer
 * @param parameters in the order of the model's components
 * @param units by layer
 * @param saliency by token: the length of (gradient of the loss by the token's embedding) · (the
 *     embedding), multiplied element by element
 */
@SuppressWarnings("ArrayRecordComponent") // read, never compared
public record Xray(
    Subject subject,
    List<Token> tokens,
    List<Op> tape,
    List<AttentionHead> attention,
    List<StreamPoint> stream,
    List<ParameterFacts> parameters,
    List<Units> units,
    double[] saliency,
    ClipFacts clip,
    LossFacts loss,
    MemoryPicture memory,
    Machine machine) {

  public Xray {
    tokens = List.copyOf(tokens);
    tape = List.copyOf(tape);
    attention = List.copyOf(attention);
    stream = List.copyOf(stream);
    parameters = List.copyOf(parameters);
    units = List.copyOf(units);
  }

  /**
   * What was looked at.
   *
   * @param model its name, a preset's or a directory's
   * @param family {@code llama}, {@code gpt2}, …
   * @param width C, of the residual stream
   * @param parameters without padding; shared ones once
   * @param precision {@code fp32}, {@code bf16}, …
   * @param device in words
   * @param threads of the device; 0 for a GPU
   * @param step steps that the training had done; 0 for one that begins
   * @param rule of the update, {@code adamw}
   * @param learningRate of this step
   * @param version of the code
   * @param commit of the code
   * @param made when, ISO 8601 in UTC
   */
  public record Subject(
      String model,
      String family,
      int layers,
      int width,
      int heads,
      int kvHeads,
      int headDim,
      int inner,
      int vocab,
      boolean tied,
      long parameters,
      String precision,
      String device,
      int threads,
      long step,
      String rule,
      double learningRate,
      long seed,
      String version,
      String commit,
      String made) {}

  /**
   * A token of the text.
   *
   * @param text as the tokenizer writes it; a special token's name
   * @param from first of its bytes in the UTF-8 of the text; all are 0 where the tokenizer changes
   *     the text so that nobody can tell
   * @param to behind the last; equal to {@code from} for a token that the tokenizer has added
   * @param target {@code null} for the last token
   */
  public record Token(int index, int id, String text, int from, int to, @Nullable Target target) {}

  /**
   * The token that should follow.
   *
   * @param lossBefore −ln p of it before the step, in nats
   * @param lossAfter the same after it
   */
  public record Target(int id, String text, double lossBefore, double lossAfter) {}

  /**
   * A function on the tape.
   *
   * @param part {@code embedding}, {@code attention}, {@code mlp}, {@code norm}, {@code head}
   * @param layer from 0; {@link Probe#NO_LAYER} outside of layers
   * @param name {@code linear}, {@code add_rms_norm}, …
   * @param inputs ops that made what it reads, in its order, each once
   * @param parameters that it reads, by name
   * @param in shapes of what it reads, parameters included
   * @param out shapes of what it makes
   * @param dtype of what it makes: {@code F32}, {@code BF16}, …
   * @param forward cost of the forward pass
   * @param backward cost of the backward pass; zeros where it had none
   * @param ranges that it asked for in its forward pass, as places in {@link MemoryPicture#ranges}
   * @param gradientNorm ‖d loss / d out‖ over all its outputs; NaN where it had no backward pass
   */
  public record Op(
      int index,
      String part,
      int layer,
      String name,
      List<Integer> inputs,
      List<String> parameters,
      List<int[]> in,
      List<int[]> out,
      String dtype,
      Cost forward,
      Cost backward,
      List<Integer> ranges,
      double gradientNorm) {
    public Op {
      inputs = List.copyOf(inputs);
      parameters = List.copyOf(parameters);
      in = List.copyOf(in);
      out = List.copyOf(out);
      ranges = List.copyOf(ranges);
    }

    public boolean inLayer() {
      return layer != Probe.NO_LAYER;
    }
  }

  /**
   * What a pass through a function costs.
   *
   * @param flops floating-point operations of its definition, 2 per multiply-add
   * @param bytes that it must move at least: each input read once, each output written once
   * @param nanos measured, the median of several passes, without the first half of them
   */
  public record Cost(double flops, double bytes, long nanos) {
    public static final Cost NONE = new Cost(0, 0, 0);

    /** FLOPs a byte: arithmetic intensity. */
    public double intensity() {
      return bytes == 0 ? 0 : flops / bytes;
    }

    /** FLOP/s as measured; 0 where nothing was. */
    public double rate() {
      return nanos == 0 ? 0 : flops / (nanos * 1e-9);
    }
  }

  /**
   * A head's attention, computed again in double from the queries and keys that the operator got: a
   * fused operator keeps none.
   *
   * @param keyHead whose keys it reads: grouped queries share them
   * @param window keys that a query sees at most, itself included; 0 for all before it
   * @param weights by query: the weights of keys 0 to the query, T rows of 1, 2, … T numbers; those
   *     outside the window are 0
   */
  public record AttentionHead(int layer, int head, int keyHead, int window, float[][] weights) {
    /** Whether the mask lets that query see that key. */
    public boolean sees(int query, int key) {
      return key <= query && (window == 0 || query - key < window);
    }
  }

  /**
   * The residual stream at one place.
   *
   * @param part {@code embedding}, {@code attention} or {@code mlp}: what was just added
   * @param layer {@link Probe#NO_LAYER} behind the embedding
   * @param norms ‖x‖ by token
   * @param gradients ‖d loss / d x‖ by token
   * @param lens by token: what the model would predict if it ended here
   */
  public record StreamPoint(
      String part, int layer, double[] norms, double[] gradients, List<Lens> lens) {
    public StreamPoint {
      lens = List.copyOf(lens);
    }
  }

  /**
   * What the final norm and the head make of one token's stream.
   *
   * @param top the likeliest tokens, the first is the likeliest
   * @param target the probability of the token that should follow; NaN behind the last token
   * @param rank of the target, 1 for the likeliest; 0 behind the last token
   */
  public record Lens(List<Guess> top, double target, int rank) {
    public Lens {
      top = List.copyOf(top);
    }
  }

  /** A token and its probability. */
  public record Guess(int id, String text, double probability) {}

  /**
   * A parameter over the step. Those of the optimizer are NaN where the rule keeps no such state,
   * all but the weight's where it is frozen.
   *
   * @param layer from 0; {@link Probe#NO_LAYER} outside of layers
   * @param weightNorm ‖W‖ before the step
   * @param weightRms √(mean W²)
   * @param gradientNorm ‖g‖, before clipping
   * @param gradientRms √(mean g²)
   * @param updateRms √(mean ΔW²), of the most precise weights
   * @param updateRatio ‖ΔW‖ / ‖W‖; NaN where ‖W‖ is 0
   * @param momentRms √(mean m²), the first moment after the step
   * @param rootVarianceRms √(mean v): the root mean square of √v, the second moment after the step
   * @param group of the update's rule
   * @param learningRate of its group in this step
   * @param decay of its group
   */
  public record ParameterFacts(
      String name,
      int layer,
      int[] shape,
      long count,
      boolean frozen,
      double weightNorm,
      double weightRms,
      double gradientNorm,
      double gradientRms,
      double updateRms,
      double updateRatio,
      double momentRms,
      double rootVarianceRms,
      String group,
      double learningRate,
      double decay) {}

  /**
   * The units inside a layer's MLP: what its last product reads.
   *
   * @param count F
   * @param silent units that are 0 for every token
   * @param untaught units that learn nothing: the weights in front of them have a gradient of 0; 0
   *     where those are frozen
   */
  public record Units(int layer, int count, int silent, int untaught) {}

  /**
   * What was decided before the weights moved.
   *
   * @param norm of the whole gradient
   * @param threshold infinity for no clipping
   * @param factor that every gradient was multiplied by, min(1, threshold/(norm + 1e-6))
   * @param lossScale 1 but for half types that need it
   * @param skipped whether the step was left out: a norm or loss that is not finite
   */
  public record ClipFacts(
      double norm, double threshold, double factor, double lossScale, boolean skipped) {}

  /**
   * The mean loss of the text's targets, in nats.
   *
   * @param targets N
   */
  public record LossFacts(double before, double after, int targets) {}

  /**
   * The step's memory: which bytes were whose, and when.
   *
   * @param slabs bytes of each that were ever used
   * @param events in order of time: each function forward, then each backward
   * @param ranges in order of request
   * @param live bytes alive behind each event
   * @param peak most bytes alive at one time, inside of an event, too
   * @param parameterBytes beside it: weights, gradients and masters
   * @param optimizerBytes beside it: the rule's state
   */
  public record MemoryPicture(
      long[] slabs,
      List<Event> events,
      List<Range> ranges,
      long[] live,
      long peak,
      long parameterBytes,
      long optimizerBytes) {
    public MemoryPicture {
      events = List.copyOf(events);
      ranges = List.copyOf(ranges);
    }
  }

  /** A function of the tape that runs. */
  public record Event(int op, boolean backward) {}

  /**
   * A range of memory. Its bytes are free again behind the event {@code to}.
   *
   * @param owner for whom: {@code the step's forward pass}, a function's name, {@code scratch}
   * @param from the event that asked for it
   * @param to the event that was the last to use it; the last of all for what stays
   */
  public record Range(String owner, int slab, long offset, long bytes, int from, int to) {}

  /**
   * What this machine can do, measured beside the step: the two lines of a roofline.
   *
   * @param flops a second, of the fastest matrix product; 0 where it was not measured
   * @param bytes a second, read and written, of a large copy; 0 where it was not measured
   * @param name of the processor or GPU
   */
  public record Machine(String name, double flops, double bytes) {
    /** FLOPs a byte from which on arithmetic is the limit. */
    public double ridge() {
      return bytes == 0 ? 0 : flops / bytes;
    }
  }
}
