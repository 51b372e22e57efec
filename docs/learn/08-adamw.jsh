// The code of 08-adamw.md: ./javelin shell docs/learn/08-adamw.jsh

import module java.base;
import dev.javelin.device.Cpu;
import dev.javelin.nn.*;
import dev.javelin.tensor.*;
import dev.javelin.tensor.step.*;
import dev.javelin.train.optim.*;

void say(String form, Object... values) {
  System.out.println(String.format(Locale.ROOT, form, values));
}

void check(boolean holds, String claim) {
  if (!holds) throw new AssertionError("not true: " + claim);
}

boolean near(double a, double b, double within) {
  return Math.abs(a - b) <= within;
}

double beta1 = 0.5;
double beta2 = 0.75;
double eps = 1e-8;
double rate = 0.1;
double decay = 0.5;

double[][] gradients = {{4, -0.01}, {4, 0.01}, {0, 0.01}};
double[] w = {1, -2};
double[] m = {0, 0};
double[] v = {0, 0};

void step(int t, double[] g) {
  for (int i = 0; i < w.length; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    double mHat = m[i] / (1 - Math.pow(beta1, t));
    double vHat = v[i] / (1 - Math.pow(beta2, t));
    w[i] = (1 - rate * decay) * w[i] - rate * mHat / (Math.sqrt(vHat) + eps);
  }
}

double[][] byLoop = new double[3][];
for (int t = 1; t <= 3; t++) {
  step(t, gradients[t - 1]);
  byLoop[t - 1] = w.clone();
  say("step %d   m %7.4f %9.6f   v %7.4f %10.8f   w %.6f %.6f", t, m[0], m[1], v[0], v[1], w[0], w[1]);
}
check(near(byLoop[0][0], 0.85, 1e-8) && near(byLoop[0][1], -1.8, 1e-6), "step 1: 0.85, -1.8");
check(near(byLoop[1][0], 0.7075, 1e-8) && near(byLoop[1][1], -1.743333, 1e-6), "step 2: 0.7075, -1.743333");
check(near(byLoop[2][0], 0.615238, 1e-6) && near(byLoop[2][1], -1.727595, 1e-6), "step 3: 0.615238, -1.727595");

say("first step, corrected:     %.3f", rate * 1.0);
say("first step, not corrected: %.3f", rate * (1 - 0.9) / Math.sqrt(1 - 0.999));
check(near((1 - 0.9) / Math.sqrt(1 - 0.999), 3.162, 1e-3), "3.16 times too far");

double coupled(double weight, double g) { // Adam's first step, the decay added to the gradient
  double all = g + decay * weight;
  return weight - rate * all / (Math.abs(all) + eps);
}

double decoupled(double weight, double g) { // AdamW's
  return (1 - rate * decay) * weight - rate * g / (Math.abs(g) + eps);
}

say("w = 1, g = 4: in the gradient %.3f, beside it %.3f", coupled(1, 4), decoupled(1, 4));
say("w = 9, g = 4: in the gradient %.3f, beside it %.3f", coupled(9, 4), decoupled(9, 4));
check(near(coupled(1, 4), 0.9, 1e-6) && near(coupled(9, 4), 8.9, 1e-6), "both move by 0.1");
check(near(decoupled(9, 4), 8.45, 1e-6), "a large weight shrinks more");

record Two(Parameter weight) {}

Cpu cpu = Cpu.open(2);
var model = ParameterBuffer.allocate(
    cpu, Precision.FP32, Grouping.decayAll(0.5f), d -> new Two(d.parameter(2)));
Tensor weight = model.model().weight().value();
Tensor gradient = model.model().weight().grad();
weight.fromHost(MemorySegment.ofArray(new float[] {1, -2}));

AdamW optimizer = new AdamW(model, new AdamWConfig(0.5f, 0.75f, 1e-8f));
GradientClip clip = GradientClip.byNorm(Float.POSITIVE_INFINITY, LossScaling.NONE);
StepState state = StepState.on(cpu);

for (int t = 1; t <= 3; t++) {
  float[] g = {(float) gradients[t - 1][0], (float) gradients[t - 1][1]};
  gradient.fromHost(MemorySegment.ofArray(g)); // a backward pass would have written it
  state.begin(0, t - 1, 0.1f, 1);
  clip.run(state, model.gradients());          // is the gradient finite? how long is it?
  optimizer.step(state);
  float[] now = weight.toFloats();
  say("step %d   w %.6f %.6f   |g| %.4f", t, now[0], now[1], state.gradNorm());
  check(near(now[0], byLoop[t - 1][0], 1e-6) && near(now[1], byLoop[t - 1][1], 1e-6), "the same weights");
}
check(Arrays.equals(gradient.toFloats(), new float[2]), "the update has cleared the gradient");

gradient.fromHost(MemorySegment.ofArray(new float[] {3, 4}));
state.begin(0, 3, 0.1f, 1);
GradientClip.byNorm(1, LossScaling.NONE).run(state, model.gradients());
say("norm %.1f, factor %.1f", state.gradNorm(), state.clipFactor());
check(near(state.gradNorm(), 5, 1e-6) && near(state.clipFactor(), 0.2, 1e-6), "3, 4 becomes 0.6, 0.8");

double fourthM = 0.5 * 0.00625 + 0.5 * 0.01;
double fourthV = 0.75 * 5.78125e-5 + 0.25 * 1e-4;
double ratio = fourthM / (1 - Math.pow(0.5, 4)) / Math.sqrt(fourthV / (1 - Math.pow(0.75, 4)));
say("m̂/√v̂ = %.4f, w = %.4f", ratio, 0.95 * -1.727595 - 0.1 * ratio);

double a = 1;
for (int t = 0; t < 100; t++) a *= 1 - 0.001 * 0.1;
say("%.4f", a);

state.close();
optimizer.close();
model.close();
cpu.close();
