package dev.javelin.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/** Embedding and the head with its loss: rows, columns, vocabulary. */
public class HeadBenchmark extends Timed {
  @Param({"embedding", "embedding-backward", "linear-cross-entropy"})
  public String op;

  @Param({"768x128x65", "4096x384x65", "1024x192x1024", "256x768x50304"})
  public String shape;

  @Setup
  public void allocate(Operands operands) {
    time(OpCase.on(operands, op + "-" + shape));
  }
}
