// The code of 03-mlp.md: ./javelin shell docs/learn/03-mlp.jsh
import module java.base;
import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.*;
import dev.javelin.nn.Linear;
import dev.javelin.tensor.*;
import dev.javelin.tensor.op.*;
import dev.javelin.tensor.step.*;

void check(boolean claim) {
  if (!claim) throw new AssertionError("not as the page says");
}
boolean near(double a, double b) {
  return Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
}

float relu(float a) {
  return Math.max(0, a);
}
float xor(float x0, float x1) {
  float h0 = relu(x0 + x1);     // how many of them are 1
  float h1 = relu(x0 + x1 - 1); // 1 only if both are
  return h0 - 2 * h1;
}
IO.println(xor(0, 0) + " " + xor(0, 1) + " " + xor(1, 0) + " " + xor(1, 1));
check(xor(0, 0) == 0 && xor(0, 1) == 1 && xor(1, 0) == 1 && xor(1, 1) == 0);

float[][] linear(float[][] x, float[][] w, float[] b) {
  float[][] y = new float[x.length][w.length];
  for (int r = 0; r < x.length; r++) {
    for (int n = 0; n < w.length; n++) {
      y[r][n] = b[n];
      for (int k = 0; k < w[n].length; k++) {
        y[r][n] += x[r][k] * w[n][k];
      }
    }
  }
  return y;
}
float[][] x = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
float[][] w = {{1, 1}, {1, 1}};
float[] b = {0, -1};
float[][] z = linear(x, w, b); // the hidden numbers before relu
IO.println(Arrays.deepToString(z));

float[][] dz = {{0, 0}, {1, 0}, {2, 0}, {0, 4}}; // some numbers
float[][] dw = new float[2][2];
float[][] dx = new float[4][2];
float[] db = new float[2];
for (int r = 0; r < 4; r++) {
  for (int n = 0; n < 2; n++) {
    for (int k = 0; k < 2; k++) {
      dw[n][k] += x[r][k] * dz[r][n];
      dx[r][k] += w[n][k] * dz[r][n];
    }
    db[n] += dz[r][n];
  }
}
IO.println("dw " + Arrays.deepToString(dw));
IO.println("dx " + Arrays.deepToString(dx));
IO.println("db " + Arrays.toString(db));

Tensor flat(float[][] rows) {
  float[] all = new float[rows.length * rows[0].length];
  for (int i = 0; i < all.length; i++) {
    all[i] = rows[i / rows[0].length][i % rows[0].length];
  }
  return Tensor.of(all, rows.length, rows[0].length);
}
Tensor ourDw = Tensor.of(new float[4], 2, 2);
Tensor ourDx = Tensor.of(new float[8], 4, 2);
Tensor ourDb = Tensor.of(new float[2], 2);
dev.javelin.tensor.op.Linear.backward(
    new Grad(ourDx, false), new Grad(ourDw, false), new Grad(ourDb, false), flat(dz), flat(x), flat(w));
check(Arrays.equals(ourDw.toFloats(), flat(dw).toFloats()));
check(Arrays.equals(ourDx.toFloats(), flat(dx).toFloats()));
check(Arrays.equals(ourDb.toFloats(), db));

record Network(Linear first, Linear second) {
  static Network declare(Declare d) { // out, in, with a bias
    return new Network(Linear.declare(d, 8, 2, true), Linear.declare(d, 1, 8, true));
  }
  Var forward(Var x) {
    return second.forward(Functional.activate(first.forward(x), Activation.RELU));
  }
}

Cpu cpu = Cpu.open(1);
Workspace workspace = Workspace.on(cpu);
ParameterBuffer<Network> parameters =
    ParameterBuffer.allocate(cpu, Precision.FP32, Grouping.decayMatrices(0), Network::declare);
parameters.named().forEach((name, p) -> IO.println(name + " " + p.shape()));

Random random = new Random(1);
for (Parameter p : parameters.named().values()) {
  float[] start = new float[(int) p.value().elements()];
  if (p.name().endsWith("weight")) {
    for (int i = 0; i < start.length; i++) {
      start[i] = 0.7f * (float) random.nextGaussian();
    }
  }
  p.value().fromHost(java.lang.foreign.MemorySegment.ofArray(start));
}

Tensor inputs = flat(x);
Tensor answers = Tensor.of(new float[] {0, 1, 1, 0}, 4, 1);
Tensor weights = parameters.weights();
Tensor gradients = parameters.gradients();
double last = 0;
for (int step = 0; step <= 400; step++) {
  workspace.reset();
  Tape tape = new Tape(workspace);
  Var y = parameters.model().forward(tape.constant(inputs));
  Var mistake = Algebra.subtract(y, tape.constant(answers));
  Var loss = Algebra.mean(Algebra.multiply(mistake, mistake), false);
  tape.backward(loss);
  last = loss.value().toFloats()[0];
  if (step % 100 == 0) {
    IO.println("step " + step + "  loss " + Math.round(last * 1e3) / 1e3);
  }
  Elementwise.scale(gradients, gradients, 0.1f); // the learning rate
  Elementwise.subtract(weights, weights, gradients);
  Fill.zero(gradients); // parameters' gradients add up: clear them for the next step
}
check(last < 1e-3);

workspace.reset();
Var learned = parameters.model().forward(Tape.inference(workspace).constant(inputs));
for (float answer : learned.value().toFloats()) {
  IO.print(Math.round(answer * 10) / 10.0 + " ");
}
IO.println();

check(xor(0.5f, 0.5f) == 1);

check(100 * 2048 * 512 == 104_857_600 && 2048 * 512 == 1_048_576);

double best = Double.MAX_VALUE; // the smallest loss of y = x₀·w₀ + x₁·w₁ + b on a grid
for (double w0 = -2; w0 <= 2; w0 += 0.25) {
  for (double w1 = -2; w1 <= 2; w1 += 0.25) {
    for (double bias = -2; bias <= 2; bias += 0.25) {
      double sum = Math.pow(bias, 2) + Math.pow(w1 + bias - 1, 2) + Math.pow(w0 + bias - 1, 2);
      best = Math.min(best, (sum + Math.pow(w0 + w1 + bias, 2)) / 4);
    }
  }
}
check(near(best, 0.25));

parameters.close();
workspace.close();
cpu.close();
