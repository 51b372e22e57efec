package dev.javelin.train.xray;

import dev.javelin.autograd.Probe;
import dev.javelin.train.xray.Xray.AttentionHead;
import dev.javelin.train.xray.Xray.Cost;
import dev.javelin.train.xray.Xray.Event;
import dev.javelin.train.xray.Xray.Guess;
import dev.javelin.train.xray.Xray.Lens;
import dev.javelin.train.xray.Xray.MemoryPicture;
import dev.javelin.train.xray.Xray.Op;
import dev.javelin.train.xray.Xray.ParameterFacts;
import dev.javelin.train.xray.Xray.Range;
import dev.javelin.train.xray.Xray.StreamPoint;
import dev.javelin.train.xray.Xray.Subject;
import dev.javelin.train.xray.Xray.Target;
import dev.javelin.train.xray.Xray.Token;
import dev.javelin.train.xray.Xray.Units;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** X-rays with numbers from a generator, of any size and with any texts. */
final class XrayMock {
  private static final List<String> NAMES =
      List.of(
          "rms_norm",
          "linear",
          "qk_rope",
          "attention",
          "linear",
          "add_rms_norm",
          "linear",
          "glu",
          "linear");

  private final int tokens;
  private final int layers;
  private final int heads;
  private final List<String> texts;
  private final SplittableRandom random;

  private XrayMock(int tokens, int layers, int heads, List<String> texts, long seed) {
    this.tokens = tokens;
    this.layers = layers;
    this.heads = heads;
    this.texts = texts;
    this.random = new SplittableRandom(seed);
  }

  /**
   * One of them.
   *
   * @param texts of tokens, in turn, and of all else that is named
   * @param seed also the number of steps done
   */
  static Xray of(int tokens, int layers, int heads, List<String> texts, long seed) {
    return new XrayMock(tokens, layers, heads, texts, seed).make();
  }

  private String text(int i) {
    return texts.get(i % texts.size());
  }

  private double number() {
    return Math.exp(random.nextDouble(-9, 3));
  }

  private double[] numbers(int n) {
    return IntStream.range(0, n).mapToDouble(_ -> number()).toArray();
  }

  private Xray make() {
    List<Token> all = new ArrayList<>();
    for (int i = 0; i < tokens; i++) {
      Target target = i == tokens - 1 ? null : new Target(i + 101, text(i + 1), number(), number());
      all.add(new Token(i, i + 100, text(i), 3 * i, 3 * i + 3, target));
    }
    List<Op> tape = new ArrayList<>();
    List<ParameterFacts> parameters = new ArrayList<>();
    List<AttentionHead> attention = new ArrayList<>();
    List<Units> units = new ArrayList<>();
    List<StreamPoint> stream = new ArrayList<>(List.of(point("embedding", Probe.NO_LAYER)));
    op(tape, "embedding", Probe.NO_LAYER, "embedding");
    for (int layer = 0; layer < layers; layer++) {
      for (int i = 0; i < NAMES.size(); i++) {
        op(tape, i < 5 ? "attention" : "mlp", layer, NAMES.get(i));
      }
      for (String role : List.of("norm1.weight", "attn.qkv.weight", "mlp.down.weight")) {
        parameters.add(parameter("blocks." + layer + "." + role, layer));
      }
      for (int h = 0; h < heads; h++) {
        attention.add(head(layer, h));
      }
      units.add(new Units(layer, 1000 + layer, layer, 2 * layer));
      stream.add(point("attention", layer));
      stream.add(point("mlp", layer));
    }
    op(tape, "head", Probe.NO_LAYER, "linear_cross_entropy");
    parameters.add(parameter(text(0), Probe.NO_LAYER));
    Subject subject =
        new Subject(
            text(1),
            text(2),
            layers,
            64,
            heads,
            heads,
            8,
            172,
            512,
            true,
            1234567,
            "fp32",
            text(3),
            2,
            random.nextInt(5),
            "adamw",
            1e-3,
            7,
            "1",
            text(4),
            "2026");
    return new Xray(
        subject,
        all,
        tape,
        attention,
        stream,
        parameters,
        units,
        numbers(tokens),
        new Xray.ClipFacts(2.5, 1, 0.4, 1, false),
        new Xray.LossFacts(4.25, 3.75, tokens - 1),
        memory(tape),
        new Xray.Machine(text(5), 5e10, 1e10));
  }

  private void op(List<Op> tape, String part, int layer, String name) {
    int i = tape.size();
    tape.add(
        new Op(
            i,
            part,
            layer,
            name,
            i == 0 ? List.of() : List.of(i - 1),
            List.of(text(i)),
            List.of(new int[] {1, tokens, 64}, new int[] {64, 64}),
            List.of(new int[] {1, tokens, 64}),
            "F32",
            new Cost(8192.0 * tokens, 512.0 * tokens, 1000 + random.nextInt(100_000)),
            new Cost(16384.0 * tokens, 1024.0 * tokens, 1000 + random.nextInt(100_000)),
            List.of(i),
            number()));
  }

  private MemoryPicture memory(List<Op> tape) {
    int n = tape.size();
    List<Event> events = new ArrayList<>();
    List<Range> ranges = new ArrayList<>();
    long[] live = new long[2 * n];
    for (int i = 0; i < n; i++) {
      events.add(new Event(i, false));
      ranges.add(new Range(text(i), 0, 1024L * i, 1000 + i % 24, i, 2 * n - 1 - i));
      live[i] = 1000L * (i + 1);
      live[2 * n - 1 - i] = 1000L * i;
    }
    for (int i = n - 1; i >= 0; i--) {
      events.add(new Event(i, true));
    }
    return new MemoryPicture(
        new long[] {1024L * n}, events, ranges, live, 1000L * n, 5_000_000, 10_000_000);
  }

  private ParameterFacts parameter(String name, int layer) {
    return new ParameterFacts(
        name,
        layer,
        new int[] {64, 64},
        4096,
        false,
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        number(),
        layer < 0 ? "decay" : text(7),
        1e-3,
        0.1);
  }

  private AttentionHead head(int layer, int head) {
    float[][] weights = new float[tokens][];
    for (int q = 0; q < tokens; q++) {
      weights[q] = new float[q + 1];
      double left = 1;
      for (int k = 0; k < q; k++) {
        double w = left * random.nextDouble();
        weights[q][k] = (float) w;
        left -= w;
      }
      weights[q][q] = (float) left;
    }
    return new AttentionHead(layer, head, head, 0, weights);
  }

  private StreamPoint point(String part, int layer) {
    List<Lens> lens = new ArrayList<>();
    for (int t = 0; t < tokens; t++) {
      List<Guess> top = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        top.add(new Guess(i, text(t + i), random.nextDouble()));
      }
      lens.add(
          t == tokens - 1 ? new Lens(top, Double.NaN, 0) : new Lens(top, random.nextDouble(), 3));
    }
    return new StreamPoint(part, layer, numbers(tokens), numbers(tokens), lens);
  }
}
