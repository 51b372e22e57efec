package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.RequiresCuda;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.op.LossOptions;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * What a model computes does not depend on how it is asked: documents packed or alone, a text read
 * at once or in parts, a batch whole, in rows or in micro-batches; for every family.
 */
class FamilyRunsTest {
  static final List<String> NAMES =
      Stream.concat(ModelCase.NAMES.stream(), ModelCase.FAMILIES.stream()).toList();

  private static final double CLOSE = 1e-5;

  @ParameterizedTest
  @FieldSource("NAMES")
  void packedDocumentsReadAsAlone(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertPacked(c);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @FieldSource("NAMES")
  void packedDocumentsReadAsAloneOnCuda(String name) {
    try (ModelCase c = ModelCase.onCuda(name, Precision.FP32)) {
      assertPacked(c);
    }
  }

  /** Logits, and every gradient of the sum of all losses. */
  private static void assertPacked(ModelCase c) {
    int[] lengths = {13, 4, 1, 9}; // longer than the windows, and shorter
    int total = Arrays.stream(lengths).sum();
    int[] ids = random(c, total);
    int[] positions = new int[total];
    int[] starts = new int[total];
    int[] targets = new int[total];
    for (int at = 0, d = 0; d < lengths.length; at += lengths[d++]) {
      for (int i = 0; i < lengths[d]; i++) {
        positions[at + i] = i;
        starts[at + i] = at;
        targets[at + i] = i + 1 < lengths[d] ? ids[at + i + 1] : LossOptions.IGNORED;
      }
    }
    Shape row = Shape.of(1, total);
    Pass packed =
        Pass.training(c.state)
            .masked(AttentionMask.CAUSAL.documents(c.ids(starts, row)))
            .at(c.ids(positions, row));
    double[] together = logits(c, ids, packed);
    c.state.begin(0, 0, 0, 1f);
    gradients(c, ids, targets, packed);
    double[] whole = floats(c.buffer.gradients());
    Fill.zero(c.buffer.gradients());
    for (int at = 0, d = 0; d < lengths.length; at += lengths[d++]) {
      int[] alone = Arrays.copyOfRange(ids, at, at + lengths[d]);
      int vocab = c.model().config().vocab();
      double[] part = Arrays.copyOfRange(together, at * vocab, (at + lengths[d]) * vocab);
      assertClose("document " + d, part, logits(c, alone, Pass.training(c.state)), CLOSE);
      gradients(c, alone, Arrays.copyOfRange(targets, at, at + lengths[d]), Pass.training(c.state));
    }
    assertClose("gradients", whole, floats(c.buffer.gradients()), CLOSE);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void aTextReadInPartsIsReadAsAtOnce(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertCached(c);
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @FieldSource("NAMES")
  void aTextReadInPartsIsReadAsAtOnceOnCuda(String name) {
    try (ModelCase c = ModelCase.onCuda(name, Precision.FP32)) {
      assertCached(c);
    }
  }

  private static void assertCached(ModelCase c) {
    int[] ids = random(c, 24);
    int vocab = c.model().config().vocab();
    double[] whole = logits(c, ids, Pass.PLAIN);
    for (int part : new int[] {24, 7, 1}) {
      try (KvCache cache =
          KvCache.open(c.device, c.model().config(), c.model().tokens().value().dtype())) {
        for (int from = 0; from < ids.length; from += part) {
          int to = Math.min(ids.length, from + part);
          c.workspace.reset();
          Tensor tokens = c.ids(Arrays.copyOfRange(ids, from, to), Shape.of(1, to - from));
          double[] last = floats(c.model().next(Tape.inference(c.workspace), tokens, cache));
          assertClose(
              "token %d in parts of %d".formatted(to - 1, part),
              last,
              Arrays.copyOfRange(whole, (to - 1) * vocab, to * vocab),
              CLOSE);
        }
      }
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void aBatchIsReadAsItsRows(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      int[] ids = random(c, 3 * 17);
      c.workspace.reset();
      Tensor batch = c.ids(ids, Shape.of(3, 17));
      double[] together = floats(c.model().forward(Tape.inference(c.workspace), batch).value());
      int size = together.length / 3;
      for (int r = 0; r < 3; r++) {
        assertClose(
            "row " + r,
            Arrays.copyOfRange(together, r * size, (r + 1) * size),
            logits(c, Arrays.copyOfRange(ids, 17 * r, 17 * (r + 1)), Pass.PLAIN),
            CLOSE);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void microBatchesAddUpToTheBatch(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      int[] ids = random(c, 4 * 11);
      int[] targets = random(c, 4 * 11);
      IntStream.of(3, 17, 18, 40).forEach(i -> targets[i] = LossOptions.IGNORED);
      c.state.begin(0, 0, 0, 1f / 40);
      batch(c, ids, targets, 4);
      double[] whole = floats(c.buffer.gradients());
      double loss = c.state.loss();
      Fill.zero(c.buffer.gradients());
      c.state.begin(0, 0, 0, 1f / 40);
      for (int rows : new int[] {1, 3}) {
        int from = rows == 1 ? 0 : 11;
        batch(
            c,
            Arrays.copyOfRange(ids, from, from + 11 * rows),
            Arrays.copyOfRange(targets, from, from + 11 * rows),
            rows);
      }
      assertClose("gradients", floats(c.buffer.gradients()), whole, CLOSE);
      assertClose("loss", new double[] {c.state.loss()}, new double[] {loss}, 1e-6);
    }
  }

  private static void batch(ModelCase c, int[] ids, int[] targets, int rows) {
    c.workspace.reset();
    Shape shape = Shape.of(rows, ids.length / rows);
    Tape tape = new Tape(c.workspace);
    tape.backward(
        NextTokenLoss.of(c.model(), tape, c.ids(ids, shape), c.ids(targets, shape), c.state));
  }

  private static double[] logits(ModelCase c, int[] ids, Pass pass) {
    c.workspace.reset();
    Tensor tokens = c.ids(ids, Shape.of(1, ids.length));
    Tape tape = Tape.inference(c.workspace);
    return floats(c.model().logits(c.model().hidden(tape, tokens, pass)).value());
  }

  private static void gradients(ModelCase c, int[] ids, int[] targets, Pass pass) {
    c.workspace.reset();
    Shape shape = Shape.of(1, ids.length);
    Tape tape = new Tape(c.workspace);
    tape.backward(
        Losses.linearCrossEntropy(
            c.model().hidden(tape, c.ids(ids, shape), pass),
            c.model().headWeight(tape),
            c.ids(targets, shape),
            c.model().lossOptions(),
            c.state));
  }

  private static int[] random(ModelCase c, int n) {
    return new Random(11).ints(n, 0, c.model().config().vocab()).toArray();
  }
}
