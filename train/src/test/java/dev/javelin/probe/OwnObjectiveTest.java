package dev.javelin.probe;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

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
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
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
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An objective, batches and a model of a user's own: the sum of a row of ids, padded behind. */
class OwnObjectiveTest {
  private static final int IDS = 4; // 0 … 3
  private static final int LONGEST = 5;
  private static final int CLASSES = (IDS - 1) * LONGEST + 1;
  private static final int WIDTH = 32;

  @TempDir Path dir;

  /** Two blocks that see both ways, a head on the sum of what stands at the ids. */
  record Adder(Embedding ids, List<Block> blocks, RmsNorm norm, Linear head) {
    static Adder declare(Declare d) {
      return new Adder(
          Embedding.declare(d, IDS, WIDTH),
          IntStream.range(0, 2).mapToObj(i -> block(d, i)).toList(),
          RmsNorm.declare(d, WIDTH, 1e-5f),
          Linear.declare(d, CLASSES, WIDTH, true));
    }

    private static Block block(Declare d, int index) {
      return Block.of(
          RmsNorm.declare(d, WIDTH, 1e-5f),
          Attention.declare(d, index, WIDTH, 4, null),
          RmsNorm.declare(d, WIDTH, 1e-5f),
          Mlp.Gated.declare(d, WIDTH, 2 * WIDTH, Activation.SILU, false),
          0);
    }

    /** Logits of the sums, [B, CLASSES]. */
    Var forward(Tape tape, Batch batch) {
      Pass pass = Pass.PLAIN.masked(AttentionMask.FULL.lengths(batch.get("length")));
      Var x = ids.forward(tape, batch.get("ids")); // [B, T, C]
      for (Block block : blocks) {
        x = block.forward(x, pass);
      }
      Tensor there = batch.get("there"); // 1 at ids, 0 behind them, [B, T]
      Var weight = tape.constant(there.reshape(there.dim(0), there.dim(1), 1));
      return head.forward(Algebra.sum(Algebra.multiply(norm.forward(x), weight), false, 1));
    }
  }

  record SumOfIds(Adder model) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var losses =
          Losses.crossEntropy(model.forward(tape, batch), batch.get("sum"), LossOptions.PLAIN);
      return Losses.stepLoss(losses, state);
    }
  }

  /** Rows of one to five ids. */
  record Sums(long seed, long count) implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.of(
          Field.ints("ids", LONGEST),
          Field.floats("there", LONGEST),
          Field.ints("length").blank(1),
          Field.ints("sum").blank(LossOptions.IGNORED));
    }

    @Override
    public long targets(long row) {
      return 1;
    }

    @Override
    public void read(long row, Fields into, int at) {
      SplittableRandom random = new SplittableRandom(seed + 1_000_003 * row);
      int length = random.nextInt(1, LONGEST + 1);
      int sum = 0;
      for (int i = 0; i < LONGEST; i++) {
        int id = i < length ? random.nextInt(IDS) : 0;
        sum += id;
        into.row("ids", at).setAtIndex(JAVA_INT, i, id);
        into.row("there", at).setAtIndex(JAVA_FLOAT, i, i < length ? 1 : 0);
      }
      into.row("length", at).set(JAVA_INT, 0, length);
      into.row("sum", at).set(JAVA_INT, 0, sum);
    }
  }

  private static ParameterBuffer<Adder> allocate(Cpu cpu) {
    return ParameterBuffer.allocate(cpu, Precision.FP32, Grouping.decayMatrices(0), Adder::declare);
  }

  /** How many of a batch's sums are told right. */
  private static int right(ParameterBuffer<Adder> parameters, Batch batch, Workspace ws) {
    ws.reset();
    MemorySegment logits = parameters.model().forward(Tape.inference(ws), batch).value().toHost();
    int right = 0;
    for (int row = 0; row < batch.rows(); row++) {
      int best = 0;
      for (int c = 1; c < CLASSES; c++) {
        boolean more =
            logits.getAtIndex(JAVA_FLOAT, row * CLASSES + c)
                > logits.getAtIndex(JAVA_FLOAT, row * CLASSES + best);
        best = more ? c : best;
      }
      right += best == batch.get("sum").segment().getAtIndex(JAVA_INT, row) ? 1 : 0;
    }
    return right;
  }

  @Test
  void aModelOfPublicLayersLearnsIsSavedAndLoadedAgain() throws IOException {
    BatchSource held = BatchSource.once(new Sums(77, 200));
    try (Cpu cpu = Cpu.open(2);
        ParameterBuffer<Adder> adder = allocate(cpu);
        ParameterBuffer<Adder> loaded = allocate(cpu);
        Workspace ws = Workspace.on(cpu);
        Batch batch = Batch.on(cpu, held.layout(), 200);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        Trainer trainer =
            Training.of(
                    adder,
                    new SumOfIds(adder.model()),
                    BatchSource.endless(new Sums(1, 4000), Order.shuffled(3)))
                .batch(64)
                .schedule(new Schedule.Cosine(3e-3, 1e-4, 20, 400))
                .validation(held, 0)
                .steps(400)
                .trainer()
                .into(run)) {
      Init.normal(adder, 5);
      Evaluation evaluation = Objects.requireNonNull(trainer.run().evaluation());
      assertThat(evaluation.tokens()).as("padding does not count").isEqualTo(200);
      assertThat(evaluation.bitsPerByte()).isNull();
      batch.load(fields -> held.fill(0, 200, fields));
      int right = right(adder, batch, ws);
      assertThat(right).as("of 200; a fifth by always saying the same").isGreaterThan(150);
      Weights.load(loaded, run.path().resolve("last").resolve(Training.WEIGHTS_FILE));
      assertThat(right(loaded, batch, ws)).isEqualTo(right);
    }
  }
}
