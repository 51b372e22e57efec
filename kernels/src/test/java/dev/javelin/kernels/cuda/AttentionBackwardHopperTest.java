package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.javelin.device.CudaGraph;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.cuda.AttentionHopperTest.Case;
import dev.javelin.kernels.cuda.AttentionHopperTest.Heads;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Attention's backward pass for compute capability 9.0 against plain loops in double. Memory
 * between heads and behind sequences is NaN in operands and 7 in results.
 */
class AttentionBackwardHopperTest {
  private static final float GAP = AttentionHopperTest.GAP;
  private static final String KERNELS = "attention_backward_hopper";

  private static final List<Case> CASES =
      List.of(
          new Case(BF16, 2, 130, 130, 2, 2, 64, true, 0, false, false),
          new Case(F16, 1, 200, 200, 2, 1, 64, false, 0, false, true),
          new Case(BF16, 1, 140, 270, 2, 2, 128, true, 0, false, true),
          new Case(F16, 1, 150, 150, 4, 2, 128, true, 40, false, false),
          new Case(BF16, 2, 130, 300, 1, 1, 64, true, 0, true, false),
          new Case(F16, 1, 270, 100, 2, 2, 128, false, 0, false, false),
          new Case(BF16, 1, 385, 385, 1, 1, 64, true, 129, true, true),
          new Case(BF16, 1, 140, 200, 1, 1, 96, true, 0, false, true),
          new Case(F16, 1, 70, 130, 2, 1, 40, true, 0, false, false));

  /** What a case's operands, o and lse are, and its gradients. */
  private record Pass(
      Heads q, Heads k, Heads v, Heads dy, Heads o, float[] lse, Heads dq, Heads dk, Heads dv) {
    float[] all() {
      int n = 0;
      float[][] parts = {dq.rows().values(), dk.rows().values(), dv.rows().values()};
      for (float[] part : parts) {
        n += part.length;
      }
      float[] all = new float[n];
      for (float[] part : parts) {
        n -= part.length;
        System.arraycopy(part, 0, all, n, part.length);
      }
      return all;
    }
  }

  private static final Map<Case, float[]> CONFIRMED = new HashMap<>();

  static Stream<TestMachine> machines() {
    return AttentionHopperTest.machines();
  }

  /** All machines give the bits of the first, which loops have confirmed. */
  @ParameterizedTest
  @MethodSource("machines")
  void everyTypeMaskAndLayoutMatchesPlainLoops(TestMachine machine) {
    try (Gpu gpu = AttentionHopperTest.open(machine)) {
      CASES.forEach(c -> check(gpu, c));
      assertThat(gpu.cuda().launches(KERNELS)).isEqualTo(2L * CASES.size());
    }
  }

  /** Whenever copies and products take effect, and in whatever order threads come. */
  @Test
  void noScheduleChangesItsBits() {
    Case c = new Case(BF16, 1, 200, 300, 2, 2, 64, true, 0, false, false);
    for (String async : new String[] {"late", "early", "1", "2", "3", "4"}) {
      try (Gpu gpu = Gpu.checked()) {
        Emulator.set("order", async.length() > 1 ? "reverse" : async);
        Emulator.set("async", async);
        check(gpu, c);
      }
    }
  }

  private static void check(Gpu gpu, Case c) {
    int[] starts = AttentionHopperTest.starts(c);
    Pass got = run(gpu, c, starts);
    got.dq.assertSpareIs(GAP, c + ", dq");
    got.dk.assertSpareIs(GAP, c + ", dk");
    got.dv.assertSpareIs(GAP, c + ", dv");
    float[] confirmed = CONFIRMED.get(c);
    if (confirmed != null) {
      assertThat(got.all()).as("%s", c).containsExactly(confirmed);
      return;
    }
    new Loops(c, starts, got).compare();
    CONFIRMED.put(c, got.all());
  }

  private static Pass run(Gpu gpu, Case c, int[] starts) {
    return new Setup(gpu, c, starts).run();
  }

  /** A case on the device. */
  private static final class Setup {
    private final Gpu gpu;
    private final Case c;
    private final CudaMask mask;
    private final Heads q;
    private final Heads k;
    private final Heads v;
    private final Heads dy;
    private final Heads likeQ;
    private final Heads likeK;
    private final List<CudaHeads> operands = new ArrayList<>(); // q, k, v, dy
    private final List<DeviceMemory> results = new ArrayList<>(); // o, dq, dk, dv
    private final DeviceMemory lse;

