package dev.javelin.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TensorTest {
  @Test
  void holdsTheValuesThatWereWrittenDown() {
    float[] values = {1, 2, 3, 4, 5, 6};
    Tensor t = Tensor.of(values, 2, 3);
    values[0] = 9; // a copy
    assertThat(t.toFloats()).containsExactly(1, 2, 3, 4, 5, 6);
    assertThat(t.transpose(0, 1).toFloats()).containsExactly(1, 4, 2, 5, 3, 6);
    assertThat(t.slice(1, 1, 3).toFloats()).containsExactly(2, 3, 5, 6);
    assertThat(Tensor.of(new float[] {7}).shape()).isEqualTo(Shape.of());
    assertThat(Tensor.of(new float[0], 0, 4).toFloats()).isEmpty();
    assertThatThrownBy(() -> Tensor.of(new float[5], 2, 3))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("a tensor of shape [2, 3] has 6 elements, got 5 values");
  }

  @Test
  void takesPartInOperators() {
    try (Cpu cpu = Cpu.open(2);
        Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tensor y = ws.alloc(DType.BF16, Shape.of(2));
      Elementwise.add(y, Tensor.of(new float[] {1, 2}, 2), Tensor.of(new float[] {0.5f}, 1));
      assertThat(y.toFloats()).containsExactly(1.5f, 2.5f);
    }
  }

  @Test
  void everyTypeBecomesFloats() {
    try (Cpu cpu = Cpu.open(1);
        HostMemory m = cpu.allocate(64)) {
      ByteBuffer b = m.segment().asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
      b.putShort(0, (short) 0x3FC0).putShort(2, (short) 0xFF80);
      assertThat(Tensor.of(m, 0, DType.BF16, Shape.of(2)).toFloats())
          .containsExactly(1.5f, Float.NEGATIVE_INFINITY);
      b.putShort(0, Float.floatToFloat16(-0.25f)).putShort(2, (short) 1);
      assertThat(Tensor.of(m, 0, DType.F16, Shape.of(2)).toFloats())
          .containsExactly(-0.25f, 0x1p-24f);
      b.putInt(0, -7);
      assertThat(Tensor.of(m, 0, DType.I32, Shape.of(1)).toFloats()).containsExactly(-7);
      b.putLong(0, 1L << 40);
      assertThat(Tensor.of(m, 0, DType.I64, Shape.of(1)).toFloats()).containsExactly(0x1p40f);
      b.put(0, (byte) 200);
      assertThat(Tensor.of(m, 0, DType.U8, Shape.of(1)).toFloats()).containsExactly(200);
      assertThat(Tensor.of(m, 0, DType.U8, Shape.of(1)).toString()).endsWith(" [200]");
    }
  }

  @Test
  void printsTypeShapeDeviceAndBothEndsOfItsValues() {
    assertThat(Tensor.of(new float[] {1, -2.5f, Float.NaN}, 3).toString())
        .matches("F32\\[3] on cpu.* \\[1\\.0, -2\\.5, NaN]");
    float[] many = new float[100];
    IntStream.range(0, 100).forEach(i -> many[i] = i);
    assertThat(Tensor.of(many, 10, 10).transpose(0, 1).toString())
        .contains("[[0.0, 10.0, 20.0, 30.0, …, 60.0, 70.0, 80.0, 90.0], ")
        .endsWith("99.0]]");
    assertThat(Tensor.of(many, 100).toString())
        .endsWith("7.0, …, 92.0, 93.0, 94.0, 95.0, 96.0, 97.0, 98.0, 99.0]");
    assertThat(Tensor.of(new float[] {4}).toString()).endsWith(" 4.0");
    assertThat(Tensor.of(new float[0], 0).toString()).endsWith(" []");
    assertThat(Tensor.of(new float[1 << 20], 64, 32, 16, 32).toString()).hasSizeLessThan(1000);
  }

  @Test
  @RequiresCuda
  void printsWhatLiesOnAGpu() {
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace ws = Workspace.on(cuda, 1 << 16)) {
      Tensor t = ws.alloc(DType.F32, Shape.of(2, 2));
      t.copyFrom(Tensor.of(new float[] {1, 2, 3, 4}, 2, 2));
      assertThat(t.toString()).startsWith("F32[2, 2] on ").endsWith(" [[1.0, 2.0], [3.0, 4.0]]");
      assertThat(t.transpose(0, 1).toFloats()).containsExactly(1, 3, 2, 4);
    }
  }

  @Test
  void oneThatWasReleasedSaysWhoseItWasAndWhatToDo() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 16)) {
      ws.alloc(DType.U8, Shape.of(1));
      Tensor t = ws.alloc(DType.F32, Shape.of(2, 3), "rms_norm");
      ws.reset();
      assertThatThrownBy(t::segment)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageStartingWith(
              "F32[2, 3] used after its memory was released (it belonged to rms_norm, request 1 of its step)")
          .hasMessageContainingAll("Tape.leaf", "Tensor.of", "docs/memory.md", "-Djavelin.debug");
      assertThat(t.toString())
          .startsWith("F32[2, 3] on cpu")
          .contains("not readable: F32[2, 3] used");
      MemorySegment four = MemorySegment.ofArray(new float[6]);
      assertThatThrownBy(() -> t.fromHost(four)).isInstanceOf(IllegalStateException.class);
      assertThat(four.getAtIndex(ValueLayout.JAVA_FLOAT, 0)).isZero();
    }
  }
}
