package dev.javelin.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;

/**
 * Matrix products: squares, and the products of a training step of the models 128, 384 and 768
 * wide. 2·M·N·K FLOPs each.
 */
public class MatmulBenchmark extends Timed {
  @Param({
    "512x512x512-nn",
    "1024x1024x1024-nn",
    "2048x2048x2048-nn",
    "768x384x128-nt",
    "768x128x384-nn",
    "384x128x768-tn",
    "768x65x128-nt",
    "4096x1536x384-nt",
    "4096x384x1536-nn",
    "1536x384x4096-tn",
    "2048x3072x768-nt",
    "2048x768x3072-nn",
    "3072x768x2048-tn"
  })
  public String shape;

  @Setup
  public void allocate(Operands operands) {
    time(MatmulShape.parse(shape).on(operands));
  }
}
