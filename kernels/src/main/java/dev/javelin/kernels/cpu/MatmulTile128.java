package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** 8 x 8 tile of 128-bit vectors. Written by MatmulTileSource. */
final class MatmulTile128 extends MatmulTile {
  private static final VectorSpecies<Float> S = FloatVector.SPECIES_128;
  private static final Class<? extends FloatVector> V = Lanes.type(S);
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat F = Ram.FLOAT;
  private static final MemorySegment RAM = Ram.ALL;

  MatmulTile128() {
    super(8, 8);
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    MemorySegment a = RAM.asSlice(aPanel, 32L * kc);
    MemorySegment b = RAM.asSlice(bPanel, 32L * kc);
    FloatVector c0x0 = FloatVector.zero(S);
    FloatVector c0x1 = FloatVector.zero(S);
    FloatVector c1x0 = FloatVector.zero(S);
    FloatVector c1x1 = FloatVector.zero(S);
    FloatVector c2x0 = FloatVector.zero(S);
    FloatVector c2x1 = FloatVector.zero(S);
    FloatVector c3x0 = FloatVector.zero(S);
    FloatVector c3x1 = FloatVector.zero(S);
    FloatVector c4x0 = FloatVector.zero(S);
    FloatVector c4x1 = FloatVector.zero(S);
    FloatVector c5x0 = FloatVector.zero(S);
    FloatVector c5x1 = FloatVector.zero(S);
    FloatVector c6x0 = FloatVector.zero(S);
    FloatVector c6x1 = FloatVector.zero(S);
    FloatVector c7x0 = FloatVector.zero(S);
    FloatVector c7x1 = FloatVector.zero(S);
    for (int k = 0; k < kc; k++) {
      int ak = k * 32;
      int bk = k * 32;
      FloatVector b0 = FloatVector.fromMemorySegment(S, b, bk, LE);
      FloatVector b1 = FloatVector.fromMemorySegment(S, b, bk + 16, LE);
      FloatVector a0 = FloatVector.broadcast(S, a.get(F, ak));
      c0x0 = a0.fma(b0, c0x0);
      c0x1 = a0.fma(b1, c0x1);
      FloatVector a1 = FloatVector.broadcast(S, a.get(F, ak + 4));
      c1x0 = a1.fma(b0, c1x0);
      c1x1 = a1.fma(b1, c1x1);
      FloatVector a2 = FloatVector.broadcast(S, a.get(F, ak + 8));
      c2x0 = a2.fma(b0, c2x0);
      c2x1 = a2.fma(b1, c2x1);
      FloatVector a3 = FloatVector.broadcast(S, a.get(F, ak + 12));
      c3x0 = a3.fma(b0, c3x0);
      c3x1 = a3.fma(b1, c3x1);
      FloatVector a4 = FloatVector.broadcast(S, a.get(F, ak + 16));
      c4x0 = a4.fma(b0, c4x0);
      c4x1 = a4.fma(b1, c4x1);
      FloatVector a5 = FloatVector.broadcast(S, a.get(F, ak + 20));
      c5x0 = a5.fma(b0, c5x0);
      c5x1 = a5.fma(b1, c5x1);
      FloatVector a6 = FloatVector.broadcast(S, a.get(F, ak + 24));
      c6x0 = a6.fma(b0, c6x0);
      c6x1 = a6.fma(b1, c6x1);
      FloatVector a7 = FloatVector.broadcast(S, a.get(F, ak + 28));
      c7x0 = a7.fma(b0, c7x0);
      c7x1 = a7.fma(b1, c7x1);
    }
    long r0 = c;
    long r1 = r0 + rowBytes;
    long r2 = r1 + rowBytes;
    long r3 = r2 + rowBytes;
    long r4 = r3 + rowBytes;
    long r5 = r4 + rowBytes;
    long r6 = r5 + rowBytes;
    long r7 = r6 + rowBytes;
    V.cast(c0x0).intoMemorySegment(RAM, r0, LE);
    V.cast(c0x1).intoMemorySegment(RAM, r0 + 16, LE);
    V.cast(c1x0).intoMemorySegment(RAM, r1, LE);
    V.cast(c1x1).intoMemorySegment(RAM, r1 + 16, LE);
    V.cast(c2x0).intoMemorySegment(RAM, r2, LE);
    V.cast(c2x1).intoMemorySegment(RAM, r2 + 16, LE);
    V.cast(c3x0).intoMemorySegment(RAM, r3, LE);
    V.cast(c3x1).intoMemorySegment(RAM, r3 + 16, LE);
    V.cast(c4x0).intoMemorySegment(RAM, r4, LE);
    V.cast(c4x1).intoMemorySegment(RAM, r4 + 16, LE);
    V.cast(c5x0).intoMemorySegment(RAM, r5, LE);
    V.cast(c5x1).intoMemorySegment(RAM, r5 + 16, LE);
    V.cast(c6x0).intoMemorySegment(RAM, r6, LE);
    V.cast(c6x1).intoMemorySegment(RAM, r6 + 16, LE);
    V.cast(c7x0).intoMemorySegment(RAM, r7, LE);
    V.cast(c7x1).intoMemorySegment(RAM, r7 + 16, LE);
  }
}
