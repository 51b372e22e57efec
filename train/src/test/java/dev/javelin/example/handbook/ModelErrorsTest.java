package dev.javelin.example.handbook;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Weights;
import dev.javelin.train.Trainer;
import dev.javelin.train.Training;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchLayout.Field;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.objective.Objective;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the page about models says of errors. */
class ModelErrorsTest {
  private static final String PAGE = "build-a-model.md";
  private static final Digits.Drawings DRAWINGS = new Digits.Drawings(1, 9);

  private final Cpu cpu = Cpu.open(1);
  private final ParameterBuffer<Digits.Reader> parameters =
      ParameterBuffer.allocate(
          cpu, Precision.FP32, Grouping.decayMatrices(0), Digits.Reader::declare);
  private final Digits.Reader model = parameters.model();

  @TempDir Path dir;

  /** Drawings that are spoilt in one way. */
  private record Spoilt(int pixels, int digit) implements Rows {
    @Override
    public BatchLayout layout() {
      return BatchLayout.of(Field.floats("picture", pixels), Field.ints("digit"));
    }

    @Override
    public long count() {
      return 9;
    }

    @Override
    public long targets(long row) {
      return 1;
    }

    @Override
    public void read(long row, Fields into, int at) {
      into.row("digit", at).set(JAVA_INT, 0, digit);
    }
  }

  @BeforeEach
  void drawn() {
    Init.normal(parameters, 1);
  }

  @AfterEach
  void close() {
    parameters.close();
    cpu.close();
  }

  private void train(Rows rows, Objective objective) throws IOException {
    BatchSource source = BatchSource.endless(rows, Order.sequential());
    try (Trainer trainer = Training.of(parameters, objective, source).batch(4).steps(2).trainer()) {
      trainer.run();
    }
  }

  private void says(String words, Rows rows, Objective objective) throws IOException {
    Pages.says(PAGE, words, () -> train(rows, objective));
  }

  @Test
  void rowsThatDoNotFit() throws IOException {
    Objective digits = new Digits.RightDigit(model);
    says(
        "linear: w must be [N, 60] (last dimension of x [4, 60]), got [128, 64]",
        new Spoilt(60, 0),
        digits);
    says(
        "crossEntropy: targets holds 10 at index 0, outside the vocabulary of 10",
        new Spoilt(64, 10),
        digits);
    says(
        "a batch has no field image, it has picture, digit",
        DRAWINGS,
        (tape, batch, state) -> tape.constant(batch.get("image")));
  }

  @Test
  void lossesThatAreNone() throws IOException {
    says(
        "backward: the loss must be one F32 number, got F32[4, 10]",
        DRAWINGS,
        (tape, batch, state) -> model.logits(tape.constant(batch.get("picture"))));
    says(
        "backward: the loss depends on no parameter that wants a gradient",
        DRAWINGS,
        (tape, batch, state) ->
            Losses.stepLoss(Algebra.sum(tape.constant(batch.get("picture")), false, 1), state));
  }

  @Test
  void aTensorThatIsKept() throws IOException {
    List<Var> kept = new ArrayList<>();
    says(
        "used after its memory was released",
        DRAWINGS,
        (tape, batch, state) -> {
          kept.add(model.logits(tape.constant(batch.get("picture"))));
          return Losses.stepLoss(Algebra.sum(kept.getFirst(), false, 1), state);
        });
  }

  @Test
  void anotherModelsFile() throws IOException {
    Path file = dir.resolve("model.safetensors");
    Weights.save(parameters, file);
    try (var writer = CharacterModel.allocate(cpu, 5)) {
      Pages.says(PAGE, "tensor characters.weight is missing", () -> Weights.load(writer, file));
    }
  }
}
