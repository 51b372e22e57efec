package dev.javelin.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/**
 * Causal attention over [B, T, H, D]. Forward does 2·B·H·T²·D FLOPs, backward two and a half times
 * as many.
 */
public class AttentionBenchmark extends Timed {
  @Param({"attention", "attention-backward"})
  public String op;

  @Param({"12x64x4x32", "16x256x6x64", "2x1024x12x64", "1x4096x1x64"})
  public String shape;

  @Setup
  public void allocate(Operands operands) {
    time(OpCase.on(operands, op + "-" + shape));
  }
}
