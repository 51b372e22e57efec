package dev.javelin.example.handbook;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.Linear;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchLayout.Field;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** Trains on the rows of a table, which a cursor reads in order, and goes on after a stop. */
public final class CursorData {
  /** A flat: its size in square metres, its storey, and its rent. */
  public record Flat(float size, float storey, float rent) {}

  /** What a database has to offer. */
  public interface Table {
    long count();

    /** {@code SELECT size, storey, rent FROM flat WHERE id >= ? ORDER BY id} */
    Iterator<Flat> from(long id);
  }

  /** Place n of the stream is row n, and after the last row the first again. */
  public static final class CursorSource implements BatchSource {
    private final Table table;
    private @Nullable Iterator<Flat> cursor;
    private long next; // row that the cursor gives
    private int opened;

    public CursorSource(Table table) {
      this.table = table;
    }

    @Override
    public BatchLayout layout() {
      return BatchLayout.of(Field.floats("flat", 2), Field.floats("rent", 1));
    }

    @Override
    public long targets(long place, int rows) {
      return rows;
    }

    /** In order, the cursor goes on; elsewhere, as after a resume, it is opened there. */
    @Override
    public synchronized void fill(long place, int rows, Fields host) {
      for (int r = 0; r < rows; r++) {
        long row = (place + r) % table.count();
        if (cursor == null || row != next) {
          cursor = table.from(row);
          opened++;
        }
        Flat flat = cursor.next();
        next = row + 1;
        host.row("flat", r).setAtIndex(JAVA_FLOAT, 0, flat.size / 100);
        host.row("flat", r).setAtIndex(JAVA_FLOAT, 1, flat.storey / 10);
        host.row("rent", r).setAtIndex(JAVA_FLOAT, 0, flat.rent / 1000);
      }
    }

    @Override
    public String origin(long place) {
      return "flat " + place % table.count();
    }

    int opened() {
      return opened;
    }
  }

  /** A table in memory, in place of one in a database. */
  public record MadeUp(long count) implements Table {
    @Override
    public Iterator<Flat> from(long id) {
      return LongStream.range(id, count).mapToObj(MadeUp::flat).iterator();
    }

    private static Flat flat(long id) {
      float size = 20 + id * 37 % 100;
      float storey = id * 11 % 7;
      return new Flat(size, storey, 200 + 12 * size + 30 * storey);
    }
  }

  /** {@code rent = w · flat + b}. */
  public record Rent(Linear line) {}

  /** The square of the error. */
  public record SquaredError(Rent model) implements Objective {
    @Override
    public Var loss(Tape tape, Batch batch, StepState state) {
      Var rent = model.line.forward(tape.constant(batch.get("flat"))); // [B, 1]
      Var error = Algebra.subtract(rent, tape.constant(batch.get("rent")));
      return Losses.stepLoss(Algebra.multiply(error, error), state);
    }
  }

  private CursorData() {}

  static ParameterBuffer<Rent> allocate(Cpu cpu) {
    return ParameterBuffer.allocate(
        cpu,
        Precision.FP32,
        Grouping.decayMatrices(0),
        d -> new Rent(Linear.declare(d, 1, 2, true)));
  }

  static Training training(ParameterBuffer<Rent> parameters, BatchSource source, int steps) {
    return Training.of(parameters, new SquaredError(parameters.model()), source)
        .batch(8)
        .schedule(new Schedule.Constant(0.02, 0))
        .steps(steps);
  }

  /** Weights after some steps in one go. */
  static float[] straight(BatchSource source, int steps) throws IOException {
    try (Cpu cpu = Cpu.open();
        var parameters = allocate(cpu)) {
      Init.normal(parameters, 1);
      try (Trainer trainer = training(parameters, source, steps).trainer()) {
        trainer.run();
      }
      return parameters.weights().toFloats();
    }
  }

  /** The same with a stop in between: another process goes on from the checkpoint. */
  static float[] stopped(BatchSource first, BatchSource second, int steps, Path directory)
      throws IOException {
    try (Cpu cpu = Cpu.open();
        var parameters = allocate(cpu);
        RunDirectory run = RunDirectory.claim(directory)) {
      Init.normal(parameters, 1);
      try (Trainer trainer = training(parameters, first, steps / 3).trainer().into(run)) {
        trainer.run();
      }
    }
    try (Cpu cpu = Cpu.open();
        var parameters = allocate(cpu);
        Trainer trainer = training(parameters, second, steps).trainer()) {
      Checkpoint checkpoint = Checkpoint.open(directory.resolve("last"));
      Weights.load(parameters, checkpoint.directory().resolve(Training.WEIGHTS_FILE));
      trainer.resume(checkpoint);
      trainer.run();
      return parameters.weights().toFloats();
    }
  }

  public static void main(String[] args) throws IOException {
    Table table = new MadeUp(1000);
    float[] straight = straight(new CursorSource(table), 300);
    float[] stopped =
        stopped(new CursorSource(table), new CursorSource(table), 300, Path.of(args[0]));
    System.out.println("same bits: " + Arrays.equals(straight, stopped));
  }
}
