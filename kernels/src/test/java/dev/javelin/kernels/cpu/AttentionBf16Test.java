package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Attention over bf16 heads on the arithmetic of the bf16 unit: against the definition in double,
 * and to the bit over tiles, threads and what the processor has.
 */
class AttentionBf16Test {
  private static final int GAP = 3; // unused elements between the heads of a position
  private static final float UNTOUCHED = 7f;

  record Case(String name, AttentionShape shape, MaskView mask) {
    @Override
    public String toString() {
      return name + " " + shape;
    }
  }

  private record Result(float[] o, float[] lse, float[] dq, float[] dk, float[] dv) {}

  static Stream<Case> cases() {
    AttentionShape grouped = new AttentionShape(2, 150, 150, 4, 2, 32);
    AttentionShape cached = new AttentionShape(2, 71, 150, 4, 2, 24);
    MemorySegment lengths = ints(150, 37);
    MemorySegment slopes = floats(0.5f, 0.25f, 0.125f, 0.0625f);
    Stream<Case> sizes =
        Stream.of(
                new AttentionShape(1, 2, 2, 2, 1, 7),
                new AttentionShape(1, 33, 33, 2, 1, 31),
                new AttentionShape(2, 64, 64, 2, 2, 64),
                new AttentionShape(1, 127, 127, 2, 1, 80),
                new AttentionShape(1, 131, 131, 1, 1, 128),
                new AttentionShape(1, 5, 71, 4, 2, 20),
                new AttentionShape(1, 300, 300, 1, 1, 64))
            .flatMap(
                s ->
                    Stream.of(
                        new Case("causal", s, mask(s, true, 0, 0)),
                        new Case("full", s, mask(s, false, 0, 0))));
    Stream<Case> rules =
        Stream.of(grouped, cached)
            .flatMap(
                s -> {
                  MemorySegment keyMask = keyMask(s);
                  MemorySegment starts = starts(s);
                  float scale = 0.2f;
                  return Stream.of(
                      new Case("window", s, mask(s, true, 10, 0)),
                      new Case("wide window", s, mask(s, true, 100, 0)),
                      new Case("cap", s, mask(s, true, 0, 2)),
                      new Case(
                          "documents",
                          s,
                          new MaskView(scale, true, 0, 0, null, null, starts, null)),
                      new Case(
                          "everything",
                          s,
                          new MaskView(scale, true, 60, 3, lengths, keyMask, starts, slopes)));
                });
    return Stream.concat(sizes, rules);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void followsItsDefinitionAndKeepsItsBits(Case c) {
    AttentionShape s = c.shape;
    Operands x = new Operands(s);
    Result got = run(c, twin(12), 1, null);
    AttentionOracle want = new AttentionOracle(x.q, x.k, x.v, x.gradOut, s, c.mask);
    // P and dS carry eight bits, as do o, dq, dk and dv; products of both are sums of many. Where
    // few
    // keys let dP and delta cancel, the rounded o in delta shows, in fp32 arithmetic as well.
    Result plain = run(c, null, 1, null);
    assertClose(c + " o", got.o, want.o, 0x1p-8);
    assertClose(c + " lse", got.lse, want.lse, 1e-5);
    assertClose(c + " dq", got.dq, want.dq, Math.max(0x1p-7, 1.1 * error(plain.dq, want.dq)));
    assertClose(c + " dk", got.dk, want.dk, Math.max(0x1p-7, 1.1 * error(plain.dk, want.dk)));
    assertClose(c + " dv", got.dv, want.dv, 0x1p-7);
    assertSame(run(c, twin(12), 3, null), got);
    assertSame(run(c, twin(5), 1, null), got);
    if (Bf16Products.tile() instanceof MatmulTileBf16 tile) {
      assertSame(run(c, tile, 2, null), got);
    }
  }

  @Test
  void roundsItsWeights() {
    // The fp32 arithmetic of machines without the unit is closer to the definition.
    AttentionShape s = new AttentionShape(1, 96, 96, 2, 2, 32);
    Case c = new Case("causal", s, mask(s, true, 0, 0));
    Operands x = new Operands(s);
    AttentionOracle want = new AttentionOracle(x.q, x.k, x.v, x.gradOut, s, c.mask);
    double pairs = error(run(c, twin(12), 1, null).lse, want.lse);
    Result wide = run(c, null, 1, null);
    assertThat(pairs).isLessThan(1e-5);
    assertThat(error(wide.lse, want.lse)).isLessThan(1e-5);
    assertThat(wide.o).isNotEqualTo(run(c, twin(12), 1, null).o);
  }

  @Test
  void dropsTheSameWeightsAsInFp32() {
    AttentionShape s = new AttentionShape(2, 100, 100, 4, 2, 32);
    Case c = new Case("causal", s, mask(s, true, 0, 0));
    AttentionDropout dropout = new AttentionDropout(0.3f, new DropoutCpu.Key(5, 2, 3, 4));
    Result got = run(c, twin(12), 2, dropout);
    Result want = run(c, null, 2, dropout);
    assertClose("o", got.o, doubles(want.o), 0x1p-7);
    assertClose("dq", got.dq, doubles(want.dq), 0x1p-6);
    assertClose("dk", got.dk, doubles(want.dk), 0x1p-6);
    assertClose("dv", got.dv, doubles(want.dv), 0x1p-6);
    Result none = run(c, twin(12), 2, null);
    assertThat(error(none.o, doubles(want.o))).isGreaterThan(0.1);
  }

  @Test
  void isZeroWhereNothingIsVisible() {
    AttentionShape s = new AttentionShape(2, 40, 40, 2, 1, 32);
    MaskView mask = new MaskView(0.3f, true, 0, 0, ints(0, 40), null, null, null);
    Result r = run(new Case("nothing", s, mask), twin(12), 1, null);
    for (int i = 0; i < 40 * s.queryHeads() * s.dim(); i++) {
      assertThat(r.o[i]).isZero();
      assertThat(r.dq[i]).isZero();
    }
    for (int i = 0; i < 40 * s.dim(); i++) {
      assertThat(r.dk[i]).isZero();
      assertThat(r.dv[i]).isZero();
    }
    assertThat(r.lse[0]).isEqualTo(Float.NEGATIVE_INFINITY);
    assertThat(r.o[40 * s.queryHeads() * s.dim()]).isNotZero();
  }

  private static MatmulPairTile twin(int rows) {
    return new MatmulTileTwin(rows, 32);
  }

  private static void assertSame(Result got, Result want) {
    assertThat(got.o).isEqualTo(want.o);
    assertThat(got.lse).isEqualTo(want.lse);
    assertThat(got.dq).isEqualTo(want.dq);
    assertThat(got.dk).isEqualTo(want.dk);
    assertThat(got.dv).isEqualTo(want.dv);
  }

  private static void assertClose(String what, float[] got, double[] want, double tolerance) {
    assertThat(error(got, want)).as(what).isLessThanOrEqualTo(tolerance);
  }

  /** The largest difference, relative to the largest element. */
  private static double error(float[] got, double[] want) {
    double scale = 0.1; // a lone key has no gradient but that of rounding
    double worst = 0;
    for (int i = 0; i < want.length; i++) {
      if (Double.isInfinite(want[i])) {
        assertThat((double) got[i]).isEqualTo(want[i]);
        continue;
      }
      assertThat(got[i]).isFinite();
      scale = Math.max(scale, Math.abs(want[i]));
      worst = Math.max(worst, Math.abs(got[i] - want[i]));
    }
    return worst / scale;
  }

  private static double[] doubles(float[] x) {
    double[] y = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      y[i] = x[i];
    }
    return y;
  }

