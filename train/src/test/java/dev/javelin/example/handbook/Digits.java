package dev.javelin.example.handbook;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Device;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Declare;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.LayerNorm;
import dev.javelin.nn.Linear;
import dev.javelin.nn.Mlp;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchLayout.Field;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.objective.Objective;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;

/** Learns to read digits of 8×8 pixels, which it draws itself. */
public final class Digits {
  private static final int SIDE = 8;
  private static final int PIXELS = SIDE * SIDE;
  private static final int WIDTH = 128;
  private static final int CLASSES = 10;

  /** Seven rows of five pixels for each digit; # is ink. */
  private static final String[] GLYPHS = {
    ".###. #...# #..## #.#.# ##..# #...# .###.",
    "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.",
    ".###. #...# ....# ...#. ..#.. .#... #####",
    "##### ...#. ..#.. ...#. ....# #...# .###.",
    "...#. ..##. .#.#. #..#. ##### ...#. ...#.",
    "##### #.... ####. ....# ....# #...# .###.",
    "..##. .#... #.... ####. #...# #...# .###.",
    "##### ....# ...#. ..#.. .#... .#... .#...",
    ".###. #...# #...# .###. #...# #...# .###.",
    ".###. #...# #...# .#### ....# ...#. .##.."
  };

  /** The model: a record whose components are layers. */
  public record Reader(Linear pixels, LayerNorm norm, Mlp mlp, Linear digits) {
    static Reader declare(Declare d) {
      return new Reader(
          Linear.declare(d, WIDTH, PIXELS, true),
          LayerNorm.declare(d, WIDTH, 1e-5),
          Mlp.Plain.declare(d, WIDTH, 2 * WIDTH, Activation.GELU, true),
          Linear.declare(d, CLASSES, WIDTH, true));
    }

    /** Logits of the digits, [B, 10], of pictures, [B, 64]. */
    Var logits(Var pictures) {
      Var x = pixels.forward(pictures, Activation.GELU, Pass.PLAIN);
      Var y = Algebra.add(x, mlp.forward(norm.forward(x), Pass.PLAIN));
      return digits.forward(y);
    }
  }

  /** What is made small: the cross-entropy of the right digit. */
  public record RightDigit(Reader model) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var logits = model.logits(tape.constant(batch.get("picture")));
      Var losses = Losses.crossEntropy(logits, batch.get("digit"), LossOptions.PLAIN); // [B]
      return Losses.stepLoss(losses, state);
    }
  }

  /** Row n is a drawing that depends on seed and n alone: shifted, faint or bold, with noise. */
  public record Drawings(long seed, long count) implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.of(
          Field.floats("picture", PIXELS), Field.ints("digit").blank(LossOptions.IGNORED));
    }

    @Override
    public long targets(long row) {
      return 1;
    }

    @Override
    public void read(long row, Fields into, int at) {
      SplittableRandom random = new SplittableRandom(seed * 1_000_003 + row);
      int digit = random.nextInt(CLASSES);
      int down = random.nextInt(2);
      int right = random.nextInt(4);
      double ink = random.nextDouble(0.6, 1.2);
      MemorySegment picture = into.row("picture", at);
      for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
          double value = isInk(digit, y - down, x - right) ? ink : 0;
          value += 0.2 * random.nextGaussian();
          picture.setAtIndex(JAVA_FLOAT, y * SIDE + x, (float) value);
        }
      }
      into.row("digit", at).set(JAVA_INT, 0, digit);
    }

    private static boolean isInk(int digit, int y, int x) {
      return y >= 0 && y < 7 && x >= 0 && x < 5 && GLYPHS[digit].charAt(6 * y + x) == '#';
    }
  }

  private Digits() {}

  /** The share of some drawings that the model reads correctly. */
  static double accuracy(Device device, Reader model, Drawings drawings) {
    int rows = (int) drawings.count();
    try (Batch batch = Batch.on(device, drawings.layout(), rows);
        Workspace workspace = Workspace.on(device, 16 << 20)) {
      batch.load(fields -> BatchSource.once(drawings).fill(0, rows, fields));
      Tape tape = Tape.inference(workspace);
      float[] logits = model.logits(tape.constant(batch.get("picture"))).value().toFloats();
      int right = 0;
      for (int r = 0; r < rows; r++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++) {
          if (logits[r * CLASSES + c] > logits[r * CLASSES + best]) {
            best = c;
          }
        }
        if (best == batch.host().row("digit", r).get(JAVA_INT, 0)) {
          right++;
        }
      }
      return (double) right / rows;
    }
  }

  /** Trains for some steps and returns the accuracy on drawings that it has not seen. */
  static double train(int steps) throws IOException {
    try (Cpu cpu = Cpu.open();
        var parameters =
            ParameterBuffer.allocate(
                cpu, Precision.FP32, Grouping.decayMatrices(0.01f), Reader::declare)) {
      Init.normal(parameters, 1);
      Reader model = parameters.model();
      BatchSource source = BatchSource.endless(new Drawings(1, 20_000), Order.shuffled(1));
      try (Trainer trainer =
          Training.of(parameters, new RightDigit(model), source).batch(64).steps(steps).trainer()) {
        trainer.run();
      }
      return accuracy(cpu, model, new Drawings(2, 1000));
    }
  }

  public static void main(String[] args) throws IOException {
    System.out.printf("%.1f %% of 1000 new drawings are read correctly%n", 100 * train(600));
  }
}
