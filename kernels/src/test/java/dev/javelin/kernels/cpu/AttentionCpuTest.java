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
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class AttentionCpuTest {
  private static final int GAP = 3; // unused elements between the heads of a position

  record Case(String name, AttentionShape shape, MaskView mask) {
    @Override
    public String toString() {
      return name + " " + shape;
    }
  }

  private record Result(float[] o, float[] lse, float[] dq, float[] dk, float[] dv) {}

  @ParameterizedTest
  @CsvSource({
    "1,1,1,1,1,1",
    "2,2,2,2,1,7",
    "1,7,7,4,2,31",
    "1,31,31,6,2,33",
    "2,33,33,3,3,32",
    "1,127,127,2,1,64",
    "1,130,130,1,1,16",
    "3,64,64,4,4,32",
    "1,200,200,4,1,80",
    "1,5,70,4,2,20",
    "2,66,150,2,2,48",
    "1,1,100,4,2,64",
    "2,1,1,3,3,5",
    "1,3,1000,2,1,128",
    "1,1100,1100,1,1,12",
    "1,600,1300,2,1,8"
  })
  void followsItsDefinitionAtAnySize(int b, int tq, int tk, int h, int kv, int d) {
    AttentionShape s = new AttentionShape(b, tq, tk, h, kv, d);
    check(new Case("causal", s, mask(s, true, 0, 0)), 2);
    check(new Case("full", s, mask(s, false, 0, 0)), 1);
  }

  static Stream<Arguments> rules() {
    AttentionShape s = new AttentionShape(2, 150, 150, 4, 2, 32);
    AttentionShape cached = new AttentionShape(2, 1, 150, 4, 2, 32);
    Random random = new Random(7);
    return Stream.of(s, new AttentionShape(2, 70, 150, 4, 2, 24), cached)
        .flatMap(
            t -> {
              float scale = 1 / (float) Math.sqrt(t.dim());
              MemorySegment lengths = ints(150, 37);
              MemorySegment starts = documentStarts(t, 40, random);
              MemorySegment mask = keyMask(t, random);
              MemorySegment slopes = floats(0.5f, 0.25f, 0.125f, 0.0625f);
              return Stream.of(
                  new Case("window", t, mask(t, true, 10, 0)),
                  new Case("wide window", t, mask(t, true, 100, 0)),
                  new Case("cap", t, mask(t, true, 0, 2)),
                  new Case(
                      "lengths", t, new MaskView(scale, true, 0, 0, lengths, null, null, null)),
                  new Case(
                      "documents", t, new MaskView(scale, true, 0, 0, null, null, starts, null)),
                  new Case("mask", t, new MaskView(scale, true, 0, 0, null, mask, null, null)),
                  new Case("slopes", t, new MaskView(scale, true, 0, 0, null, null, null, slopes)),
                  new Case(
                      "everything",
                      t,
                      new MaskView(scale, true, 60, 3, lengths, mask, starts, slopes)));
            })
        .map(Arguments::of);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void followsEachRule(Case c) {
    check(c, 2);
  }

  @Test
  void isZeroWithoutAGradientWhereNothingIsVisible() {
    AttentionShape s = new AttentionShape(2, 40, 40, 2, 1, 32);
    MaskView mask = new MaskView(0.3f, true, 0, 0, ints(0, 40), keyMaskFrom(s, 5), null, null);
    Result r = run(new Case("nothing", s, mask), DType.F32, 1, false);
    int row = s.queryHeads() * s.dim();
    for (int i = 0; i < 40 * row; i++) {
      assertThat(r.o[i]).isZero();
      assertThat(r.dq[i]).isZero();
    }
    assertThat(r.lse[0]).isEqualTo(Float.NEGATIVE_INFINITY);
    for (int i = 0; i < 40 * s.dim(); i++) {
      assertThat(r.dk[i]).isZero();
      assertThat(r.dv[i]).isZero();
    }
    for (int i = 40 * row; i < 45 * row; i++) {
      assertThat(r.o[i]).isZero();
    }
    assertThat(r.o[45 * row]).isNotZero();
  }

  @Test
  void addsToGradientsWhereAsked() {
    AttentionShape s = new AttentionShape(1, 33, 33, 4, 2, 20);
    Case c = new Case("accumulate", s, mask(s, true, 0, 0));
    Result once = run(c, DType.F32, 1, false);
    Result added = run(c, DType.F32, 1, true);
    for (int i = 0; i < once.dq.length; i++) {
      assertThat(added.dq[i]).isEqualTo(once.dq[i] + 1f);
    }
    for (int i = 0; i < once.dk.length; i++) {
      assertThat(added.dk[i]).isEqualTo(once.dk[i] + 1f);
      assertThat(added.dv[i]).isEqualTo(once.dv[i] + 1f);
    }
  }

  private static void check(Case c, double roundings) {
    AttentionShape s = c.shape;
    Operands x = new Operands(c);
    AttentionOracle want = new AttentionOracle(x.q, x.k, x.v, x.gradOut, s, c.mask);
    Result got = run(c, DType.F32, 1, false);
    // scores of magnitude ~3 carry dim roundings, a row sums up to keys of them
    double tolerance = roundings * 1e-6 * (3 + Math.sqrt(s.dim()) + Math.sqrt(s.keys()) / 4);
    assertClose(c + " o", got.o, want.o, tolerance);
    assertClose(c + " lse", got.lse, want.lse, tolerance);
    assertClose(c + " dq", got.dq, want.dq, 2 * tolerance);
    assertClose(c + " dk", got.dk, want.dk, 2 * tolerance);
    assertClose(c + " dv", got.dv, want.dv, 2 * tolerance);
    Result threads = run(c, DType.F32, 3, false);
    assertThat(threads.o).isEqualTo(got.o);
    assertThat(threads.dq).isEqualTo(got.dq);
    assertThat(threads.dk).isEqualTo(got.dk);
    assertThat(threads.dv).isEqualTo(got.dv);
  }

  private static void assertClose(String what, float[] got, double[] want, double tolerance) {
    double scale = 0.1; // a lone key has no gradient but that of rounding
    double worst = 0;
    int at = 0;
    for (int i = 0; i < want.length; i++) {
      if (Double.isInfinite(want[i])) {
        assertThat((double) got[i]).as("%s[%d]", what, i).isEqualTo(want[i]);
        continue;
      }
      assertThat(got[i]).as("%s[%d]", what, i).isFinite();
      scale = Math.max(scale, Math.abs(want[i]));
      if (Math.abs(got[i] - want[i]) > worst) {
        worst = Math.abs(got[i] - want[i]);
        at = i;
      }
    }
    assertThat(worst / scale)
        .as("%s differs most at %d: got %s, want %s", what, at, got[at], want[at])
        .isLessThanOrEqualTo(tolerance);
  }

  /** Inputs drawn from the case's sizes, rounded to nothing less than fp32. */
  private static final class Operands {
    final float[] q;
    final float[] k;
    final float[] v;
    final float[] gradOut;

    Operands(Case c) {
      Random random = new Random(c.shape.hashCode());
      int queries = c.shape.batch() * c.shape.queries() * c.shape.queryHeads() * c.shape.dim();
      int keys = c.shape.batch() * c.shape.keys() * c.shape.kvHeads() * c.shape.dim();
      q = gaussians(random, queries);
      k = gaussians(random, keys);
      v = gaussians(random, keys);
      gradOut = gaussians(random, queries);
    }
  }

  private static float[] gaussians(Random random, int n) {
    float[] x = new float[n];
    for (int i = 0; i < n; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private static Result run(Case c, DType type, int threads, boolean accumulate) {
    AttentionShape s = c.shape;
    Operands x = new Operands(c);
    try (Cpu cpu = Cpu.open(threads);
        Arena arena = Arena.ofShared()) {
      HeadView q = view(arena, type, s.batch(), s.queries(), s.queryHeads(), s.dim(), x.q);
      HeadView k = view(arena, type, s.batch(), s.keys(), s.kvHeads(), s.dim(), x.k);
      HeadView v = view(arena, type, s.batch(), s.keys(), s.kvHeads(), s.dim(), x.v);
      HeadView g = view(arena, type, s.batch(), s.queries(), s.queryHeads(), s.dim(), x.gradOut);
      HeadView o = view(arena, type, s.batch(), s.queries(), s.queryHeads(), s.dim(), null);
      MemorySegment lse = arena.allocate(4L * s.batch() * s.queryHeads() * s.queries(), 64);
      AttentionCpu.forward(cpu, o, lse, q, k, v, s, c.mask, null);
      HeadView dq = view(arena, type, s.batch(), s.queries(), s.queryHeads(), s.dim(), null);
      HeadView dk = view(arena, type, s.batch(), s.keys(), s.kvHeads(), s.dim(), null);
      HeadView dv = view(arena, type, s.batch(), s.keys(), s.kvHeads(), s.dim(), null);
      AttentionCpu.backward(
          cpu,
          new HeadGrad(dq, accumulate),
          new HeadGrad(dk, accumulate),
          new HeadGrad(dv, accumulate),
          g,
          o,
          lse,
          q,
          k,
          v,
          s,
          c.mask,
          null);
      float[] sums = new float[s.batch() * s.queryHeads() * s.queries()];
      MemorySegment.copy(lse, HeadRows.FLOAT, 0, sums, 0, sums.length);
      return new Result(
          values(o, s.batch(), s.queries(), s.queryHeads(), s.dim()),
          sums,
          values(dq, s.batch(), s.queries(), s.queryHeads(), s.dim()),
          values(dk, s.batch(), s.keys(), s.kvHeads(), s.dim()),
          values(dv, s.batch(), s.keys(), s.kvHeads(), s.dim()));
    }
  }

  /** Heads with a gap between them; ones where there are no values. */
  private static HeadView view(
      Arena arena, DType type, int b, int t, int h, int d, float @Nullable [] values) {
    int head = d + GAP;
    HeadView view =
        new HeadView(
            arena.allocate(type.bytes((long) b * t * h * head), 64),
            type,
            (long) t * h * head,
            (long) h * head,
            head);
    for (int i = 0; i < b * t * h; i++) {
      for (int e = 0; e < d; e++) {
        view.data()
            .set(
                HeadRows.FLOAT,
                view.at(i / (t * h), i / h % t, i % h) + 4L * e,
                values == null ? 1f : values[i * d + e]);
      }
    }
    return view;
  }

  private static float[] values(HeadView view, int b, int t, int h, int d) {
    float[] x = new float[b * t * h * d];
    for (int i = 0; i < b * t * h; i++) {
      for (int e = 0; e < d; e++) {
        x[i * d + e] =
            view.data().get(HeadRows.FLOAT, view.at(i / (t * h), i / h % t, i % h) + 4L * e);
      }
    }
    return x;
  }

  private static MaskView mask(AttentionShape s, boolean causal, int window, float cap) {
    return new MaskView(
        1 / (float) Math.sqrt(s.dim()), causal, window, cap, null, null, null, null);
  }

  private static MemorySegment documentStarts(AttentionShape s, int mean, Random random) {
    int[] starts = new int[s.batch() * s.queries()];
    for (int b = 0; b < s.batch(); b++) {
      int[] all = new int[s.keys()];
      for (int j = 1; j < s.keys(); j++) {
        all[j] = random.nextInt(mean) == 0 ? j : all[j - 1];
      }
      System.arraycopy(all, s.keys() - s.queries(), starts, b * s.queries(), s.queries());
    }
    return ints(starts);
  }

  private static MemorySegment keyMask(AttentionShape s, Random random) {
    return ints(random.ints((long) s.batch() * s.keys(), 0, 3).toArray());
  }

  /** The first {@code from} keys of every batch row are hidden. */
  private static MemorySegment keyMaskFrom(AttentionShape s, int from) {
    int[] mask = new int[s.batch() * s.keys()];
    for (int i = 0; i < mask.length; i++) {
      mask[i] = i % s.keys() >= from ? 1 : 0;
    }
    return ints(mask);
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