  /** Numbers that bf16 can hold. */
  private static final class Operands {
    final float[] q;
    final float[] k;
    final float[] v;
    final float[] gradOut;

    Operands(AttentionShape s) {
      Random random = new Random(s.hashCode());
      int queries = s.batch() * s.queries() * s.queryHeads() * s.dim();
      int keys = s.batch() * s.keys() * s.kvHeads() * s.dim();
      q = gaussians(random, queries);
      k = gaussians(random, keys);
      v = gaussians(random, keys);
      gradOut = gaussians(random, queries);
    }
  }

  private static float[] gaussians(Random random, int n) {
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = Half.bf16ToFloat(Half.floatToBf16((float) random.nextGaussian()));
    }
    return x;
  }

  private static Result run(
      Case c, @Nullable MatmulPairTile tile, int threads, @Nullable AttentionDropout dropout) {
    AttentionShape s = c.shape;
    Operands x = new Operands(s);
    try (Cpu cpu = Cpu.open(threads);
        Arena arena = Arena.ofShared()) {
      HeadView q = queries(arena, s, x.q);
      HeadView k = keys(arena, s, x.k);
      HeadView v = keys(arena, s, x.v);
      HeadView g = queries(arena, s, x.gradOut);
      HeadView o = queries(arena, s, null);
      MemorySegment lse = arena.allocate(4L * s.batch() * s.queryHeads() * s.queries(), 64);
      AttentionCpu.forward(cpu, tile, o, lse, q, k, v, s, c.mask, dropout);
      HeadView dq = queries(arena, s, null);
      HeadView dk = keys(arena, s, null);
      HeadView dv = keys(arena, s, null);
      AttentionCpu.backward(
          cpu,
          tile,
          new HeadGrad(dq, false),
          new HeadGrad(dk, false),
          new HeadGrad(dv, false),
          g,
          o,
          lse,
          q,
          k,
          v,
          s,
          c.mask,
          dropout);
      float[] sums = new float[s.batch() * s.queryHeads() * s.queries()];
      MemorySegment.copy(lse, HeadRows.FLOAT, 0, sums, 0, sums.length);
      int queries = s.queries();
      return new Result(
          values(o, s.batch(), queries, s.queryHeads(), s.dim()),
          sums,
          values(dq, s.batch(), queries, s.queryHeads(), s.dim()),
          values(dk, s.batch(), s.keys(), s.kvHeads(), s.dim()),
          values(dv, s.batch(), s.keys(), s.kvHeads(), s.dim()));
    }
  }

  private static HeadView queries(Arena arena, AttentionShape s, float @Nullable [] values) {
    return view(arena, s.batch(), s.queries(), s.queryHeads(), s.dim(), values);
  }

  private static HeadView keys(Arena arena, AttentionShape s, float @Nullable [] values) {
    return view(arena, s.batch(), s.keys(), s.kvHeads(), s.dim(), values);
  }

  /** Heads with a gap between them, which must stay as it is. */
  private static HeadView view(Arena arena, int b, int t, int h, int d, float @Nullable [] values) {
    int head = d + GAP;
    int n = b * t * h * head;
    MemorySegment data = arena.allocate(DType.BF16.bytes(n), 64);
    for (int i = 0; i < n; i++) {
      float x = i % head < d && values != null ? values[i / head * d + i % head] : UNTOUCHED;
      data.setAtIndex(MatmulPackPairs.BF16, i, Half.floatToBf16(x));
    }
    return new HeadView(data, DType.BF16, (long) t * h * head, (long) h * head, head);
  }

  private static float[] values(HeadView view, int b, int t, int h, int d) {
    float[] x = new float[b * t * h * d];
    for (int i = 0; i < b * t * h * (d + GAP); i++) {
      float v = Half.bf16ToFloat(view.data().getAtIndex(MatmulPackPairs.BF16, i));
      if (i % (d + GAP) < d) {
        x[i / (d + GAP) * d + i % (d + GAP)] = v;
      } else {
        assertThat(v).isEqualTo(UNTOUCHED);
      }
    }
    return x;
  }

  private static MaskView mask(AttentionShape s, boolean causal, int window, float cap) {
    return new MaskView(
        1 / (float) Math.sqrt(s.dim()), causal, window, cap, null, null, null, null);
  }

  private static MemorySegment keyMask(AttentionShape s) {
    return ints(new Random(3).ints((long) s.batch() * s.keys(), 0, 3).toArray());
  }

  /** Documents of 40 positions. */
  private static MemorySegment starts(AttentionShape s) {
    int[] starts = new int[s.batch() * s.queries()];
    for (int i = 0; i < starts.length; i++) {
      starts[i] = (s.firstPosition() + i % s.queries()) / 40 * 40;
    }
    return ints(starts);
  }

  private static MemorySegment ints(int... values) {
    MemorySegment m = Arena.ofAuto().allocate(4L * values.length);
    for (int i = 0; i < values.length; i++) {
      m.setAtIndex(JAVA_INT_UNALIGNED, i, values[i]);
    }
    return m;
  }

  private static MemorySegment floats(float... values) {
    MemorySegment m = Arena.ofAuto().allocate(4L * values.length);
    for (int i = 0; i < values.length; i++) {
      m.setAtIndex(HeadRows.FLOAT, i, values[i]);
    }
    return m;
  }
}
