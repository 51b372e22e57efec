package consumer;

import static consumer.Consumer.check;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
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
import dev.javelin.nn.Weights;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchLayout.Field;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Layers, batches, an objective and an optimizer of the program's own. */
final class OwnModel {
  private static final int IDS = 6;
  private static final int LENGTH = 5;
  private static final int WIDTH = 16;

  private OwnModel() {}

  /** Says which id stands in a row most often. */
  record Majority(Embedding ids, Block block, RmsNorm norm, Linear head) {
    static Majority declare(Declare d) {
      return new Majority(
          Embedding.declare(d, IDS, WIDTH),
          Block.of(
              RmsNorm.declare(d, WIDTH, 1e-5f),
              Attention.declare(d, 0, WIDTH, 2, null),
              RmsNorm.declare(d, WIDTH, 1e-5f),
              Mlp.Gated.declare(d, WIDTH, 2 * WIDTH, Activation.SILU, false),
              0),
          RmsNorm.declare(d, WIDTH, 1e-5f),
          Linear.declare(d, IDS, WIDTH, true));
    }

    Var logits(Tape tape, Batch batch) {
      Var x = block.forward(ids.forward(tape, batch.get("ids")), Pass.PLAIN);
      return head.forward(Algebra.sum(norm.forward(x), false, 1));
    }
  }

  record MostFrequent(Majority model) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var losses =
          Losses.crossEntropy(model.logits(tape, batch), batch.get("most"), LossOptions.PLAIN);
      return Losses.stepLoss(losses, state);
    }
  }

  record Draws(long seed, long count) implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.of(
          Field.ints("ids", LENGTH), Field.ints("most").blank(LossOptions.IGNORED));
    }

    @Override
    public long targets(long row) {
      return 1;
    }

    @Override
    public void read(long row, Fields into, int at) {
      SplittableRandom random = new SplittableRandom(seed + row);
      int most = random.nextInt(IDS);
      int[] ids = {most, most, most, random.nextInt(IDS), random.nextInt(IDS)};
      for (int i = 0; i < LENGTH; i++) {
        into.row("ids", at).setAtIndex(JAVA_INT, i, ids[i]);
      }
      into.row("most", at).set(JAVA_INT, 0, most);
    }
  }

  private static ParameterBuffer<Majority> allocate(Cpu cpu) {
    return ParameterBuffer.allocate(
        cpu, Precision.FP32, Grouping.decayMatrices(0), Majority::declare);
  }

  private static Trainer trainer(ParameterBuffer<Majority> model, int steps) {
    return Training.of(
            model,
            new MostFrequent(model.model()),
            BatchSource.endless(new Draws(1, 1000), Order.shuffled(3)))
        .batch(16)
        .optimizer(p -> new Momentum(p, 0.9f))
        .schedule(new Schedule.Constant(0.05, 0))
        .steps(steps)
        .trainer();
  }

  static void trainAndResume(Path folder) throws Exception {
    float[] unbroken;
    try (Cpu cpu = Cpu.open(2);
        ParameterBuffer<Majority> model = allocate(cpu)) {
      Init.normal(model, 5);
      try (Trainer trainer = trainer(model, 200)) {
        double loss = trainer.run().loss();
        check(loss < 1.0, "its own optimizer learns its own objective, got " + loss);
      }
      unbroken = model.weights().toFloats();
    }
    try (Cpu cpu = Cpu.open(2);
        ParameterBuffer<Majority> model = allocate(cpu)) {
      Init.normal(model, 5);
      try (RunDirectory run = RunDirectory.claim(folder);
          Trainer trainer = trainer(model, 90).into(run)) {
        trainer.run();
      }
    }
    try (Cpu cpu = Cpu.open(2);
        ParameterBuffer<Majority> model = allocate(cpu);
        Trainer trainer = trainer(model, 200)) {
      Checkpoint checkpoint = Checkpoint.open(folder.resolve("last"));
      Weights.load(model, checkpoint.directory().resolve(Training.WEIGHTS_FILE));
      trainer.resume(checkpoint);
      trainer.run();
      check(Arrays.equals(unbroken, model.weights().toFloats()), "resumed bit for bit");
    }
  }
}
