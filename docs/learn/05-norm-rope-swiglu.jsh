// The code of 05-norm-rope-swiglu.md: ./javelin shell docs/learn/05-norm-rope-swiglu.jsh
import module java.base;
import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.kernels.*;
import dev.javelin.tensor.*;
import dev.javelin.tensor.op.*;
import dev.javelin.tensor.step.*;

void check(boolean claim) {
  if (!claim) throw new AssertionError("not as the page says");
}
boolean near(double a, double b) {
  return Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
}
double rounded(double a) {
  return Math.round(a * 1e3) / 1e3;
}

float[] rmsNorm(float[] x, float[] w, float eps) {
  float squares = 0;
  for (float a : x) {
    squares += a * a;
  }
  float scale = (float) (1 / Math.sqrt(squares / x.length + eps));
  float[] y = new float[x.length];
  for (int c = 0; c < x.length; c++) {
    y[c] = x[c] * scale * w[c];
  }
  return y;
}
float[] x = {3, 4, 0, 0};
float[] w = {1, 1, 1, 2};
float[] normed = rmsNorm(x, w, 0);
IO.println(rounded(normed[0]) + " " + rounded(normed[1]));

Cpu cpu = Cpu.open(1);
Workspace workspace = Workspace.on(cpu);
Tape tape = new Tape(workspace);
Var ours = Functional.rmsNorm(tape.constant(Tensor.of(x, 1, 4)), tape.constant(Tensor.of(w, 4)), 0);
for (int c = 0; c < 4; c++) {
  check(near(ours.value().toFloats()[c], normed[c]));
}

float[] turn(float[] x, double angle) {
  float cos = (float) Math.cos(angle);
  float sin = (float) Math.sin(angle);
  return new float[] {x[0] * cos - x[1] * sin, x[1] * cos + x[0] * sin};
}
float dot(float[] a, float[] b) {
  return a[0] * b[0] + a[1] * b[1];
}
float[] q = {1, 0};
float[] k = {1, 0};
IO.println(rounded(dot(turn(q, 5), turn(k, 3))) + " " + rounded(dot(turn(q, 9), turn(k, 7))));
check(near(dot(turn(q, 5), turn(k, 3)), Math.cos(2)));

float[] cos = new float[3];
float[] sin = new float[3];
for (int t = 0; t < 3; t++) {
  cos[t] = (float) Math.cos(t);
  sin[t] = (float) Math.sin(t);
}
Rotation rotation = Rotation.of(Tensor.of(cos, 3, 1), Tensor.of(sin, 3, 1));
Tensor heads = Tensor.of(new float[] {1, 2, 1, 2, 1, 2}, 1, 3, 1, 2); // [B, T, H, D]
float[] turned = Functional.rope(tape.constant(heads), rotation).value().toFloats();
for (int t = 0; t < 3; t++) {
  float[] loop = turn(new float[] {1, 2}, t);
  check(near(turned[2 * t], loop[0]) && near(turned[2 * t + 1], loop[1]));
}

float silu(float g) {
  return (float) (g / (1 + Math.exp(-g)));
}
float[] gate = {0, 1, 10, -10};
float[] up = {5, 5, 5, 5};
float[] loop = new float[4];
for (int i = 0; i < 4; i++) {
  loop[i] = silu(gate[i]) * up[i];
  IO.println(gate[i] + " lets pass " + rounded(loop[i]));
}
float[] glu =
    Functional.glu(tape.constant(Tensor.of(gate, 1, 4)), tape.constant(Tensor.of(up, 1, 4)), Activation.SILU)
        .value()
        .toFloats();
for (int i = 0; i < 4; i++) {
  check(near(glu[i], loop[i]));
}

try (Cuda cuda = Cuda.emulated(new BundledKernels());
    Workspace there = Workspace.on(cuda)) {
  Tensor g = there.alloc(DType.F32, Shape.of(1, 4));
  Tensor u = there.alloc(DType.F32, Shape.of(1, 4));
  Tensor y = there.alloc(DType.F32, Shape.of(1, 4));
  g.copyFrom(Tensor.of(gate, 1, 4));
  u.copyFrom(Tensor.of(up, 1, 4));
  Glu.forward(y, g, u, Activation.SILU);
  for (int i = 0; i < 4; i++) {
    check(Math.abs(y.toFloats()[i] - loop[i]) < 1e-4);
  }
  IO.println("the kernel agrees with the loop");
} catch (CudaException | IllegalStateException e) {
  IO.println("skipped: " + e.getMessage());
}

float[] ones = {1, 1, 1, 1};
check(near(rmsNorm(new float[] {7, 7, 7, 7}, ones, 0)[0], 1));

float[] far = turn(new float[] {3, 4}, 1234);
check(near(dot(far, far), 25));

check(silu(0) == 0 && Math.abs(silu(-20)) < 1e-6);

workspace.close();
cpu.close();
