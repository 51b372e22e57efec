package dev.javelin.example.handbook;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Attention;
import dev.javelin.nn.Block;
import dev.javelin.nn.Declare;
import dev.javelin.nn.Embedding;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.Linear;
import dev.javelin.nn.Mlp;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.RmsNorm;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.RotaryTable;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;

/** Writes text by characters, with a block of its own in front of attention. */
public final class CharacterModel {
  private static final int LENGTH = 32; // characters that the model sees
  private static final int WIDTH = 64;
  private static final int TAPS = 4; // characters that a convolution sees

  /**
   * {@code x + out(silu(gate) · conv(value))}: each feature is mixed with its own past, {@code
   * conv(v)[t] = Σ_k taps[k] · v[t − k]}, and a gate says what of it counts.
   *
   * @param in gate and value packed, [2C, C]
   * @param taps [K, C]
   */
  public record GatedConvolution(RmsNorm norm, Linear in, Parameter taps, Linear out) {
    static GatedConvolution declare(Declare d) {
      return new GatedConvolution(
          RmsNorm.declare(d, WIDTH, 1e-5),
          Linear.declare(d, 2 * WIDTH, WIDTH, false),
          d.parameter(TAPS, WIDTH),
          Linear.declare(d, WIDTH, WIDTH, false));
    }

    /** x [B, T, C]. */
    Var forward(Var x) {
      int length = x.shape().dim(1);
      Var packed = in.forward(norm.forward(x)); // [B, T, 2C]
      Var gate = Algebra.slice(packed, 2, 0, WIDTH);
      Var value = Algebra.contiguous(Algebra.slice(packed, 2, WIDTH, 2 * WIDTH));
      Var weights = x.tape().param(taps);
      Var mixed = Algebra.multiply(value, Algebra.slice(weights, 0, 0, 1));
      for (int k = 1; k < Math.min(TAPS, length); k++) {
        Var past = Algebra.slice(value, 1, 0, length - k);
        Var none = Algebra.scale(Algebra.slice(value, 1, 0, k), 0);
        Var shifted = Algebra.concat(1, none, past); // v[t − k], zero before the text
        mixed = Algebra.add(mixed, Algebra.multiply(shifted, Algebra.slice(weights, 0, k, k + 1)));
      }
      Var gated = Algebra.multiply(Functional.activate(gate, Activation.SILU), mixed);
      return Algebra.add(x, out.forward(gated));
    }
  }

  /** Embedding, our block, a block of the library's, and a head. */
  public record Writer(
      Embedding characters, GatedConvolution mix, Block block, RmsNorm norm, Linear head) {
    static Writer declare(Declare d, int alphabet) {
      RotaryTable rotary = RotaryTable.declare(d, RopeConfig.of(10_000), LENGTH, WIDTH / 4);
      return new Writer(
          Embedding.declare(d, alphabet, WIDTH),
          GatedConvolution.declare(d),
          Block.of(
              RmsNorm.declare(d, WIDTH, 1e-5),
              Attention.declare(d, 0, WIDTH, 4, rotary),
              RmsNorm.declare(d, WIDTH, 1e-5),
              Mlp.Gated.declare(d, WIDTH, 2 * WIDTH, Activation.SILU, false),
              0),
          RmsNorm.declare(d, WIDTH, 1e-5),
          Linear.declare(d, alphabet, WIDTH, false));
    }

    /** Logits of the next character at each place, [B, T, A], of ids, [B, T]. */
    Var logits(Tape tape, Tensor ids) {
      Var x = mix.forward(characters.forward(tape, ids));
      return head.forward(norm.forward(block.forward(x, Pass.PLAIN)));
    }
  }

