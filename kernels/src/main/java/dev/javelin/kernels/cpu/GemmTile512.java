package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** 12 x 32 tile of 512-bit vectors. Written by GemmTileSource. */
final class GemmTile512 extends GemmTile {
  private static final VectorSpecies<Float> S = FloatVector.SPECIES_512;
  private static final Class<? extends FloatVector> V = Lanes.type(S);
  private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
  private static final ValueLayout.OfFloat F = Ram.FLOAT;
  private static final MemorySegment RAM = Ram.ALL;

  GemmTile512() {
    super(12, 32);
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    MemorySegment a = RAM.asSlice(aPanel, 48L * kc);
    MemorySegment b = RAM.asSlice(bPanel, 128L * kc);
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
    FloatVector c8x0 = FloatVector.zero(S);
    FloatVector c8x1 = FloatVector.zero(S);
    FloatVector c9x0 = FloatVector.zero(S);
    FloatVector c9x1 = FloatVector.zero(S);
    FloatVector c10x0 = FloatVector.zero(S);
    FloatVector c10x1 = FloatVector.zero(S);
    FloatVector c11x0 = FloatVector.zero(S);
    FloatVector c11x1 = FloatVector.zero(S);
    for (int k = 0; k < kc; k++) {
      int ak = k * 48;
      int bk = k * 128;
      FloatVector b0 = FloatVector.fromMemorySegment(S, b, bk, LE);
      FloatVector b1 = FloatVector.fromMemorySegment(S, b, bk + 64, LE);
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
      FloatVector a8 = FloatVector.broadcast(S, a.get(F, ak + 32));
      c8x0 = a8.fma(b0, c8x0);
      c8x1 = a8.fma(b1, c8x1);
      FloatVector a9 = FloatVector.broadcast(S, a.get(F, ak + 36));
      c9x0 = a9.fma(b0, c9x0);
      c9x1 = a9.fma(b1, c9x1);
      FloatVector a10 = FloatVector.broadcast(S, a.get(F, ak + 40));
      c10x0 = a10.fma(b0, c10x0);
      c10x1 = a10.fma(b1, c10x1);
      FloatVector a11 = FloatVector.broadcast(S, a.get(F, ak + 44));
      c11x0 = a11.fma(b0, c11x0);
      c11x1 = a11.fma(b1, c11x1);
    }
    long r0 = c;
    long r1 = r0 + rowBytes;
    long r2 = r1 + rowBytes;
    long r3 = r2 + rowBytes;
    long r4 = r3 + rowBytes;
    long r5 = r4 + rowBytes;
    long r6 = r5 + rowBytes;
    long r7 = r6 + rowBytes;
    long r8 = r7 + rowBytes;
    long r9 = r8 + rowBytes;
    long r10 = r9 + rowBytes;
    long r11 = r10 + rowBytes;
    V.cast(c0x0).intoMemorySegment(RAM, r0, LE);
    V.cast(c0x1).intoMemorySegment(RAM, r0 + 64, LE);
    V.cast(c1x0).intoMemorySegment(RAM, r1, LE);
    V.cast(c1x1).intoMemorySegment(RAM, r1 + 64, LE);
    V.cast(c2x0).intoMemorySegment(RAM, r2, LE);
    V.cast(c2x1).intoMemorySegment(RAM, r2 + 64, LE);
    V.cast(c3x0).intoMemorySegment(RAM, r3, LE);
    V.cast(c3x1).intoMemorySegment(RAM, r3 + 64, LE);
    V.cast(c4x0).intoMemorySegment(RAM, r4, LE);
    V.cast(c4x1).intoMemorySegment(RAM, r4 + 64, LE);
    V.cast(c5x0).intoMemorySegment(RAM, r5, LE);
    V.cast(c5x1).intoMemorySegment(RAM, r5 + 64, LE);
    V.cast(c6x0).intoMemorySegment(RAM, r6, LE);
    V.cast(c6x1).intoMemorySegment(RAM, r6 + 64, LE);
    V.cast(c7x0).intoMemorySegment(RAM, r7, LE);
    V.cast(c7x1).intoMemorySegment(RAM, r7 + 64, LE);
    V.cast(c8x0).intoMemorySegment(RAM, r8, LE);
    V.cast(c8x1).intoMemorySegment(RAM, r8 + 64, LE);
    V.cast(c9x0).intoMemorySegment(RAM, r9, LE);
    V.cast(c9x1).intoMemorySegment(RAM, r9 + 64, LE);
    V.cast(c10x0).intoMemorySegment(RAM, r10, LE);
    V.cast(c10x1).intoMemorySegment(RAM, r10 + 64, LE);
    V.cast(c11x0).intoMemorySegment(RAM, r11, LE);
    V.cast(c11x1).intoMemorySegment(RAM, r11 + 64, LE);
  }
}