    Setup(Gpu gpu, Case c, int[] starts) {
      this.gpu = gpu;
      this.c = c;
      mask = c.mask(gpu.of(starts));
      q = Heads.random(c, c.queries(), c.heads(), Float.NaN, 1);
      k = Heads.random(c, c.keys(), c.keyHeads(), Float.NaN, 2);
      v = Heads.random(c, c.keys(), c.keyHeads(), Float.NaN, 3);
      dy = Heads.random(c, c.queries(), c.heads(), Float.NaN, 4);
      likeQ = Heads.random(c, c.queries(), c.heads(), GAP, 5);
      likeK = Heads.random(c, c.keys(), c.keyHeads(), GAP, 6);
      for (Heads h : List.of(q, k, v, dy)) {
        operands.add(h.on(h.rows().upload(gpu)));
      }
      for (Heads h : List.of(likeQ, likeQ, likeK, likeK)) {
        results.add(h.rows().upload(gpu));
      }
      lse = gpu.bytes(F32.bytes((long) c.batch() * c.heads() * c.queries()));
    }

    void launch() {
      CudaHeads o = likeQ.on(results.getFirst());
      CudaHeads qs = operands.get(0);
      CudaHeads ks = operands.get(1);
      CudaHeads vs = operands.get(2);
      AttentionCuda.forward(gpu.cuda(), o, lse, qs, ks, vs, mask, c.scale(), null);
      AttentionCuda.backward(
          gpu.cuda(),
          likeQ.on(results.get(1)),
          likeK.on(results.get(2)),
          likeK.on(results.get(3)),
          operands.get(3),
          o,
          lse,
          qs,
          ks,
          vs,
          mask,
          c.scale(),
          null);
    }

    Pass run() {
      launch();
      return got();
    }

    Pass got() {
      return new Pass(
          q,
          k,
          v,
          dy,
          likeQ.with(likeQ.rows().download(gpu, results.get(0))),
          gpu.floats(lse, c.batch() * c.heads() * c.queries()),
          likeQ.with(likeQ.rows().download(gpu, results.get(1))),
          likeK.with(likeK.rows().download(gpu, results.get(2))),
          likeK.with(likeK.rows().download(gpu, results.get(3))));
    }
  }

  @Test
  void aRecordedPassHasTheBitsOfOneThatIsNot() {
    try (Gpu gpu = AttentionHopperTest.open(machines().findFirst().orElseThrow())) {
      Case c = CASES.getFirst();
      int[] starts = AttentionHopperTest.starts(c);
      float[] eager = run(gpu, c, starts).all();
      Setup other = new Setup(gpu, c, starts);
      try (CudaGraph graph = CudaGraph.capture(gpu.cuda(), other::launch)) {
        assertThat(other.got().all()).isNotEqualTo(eager);
        graph.launch();
      }
      assertThat(other.got().all()).containsExactly(eager);
    }
  }

  /** The sums in double, with what each may be off by. */
  private static final class Loops {
    private final Case c;
    private final int[] starts;
    private final Pass pass;
    private final double unit; // of rounding
    private final double tiny; // what a weight below the type's normal range may be off by

    Loops(Case c, int[] starts, Pass pass) {
      this.c = c;
      this.starts = starts;
      this.pass = pass;
      unit = c.type() == BF16 ? 0x1p-8 : 0x1p-11;
      tiny = c.type() == F16 ? 0x1p-25 : 0;
    }

    void compare() {
      for (int b = 0; b < c.batch(); b++) {
        for (int h = 0; h < c.keyHeads(); h++) {
          compareGroup(b, h);
        }
      }
    }

