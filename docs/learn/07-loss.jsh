// The code of 07-loss.md: ./javelin shell docs/learn/07-loss.jsh

import module java.base;
import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.nn.*;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.*;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.Workspace;

void say(String form, Object... values) {
  System.out.println(String.format(Locale.ROOT, form, values));
}

void check(boolean holds, String claim) {
  if (!holds) throw new AssertionError("not true: " + claim);
}

boolean near(double a, double b, double within) {
  return Math.abs(a - b) <= within;
}

double[] softmax(double[] z) {
  double max = Arrays.stream(z).max().getAsDouble();
  double[] p = Arrays.stream(z).map(x -> Math.exp(x - max)).toArray();
  double sum = Arrays.stream(p).sum();
  return Arrays.stream(p).map(e -> e / sum).toArray();
}

double[] z = {Math.log(6), Math.log(3), Math.log(1)};
double[] p = softmax(z);
say("logits        %.4f  %.4f  %.4f", z[0], z[1], z[2]);
say("probabilities %.4f  %.4f  %.4f", p[0], p[1], p[2]);
check(near(p[0], 0.6, 1e-12) && near(p[1], 0.3, 1e-12) && near(p[2], 0.1, 1e-12), "0.6, 0.3, 0.1");

double[] shifted = softmax(new double[] {z[0] + 1000, z[1] + 1000, z[2] + 1000});
say("all logits + 1000: %.4f  %.4f  %.4f", shifted[0], shifted[1], shifted[2]);
say("e^1000 alone: %s", Math.exp(1000));
check(near(shifted[1], 0.3, 1e-12), "a shift changes nothing");

double crossEntropy(double[] z, int target) {
  return -Math.log(softmax(z)[target]);
}

for (int target = 0; target < 3; target++) {
  say("target %d: loss %.4f", target, crossEntropy(z, target));
}
check(near(crossEntropy(z, 1), 1.2040, 5e-5), "-ln 0.3 = 1.2040");

double[] gradient(double[] z, int target) {
  double[] g = softmax(z);
  g[target] -= 1;
  return g;
}

double[] pushed(double[] z, int target) {
  double h = 1e-6;
  double[] slope = new double[z.length];
  for (int i = 0; i < z.length; i++) {
    double[] up = z.clone();
    double[] down = z.clone();
    up[i] += h;
    down[i] -= h;
    slope[i] = (crossEntropy(up, target) - crossEntropy(down, target)) / (2 * h);
  }
  return slope;
}

double[] g = gradient(z, 1);
double[] s = pushed(z, 1);
say("p − y  %+.4f  %+.4f  %+.4f", g[0], g[1], g[2]);
say("pushed %+.4f  %+.4f  %+.4f", s[0], s[1], s[2]);
for (int i = 0; i < 3; i++) check(near(g[i], s[i], 1e-8), "p − y is the slope");
check(near(Arrays.stream(g).sum(), 0, 1e-12), "the gradient sums to 0");

Cpu cpu = Cpu.open(2);
Workspace workspace = Workspace.on(cpu);

Tensor ints(int[] values, int... shape) {
  Tensor t = workspace.alloc(DType.I32, Shape.of(shape));
  t.fromHost(MemorySegment.ofArray(values));
  return t;
}

float[] row = {(float) z[0], (float) z[1], (float) z[2]};
Tensor logits = Tensor.of(new float[] {row[0], row[1], row[2], row[0], row[1], row[2]}, 2, 3);
Tensor slopes = Tensor.of(new float[6], 2, 3);
Tensor targets = ints(new int[] {1, 0}, 2);
Tape tape = new Tape(workspace);
Var losses = Losses.crossEntropy(tape.leaf(logits, new Grad(slopes, false)), targets, LossOptions.PLAIN);
Var mean = Losses.meanLoss(losses, targets, LossOptions.PLAIN);
float[] each = losses.value().toFloats(); // before backward, which releases them
say("losses %.4f  %.4f, mean %.4f", each[0], each[1], mean.value().toFloats()[0]);
tape.backward(mean);
float[] got = slopes.toFloats();
say("gradient, row 0: %+.4f  %+.4f  %+.4f", got[0], got[1], got[2]);
say("gradient, row 1: %+.4f  %+.4f  %+.4f", got[3], got[4], got[5]);

int[] target = {1, 0};
for (int r = 0; r < 2; r++) {
  check(near(each[r], crossEntropy(z, target[r]), 1e-6), "the same loss");
  for (int i = 0; i < 3; i++) {
    check(near(got[3 * r + i], gradient(z, target[r])[i] / 2, 1e-6), "(p − y)/N");
  }
}
workspace.reset();

int vocabulary = 64;
double untrained;
try (var buffer = Transformer.allocate(
    cpu, Llama.config(vocabulary, 2, 2, 2, 32, 64, 32), Precision.FP32, Grouping.frozen())) {
  Init.normal(buffer, 1);
  Random random = new Random(1);
  int[] text = random.ints(33, 0, vocabulary).toArray();
  Tensor read = ints(Arrays.copyOf(text, 32), 1, 32);
  Tensor next = ints(Arrays.copyOfRange(text, 1, 33), 1, 32);
  Var guess = buffer.model().forward(Tape.inference(workspace), read);
  Var lost = Losses.crossEntropy(guess, next, LossOptions.PLAIN);
  untrained = Losses.meanLoss(lost, next, LossOptions.PLAIN).value().toFloats()[0];
}
say("loss of an untrained model: %.2f", untrained);
say("ln 64:                      %.2f", Math.log(vocabulary));
check(near(untrained, Math.log(vocabulary), 0.05), "an untrained model has a loss of ln V");

double loss = 2.0794;
double tokens = 1000;
double bytes = 3000;
say("perplexity     %.2f", Math.exp(loss));
say("bits per token %.2f", loss / Math.log(2));
say("bits per byte  %.2f", loss / Math.log(2) * tokens / bytes);
check(near(Math.exp(loss), 8, 1e-3), "a perplexity of 8");
check(near(loss / Math.log(2), 3, 1e-3), "8 = 2³");

double[] even = {0, 0, 0, 0};
say("loss %.4f, gradient %s", crossEntropy(even, 2), Arrays.toString(gradient(even, 2)));
check(near(crossEntropy(even, 2), Math.log(4), 1e-12), "ln 4");

double[] sure = {20, 0, 0};
say("right %.1e, wrong %.1f", crossEntropy(sure, 0), crossEntropy(sure, 1));

double nats = 1.59 * Math.log(2); // of a byte
say("loss for a token of 3 bytes: %.2f, perplexity %.1f", 3 * nats, Math.exp(3 * nats));
check(near(3 * nats, 3.31, 0.005), "3 bytes of 1.59 bits");

workspace.close();
cpu.close();
