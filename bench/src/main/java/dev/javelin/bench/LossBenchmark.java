package dev.javelin.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/** Cross-entropy of [rows, vocabulary]. */
public class LossBenchmark extends Timed {
  @Param({"cross-entropy", "cross-entropy-backward"})
  public String op;

  @Param({"768x65", "4096x65", "1024x1024", "256x50304"})
  public String shape;

  @Setup
  public void allocate(Operands operands) {
    time(OpCase.on(operands, op + "-" + shape));
  }
}