    /** Key head {@code h}, and the query heads that share it. */
    private void compareGroup(int b, int h) {
      int dim = c.dim();
      double[][] dk = new double[c.keys()][dim];
      double[][] dv = new double[c.keys()][dim];
      double[][] dkOff = new double[c.keys()][dim];
      double[][] dvOff = new double[c.keys()][dim];
      double[] dq = new double[dim];
      double[] dqOff = new double[dim];
      for (int g = 0; g < c.group(); g++) {
        int head = h * c.group() + g;
        for (int t = 0; t < c.queries(); t++) {
          Arrays.fill(dq, 0);
          Arrays.fill(dqOff, 0);
          double delta = 0;
          double deltaSize = 0;
          for (int d = 0; d < dim; d++) {
            double x = (double) pass.dy.at(b, t, head, d) * pass.o.at(b, t, head, d);
            delta += x;
            deltaSize += Math.abs(x);
          }
          double lse = pass.lse[(b * c.heads() + head) * c.queries() + t];
          int[] seen = c.seen(starts, b, t);
          for (int j = seen[0]; j < seen[1]; j++) {
            double s = 0;
            double dp = 0;
            double size = deltaSize;
            for (int d = 0; d < dim; d++) {
              s += (double) pass.q.at(b, t, head, d) * pass.k.at(b, j, h, d);
              double x = (double) pass.dy.at(b, t, head, d) * pass.v.at(b, j, h, d);
              dp += x;
              size += Math.abs(x);
            }
            double p = Math.exp(s * c.scale() - lse);
            double ds = p * (dp - delta);
            double pOff = (unit + 3e-5) * p + tiny;
            double dsOff = (unit + 3e-5) * Math.abs(ds) + 3e-6 * p * size + tiny;
            for (int d = 0; d < dim; d++) {
              double q = pass.q.at(b, t, head, d);
              double k = pass.k.at(b, j, h, d);
              double dy = pass.dy.at(b, t, head, d);
              dq[d] += c.scale() * ds * k;
              dqOff[d] += c.scale() * dsOff * Math.abs(k);
              dk[j][d] += c.scale() * ds * q;
              dkOff[j][d] += c.scale() * dsOff * Math.abs(q);
              dv[j][d] += p * dy;
              dvOff[j][d] += pOff * Math.abs(dy);
            }
          }
          for (int d = 0; d < dim; d++) {
            close("dq", pass.dq.at(b, t, head, d), dq[d], dqOff[d], b, head, t, d);
          }
        }
      }
      for (int j = 0; j < c.keys(); j++) {
        for (int d = 0; d < dim; d++) {
          close("dk", pass.dk.at(b, j, h, d), dk[j][d], dkOff[j][d], b, h, j, d);
          close("dv", pass.dv.at(b, j, h, d), dv[j][d], dvOff[j][d], b, h, j, d);
        }
      }
    }

    private void close(
        String what, float got, double want, double off, int b, int h, int t, int d) {
      double bound = off + unit * Math.abs(want) * 1.01 + 0x1p-24;
      if (!(Math.abs(got - want) <= bound)) { // NaN included
        fail(
            "%s: %s[%d, %d, %d, %d] is %s, should be %s within %s"
                .formatted(c, what, b, h, t, d, got, want, bound));
      }
    }
  }

  /** dk and dv that are added to, too few keys, or a gradient that nobody wants: the older ones. */
  @Test
  void whatTheyDoNotTakeIsLeftToTheOlderKernels() {
    try (Gpu gpu = AttentionHopperTest.open(machines().findFirst().orElseThrow())) {
      CudaHeads good = heads(gpu, 65, false);
      CudaHeads added = heads(gpu, 65, true);
      assertThat(launches(gpu, good, good, good)).isEqualTo(2);
      assertThat(launches(gpu, added, good, good)).isEqualTo(2);
      assertThat(launches(gpu, null, good, good)).isZero();
      assertThat(launches(gpu, good, good, null)).isZero();
      assertThat(launches(gpu, good, added, good)).isZero();
      assertThat(launches(gpu, heads(gpu, 64, false), heads(gpu, 64, false), good)).isZero();
    }
  }

  private static CudaHeads heads(Gpu gpu, int time, boolean accumulate) {
    return new CudaHeads(gpu.bytes(1 << 14), BF16, 1, time, 1, 64, 0, 64, 64, accumulate);
  }

  /** Of the kernels for 9.0, in a backward pass with these gradients. */
  private static long launches(
      Gpu gpu, @Nullable CudaHeads dq, @Nullable CudaHeads dk, @Nullable CudaHeads dv) {
    int time = dk == null ? 65 : dk.time();
    CudaHeads h = heads(gpu, time, false);
    CudaMask mask = new CudaMask(true, 0, 0, null, null, null, null);
    long before = gpu.cuda().launches(KERNELS);
    AttentionCuda.backward(
        gpu.cuda(), dq, dk, dv, h, h, gpu.bytes(4L * time), h, h, h, mask, 1, null);
    return gpu.cuda().launches(KERNELS) - before;
  }
}
