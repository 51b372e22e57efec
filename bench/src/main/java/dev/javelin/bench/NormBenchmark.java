package dev.javelin.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/**
 * RMSNorm and LayerNorm of [rows, columns], with and without the addition to the residual stream.
 */
public class NormBenchmark extends Timed {
  @Param({
    "rmsnorm",
    "rmsnorm-backward",
    "add-rmsnorm",
    "add-rmsnorm-backward",
    "layernorm",
    "layernorm-backward",
    "add-layernorm",
    "add-layernorm-backward"
  })
  public String op;

  @Param({Shapes.NARROW, Shapes.MIDDLE, Shapes.WIDE})
  public String shape;

  @Setup
  public void allocate(Operands operands) {
    time(OpCase.on(operands, op + "-" + shape));
  }
}
