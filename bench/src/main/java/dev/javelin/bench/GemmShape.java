package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.GemmCpu;
import dev.javelin.tensor.Tensor;

/**
 * One matrix product, written {@code MxNxK-layout}: {@code nn} is A · B, {@code nt} is A · Bᵀ
 * (forward of a linear layer), {@code tn} is C += Aᵀ · B (its weight's gradient).
 */
record GemmShape(int m, int n, int k, boolean transA, boolean transB) {

  static GemmShape parse(String name) {
    String[] part = name.split("[x-]");
    return new GemmShape(
        Integer.parseInt(part[0]),
        Integer.parseInt(part[1]),
        Integer.parseInt(part[2]),
        part[3].charAt(0) == 't',
        part[3].charAt(1) == 't');
  }

  Runnable on(Operands operands) {
    Cpu cpu = operands.cpu();
    Tensor a = transA ? operands.random(k, m) : operands.random(m, k);
    Tensor b = transB ? operands.random(n, k) : operands.random(k, n);
    Tensor c = operands.random(m, n);
    return () ->
        GemmCpu.gemm(
            cpu,
            c.segment(),
            DType.F32,
            n,
            a.segment(),
            DType.F32,
            a.last(),
            transA,
            b.segment(),
            DType.F32,
            b.last(),
            transB,
            m,
            n,
            k,
            transA);
  }
}
