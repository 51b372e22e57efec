package dev.javelin.nn;

import static dev.javelin.autograd.Tape.tracks;

import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.kernels.cpu.*;
import dev.javelin.tensor.*;
import java.lang.foreign.*;
import org.jspecify.annotations.Nullable;

final class Stub {
  static void mm(
      Tensor c, Tensor a, boolean ta, Tensor b, boolean tb, int m, int n, int k, boolean acc) {
    GemmCpu.gemm(
        (Cpu) c.device(),
        c.segment(),
        c.dtype(),
        c.rowStride(),
        a.segment(),
        a.dtype(),
        a.rowStride(),
        ta,
        b.segment(),
        b.dtype(),
        b.rowStride(),
        tb,
        m,
        n,
        k,
        acc);
  }

  static Var linear(Var x, Var w, @Nullable Var bias) {
    int m = x.value().rows(), k = x.value().last(), n = w.value().dim(0);
    int[] d = x.shape().toArray();
    d[d.length - 1] = n;
    Tensor y = x.tape().alloc(x.value().dtype(), Shape.of(d));
    mm(y, x.value(), false, w.value(), true, m, n, k, false);
    Var out =
        x.tape()
            .record(
                "linear",
                y,
                tracks(x, w),
                o -> {
                  Grad dx = x.grad();
                  if (dx != null)
                    mm(dx.tensor(), o.dy(), false, w.value(), false, m, k, n, dx.accumulate());
                  Grad dw = w.grad();
                  if (dw != null)
                    mm(dw.tensor(), o.dy(), true, x.value(), false, n, k, m, dw.accumulate());
                });
    return bias == null ? out : Algebra.add(out, bias);
  }

  static HeadView hv(Tensor t) {
    return new HeadView(t.segment(), t.dtype(), t.stride(0), t.stride(1), t.stride(2));
  }

  static @Nullable HeadGrad hg(@Nullable Grad g) {
    return g == null ? null : new HeadGrad(hv(g.tensor()), g.accumulate());
  }

  static Var attention(Var q, Var k, Var v, int window) {
    Tensor o = q.tape().alloc(q.value().dtype(), q.shape());
    int b = q.shape().dim(0),
        t = q.shape().dim(1),
        h = q.shape().dim(2),
        dd = q.shape().dim(3),
        tk = k.shape().dim(1),
        hk = k.shape().dim(2);
    Tensor lse = q.alloc(DType.F32, b, h, t);
    AttentionShape s = new AttentionShape(b, t, tk, h, hk, dd);
    AttentionRule r =
        new AttentionRule((float) (1 / Math.sqrt(dd)), true, window, 0, null, null, null, null);
    AttentionCpu.forward(
        (Cpu) o.device(), hv(o), lse.segment(), hv(q.value()), hv(k.value()), hv(v.value()), s, r);
    return q.tape()
        .record(
            "attention",
            o,
            tracks(q, k, v),
            out ->
                AttentionCpu.backward(
                    (Cpu) o.device(),
                    hg(q.grad()),
                    hg(k.grad()),
                    hg(v.grad()),
                    hv(out.dy()),
                    hv(o),
                    lse.segment(),
                    hv(q.value()),
                    hv(k.value()),
                    hv(v.value()),
                    s,
                    r));
  }

  static Var rope(Var x, RopeTable rt, int pos) {
    Tensor y = x.like();
    rot(y, x.value(), rt, pos, 1);
    return x.tape()
        .record(
            "rope",
            y,
            tracks(x),
            o -> {
              Grad g = x.grad();
              if (g == null) return;
              if (g.accumulate()) throw new IllegalStateException();
              rot(g.tensor(), o.dy(), rt, pos, -1);
            });
  }

  static void rot(Tensor y, Tensor x, RopeTable rt, int pos, int sign) {
    int b = x.dim(0), t = x.dim(1), h = x.dim(2), d = x.dim(3), p = d / 2;
    MemorySegment xs = x.segment(),
        ys = y.segment(),
        c = rt.cos().segment(),
        sn = rt.sin().segment();
    for (int i = 0; i < b; i++)
      for (int j = 0; j < t; j++)
        for (int k = 0; k < h; k++)
          for (int l = 0; l < p; l++) {
            long xo = i * x.stride(0) + j * x.stride(1) + k * x.stride(2) + l,
                yo = i * y.stride(0) + j * y.stride(1) + k * y.stride(2) + l;
            float co = c.getAtIndex(ValueLayout.JAVA_FLOAT, (long) (pos + j) * p + l),
                si = sign * sn.getAtIndex(ValueLayout.JAVA_FLOAT, (long) (pos + j) * p + l);
            float u = FloatBits.get(xs, x.dtype(), xo), w = FloatBits.get(xs, x.dtype(), xo + p);
            FloatBits.put(ys, y.dtype(), yo, u * co - w * si);
            FloatBits.put(ys, y.dtype(), yo + p, w * co + u * si);
          }
  }
}
