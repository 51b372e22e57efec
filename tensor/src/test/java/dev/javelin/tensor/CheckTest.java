package dev.javelin.tensor;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.step.Workspace;
import org.junit.jupiter.api.Test;

class CheckTest {

  @Test
  void aMessageNamesOperatorArgumentExpectedAndGot() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tensor x = ws.alloc(DType.F32, Shape.of(8, 24));
      Tensor y = ws.alloc(DType.F32, Shape.of(8, 24));
      Tensor rstd = ws.alloc(DType.F32, Shape.of(8));
      Tensor w = ws.alloc(DType.F32, Shape.of(12));
      assertThatThrownBy(() -> RmsNorm.forward(y, rstd, x, w, 1e-5f))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("rmsNorm: w must be [24], got [12]");
      assertThatThrownBy(() -> RmsNorm.forward(y, rstd, x.transpose(0, 1), w, 1e-5f))
          .hasMessageStartingWith("rmsNorm: y must have the shape of x [24, 8], got [8, 24]");
      assertThatThrownBy(
              () -> RmsNorm.forward(y, rstd, x, ws.alloc(DType.BF16, Shape.of(24)), 1e-5f))
          .hasMessage("rmsNorm: w must be F32, got BF16");
      Tensor wide = ws.alloc(DType.F32, Shape.of(24, 8)).transpose(0, 1);
      assertThatThrownBy(
              () -> RmsNorm.forward(y, rstd, wide, ws.alloc(DType.F32, Shape.of(24)), 1e-5f))
          .hasMessageContaining("call contiguous()");
    }
  }

  @Test
  void aParameterTakesGradientsInF32Only() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tensor value = ws.alloc(DType.BF16, Shape.of(3));
      Group group = new Group("all", 1, 0, false);
      assertThatThrownBy(() -> new Parameter("w", value, ws.alloc(DType.BF16, Shape.of(3)), group))
          .hasMessage("gradient of w must be F32[3], got BF16[3]");
    }
  }
}
