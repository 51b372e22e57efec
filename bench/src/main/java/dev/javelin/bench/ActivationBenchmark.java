package dev.javelin.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/** Element by element, and softmax, of [rows, columns]. */
public class ActivationBenchmark extends Timed {
  @Param({
    "gelu",
    "gelu-backward",
    "swiglu",
    "swiglu-backward",
    "softmax",
    "softmax-backward",
    "dropout",
    "copy"
  })
  public String op;

  @Param({Shapes.NARROW, Shapes.MIDDLE, Shapes.WIDE})
  public String shape;

  @Setup
  public void allocate(Operands operands) {
    time(OpCase.on(operands, op + "-" + shape));
  }
}