  /** The cross-entropy of the next character. */
  public record NextCharacter(Writer model) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var logits = model.logits(tape, batch.get(BatchLayout.TOKENS));
      Var losses =
          Losses.crossEntropy(logits, batch.get(BatchLayout.TARGETS), LossOptions.PLAIN); // [B, T]
      return Losses.stepLoss(losses, state);
    }
  }

  /** Row n is the text from character n on, and the characters that follow. */
  public record Windows(int[] ids) implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.text(LENGTH);
    }

    @Override
    public long count() {
      return ids.length - LENGTH;
    }

    @Override
    public long targets(long row) {
      return LENGTH;
    }

    @Override
    public void read(long row, Fields into, int at) {
      for (int t = 0; t < LENGTH; t++) {
        into.row(BatchLayout.TOKENS, at).setAtIndex(JAVA_INT, t, ids[(int) row + t]);
        into.row(BatchLayout.TARGETS, at).setAtIndex(JAVA_INT, t, ids[(int) row + t + 1]);
      }
    }
  }

  private CharacterModel() {}

  static ParameterBuffer<Writer> allocate(Device device, int alphabet) {
    return ParameterBuffer.allocate(
        device, Precision.FP32, Grouping.decayMatrices(0.1f), d -> Writer.declare(d, alphabet));
  }

  /** The characters of a text, each once, in order: id i is the i-th of them. */
  static String alphabet(String text) {
    return text.chars()
        .distinct()
        .sorted()
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }

  /** Trains on a text and saves weights and alphabet; returns the loss of the last logged step. */
  static double train(String text, int steps, Path directory) throws IOException {
    String alphabet = alphabet(text);
    try (Cpu cpu = Cpu.open();
        var parameters = allocate(cpu, alphabet.length())) {
      Init.normal(parameters, 1);
      Windows windows = new Windows(text.chars().map(alphabet::indexOf).toArray());
      BatchSource source = BatchSource.endless(windows, Order.shuffled(1));
      double loss;
      try (Trainer trainer =
          Training.of(parameters, new NextCharacter(parameters.model()), source)
              .batch(8)
              .schedule(new Schedule.Constant(3e-3, 10))
              .steps(steps)
              .trainer()) {
        loss = trainer.run().loss();
      }
      Weights.save(parameters, directory.resolve("model.safetensors"));
      Files.writeString(directory.resolve("alphabet.txt"), alphabet);
      return loss;
    }
  }

  /** Loads what was saved and writes on from a prompt. */
  static String generate(Path directory, String prompt, int characters, long seed)
      throws IOException {
    String alphabet = Files.readString(directory.resolve("alphabet.txt"));
    SplittableRandom random = new SplittableRandom(seed);
    StringBuilder text = new StringBuilder(prompt);
    try (Cpu cpu = Cpu.open();
        var parameters = allocate(cpu, alphabet.length());
        Workspace workspace = Workspace.on(cpu, 4 << 20)) {
      Weights.load(parameters, directory.resolve("model.safetensors"));
      for (int i = 0; i < characters; i++) {
        int from = Math.max(0, text.length() - LENGTH);
        int[] seen = text.substring(from).chars().map(alphabet::indexOf).toArray();
        workspace.reset(); // what the character before took is free again
        Tape tape = Tape.inference(workspace);
        Tensor ids = tape.alloc(DType.I32, Shape.of(1, seen.length));
        ids.fromHost(MemorySegment.ofArray(seen));
        Var logits = parameters.model().logits(tape, ids);
        Var last = Algebra.slice(logits, 1, seen.length - 1, seen.length);
        float[] p = Functional.softmax(Algebra.contiguous(last)).value().toFloats();
        text.append(alphabet.charAt(draw(p, random.nextDouble())));
      }
    }
    return text.toString();
  }

  private static int draw(float[] p, double u) {
    int id = 0;
    for (double sum = p[0]; sum < u && id < p.length - 1; sum += p[id]) {
      id++;
    }
    return id;
  }

  public static void main(String[] args) throws IOException {
    String text = Files.readString(Path.of(args[0]));
    Path directory = Files.createDirectories(Path.of(args[1]));
    System.out.printf("loss %.3f%n", train(text, Integer.parseInt(args[2]), directory));
    System.out.println(generate(directory, text.substring(0, LENGTH), 200, 1));
  }
}
