// The code of 06-block.md: ./javelin shell docs/learn/06-block.jsh

import module java.base;
import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.*;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.*;
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

double[] norm(double[] x) { // RMS norm, its weights all 1
  double sum = 0;
  for (double v : x) sum += v * v;
  double rms = Math.sqrt(sum / x.length + 1e-6);
  double[] y = new double[x.length];
  for (int i = 0; i < x.length; i++) y[i] = x[i] / rms;
  return y;
}

double[] times(double[][] w, double[] x) { // y = W·x
  double[] y = new double[w.length];
  for (int o = 0; o < w.length; o++) {
    for (int i = 0; i < x.length; i++) y[o] += w[o][i] * x[i];
  }
  return y;
}

double[] plus(double[] a, double[] b) {
  double[] y = new double[a.length];
  for (int i = 0; i < a.length; i++) y[i] = a[i] + b[i];
  return y;
}

double silu(double x) {
  return x / (1 + Math.exp(-x));
}

record Weights(double[][] q, double[][] k, double[][] v, double[][] out, double[][] gate, double[][] up, double[][] down) {}

double[] head(double[][] q, double[][] k, double[][] v, int t, int from, int to) {
  double[] p = new double[t + 1]; // position t sees 0 … t
  double sum = 0;
  for (int s = 0; s <= t; s++) {
    double score = 0;
    for (int i = from; i < to; i++) score += q[t][i] * k[s][i];
    p[s] = Math.exp(score / Math.sqrt(to - from));
    sum += p[s];
  }
  double[] o = new double[to - from];
  for (int s = 0; s <= t; s++) {
    for (int i = from; i < to; i++) o[i - from] += p[s] / sum * v[s][i];
  }
  return o;
}

double[][] attention(double[][] n, Weights w, int heads) {
  int length = n.length;
  int width = n[0].length;
  double[][] q = new double[length][];
  double[][] k = new double[length][];
  double[][] v = new double[length][];
  double[][] y = new double[length][];
  for (int t = 0; t < length; t++) {
    q[t] = times(w.q(), n[t]);
    k[t] = times(w.k(), n[t]);
    v[t] = times(w.v(), n[t]);
  }
  int d = width / heads;
  for (int t = 0; t < length; t++) {
    double[] all = new double[width];
    for (int h = 0; h < heads; h++) {
      System.arraycopy(head(q, k, v, t, h * d, (h + 1) * d), 0, all, h * d, d);
    }
    y[t] = times(w.out(), all);
  }
  return y;
}

double[] mlp(double[] n, Weights w) {
  double[] gate = times(w.gate(), n);
  double[] up = times(w.up(), n);
  double[] h = new double[gate.length];
  for (int i = 0; i < h.length; i++) h[i] = silu(gate[i]) * up[i];
  return times(w.down(), h);
}

double[][] block(double[][] x, Weights w, int heads) {
  int length = x.length;
  double[][] n = new double[length][];
  for (int t = 0; t < length; t++) n[t] = norm(x[t]);
  double[][] a = attention(n, w, heads);
  double[][] y = new double[length][];
  for (int t = 0; t < length; t++) {
    double[] between = plus(x[t], a[t]);             // first addition
    y[t] = plus(between, mlp(norm(between), w));     // second addition
  }
  return y;
}

double[][] same = {{1, 0}, {0, 1}}; // multiplies by nothing: y = x
Weights plain = new Weights(same, same, same, same, same, same, same);
double[][] x = {{1, 7}, {7, 1}};
double[][] y = block(x, plain, 1);
for (int t = 0; t < 2; t++) say("token %d: %.4f %.4f", t, y[t][0], y[t][1]);
check(near(norm(x[0])[0], 0.2, 1e-6) && near(norm(x[0])[1], 1.4, 1e-6), "1, 7 over 5");
check(near(y[0][0], 1.2220, 1e-4) && near(y[0][1], 9.9723, 1e-4), "token 0 as by hand");

Cpu cpu = Cpu.open(2);
Workspace workspace = Workspace.on(cpu);

ParameterBuffer<Block> block(int width, int heads, int inner) {
  return ParameterBuffer.allocate(
      cpu,
      Precision.FP32,
      Grouping.frozen(),
      d -> Block.of(
          RmsNorm.declare(d, width, 1e-6),
          Attention.declare(d, 0, width, heads, null),
          RmsNorm.declare(d, width, 1e-6),
          Mlp.Gated.declare(d, width, inner, Activation.SILU, false),
          0));
}

void put(ParameterBuffer<?> to, Parameter p, double[][]... parts) { // parts below each other
  float[] all = new float[(int) p.value().elements()];
  int at = 0;
  for (double[][] part : parts) {
    for (double[] row : part) for (double v : row) all[at++] = (float) v;
  }
  to.put(p, 0, all, at);
}

void fill(ParameterBuffer<Block> to, Weights w, int width) {
  double[][] ones = new double[1][width];
  Arrays.fill(ones[0], 1);
  put(to, to.get("norm1.weight"), ones);
  put(to, to.get("norm2.weight"), ones);
  put(to, to.get("attn.qkv.weight"), w.q(), w.k(), w.v());
  put(to, to.get("attn.out.weight"), w.out());
  put(to, to.get("mlp.gateUp.weight"), w.gate(), w.up());
  put(to, to.get("mlp.down.weight"), w.down());
}

float[] byLibrary(double[][] x, Weights w, int heads) {
  int length = x.length;
  int width = x[0].length;
  float[] flat = new float[length * width];
  for (int i = 0; i < flat.length; i++) flat[i] = (float) x[i / width][i % width];
  try (var model = block(width, heads, w.gate().length)) {
    fill(model, w, width);
    Var in = Tape.inference(workspace).constant(Tensor.of(flat, 1, length, width));
    return model.model().forward(in, Pass.PLAIN).value().toFloats();
  } finally {
    workspace.reset();
  }
}

float[] ours = byLibrary(x, plain, 1);
say("token 0: %.4f %.4f", ours[0], ours[1]);
say("token 1: %.4f %.4f", ours[2], ours[3]);

double largest(double[][] a, float[] b) {
  double most = 0;
  for (int i = 0; i < b.length; i++) {
    most = Math.max(most, Math.abs(a[i / a[0].length][i % a[0].length] - b[i]));
  }
  return most;
}

check(largest(y, ours) < 1e-5, "the same numbers");

Random random = new Random(6);

double[][] drawn(int rows, int cols) {
  double[][] w = new double[rows][cols];
  for (double[] row : w) for (int i = 0; i < cols; i++) row[i] = random.nextGaussian() / Math.sqrt(cols);
  return w;
}

int width = 8;
int inner = 12;
Weights chance = new Weights(
    drawn(width, width), drawn(width, width), drawn(width, width), drawn(width, width),
    drawn(inner, width), drawn(inner, width), drawn(width, inner));
double[][] text = drawn(5, width); // five tokens
double apart = largest(block(text, chance, 2), byLibrary(text, chance, 2));
say("5 tokens, 8 wide, 2 heads: the same within %s", apart < 1e-5 ? "0.00001" : apart);
check(apart < 1e-5, "the same numbers again");

float[] before = byLibrary(text, chance, 2);
text[3][0] += 1;
float[] after = byLibrary(text, chance, 2);
for (int t = 0; t < 5; t++) {
  boolean alike = Arrays.equals(before, t * width, (t + 1) * width, after, t * width, (t + 1) * width);
  say("token %d %s", t, alike ? "as before" : "changed");
  check(alike == t < 3, "only what comes after sees it");
}

double with = 1;
double without = 1;
for (int layer = 0; layer < 12; layer++) {
  with *= 1 + 0.1;
  without *= 0.1;
}
say("slope through 12 layers: with the addition %.2f, without %.0e", with, without);
check(near(with, 3.14, 0.01) && without < 1.1e-12, "a slope of 3, or none");

Random dice = new Random(7);
try (var model = Transformer.allocate(
    cpu, Llama.config(32, 4, 2, 2, 16, 32, 8), Precision.FP32, Grouping.frozen())) {
  for (Parameter p : model.named().values()) { // as large as in a model that has learned
    float[] some = new float[(int) p.value().elements()];
    for (int i = 0; i < some.length; i++) {
      some[i] = p.value().rank() == 1 ? 1 : (float) (dice.nextGaussian() / Math.sqrt(p.value().last()));
    }
    model.put(p, 0, some, some.length);
  }
  Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, 8));
  tokens.fromHost(MemorySegment.ofArray(new int[] {1, 2, 3, 4, 5, 6, 7, 8}));
  Tape tape = Tape.inference(workspace);
  Probe.on(tape, new Probe() {
    @Override
    public void stream(String part, int layer, Var sum, Var pending) {
      float[] s = sum.value().toFloats();
      float[] p = pending == null ? new float[s.length] : pending.value().toFloats();
      double squares = 0;
      for (int i = 0; i < s.length; i++) squares += (s[i] + p[i]) * (s[i] + p[i]);
      say("%-9s %2d  size of the stream %.2f", part, layer, Math.sqrt(squares / s.length));
    }
  });
  model.model().forward(tape, tokens);
}

double[] middle = norm(new double[] {3, 4});
say("%.4f %.4f", middle[0], middle[1]);

say("%.4f", norm(new double[] {30, 40})[0]);
check(near(norm(new double[] {30, 40})[0], middle[0], 1e-6), "the size is gone");

workspace.close();
cpu.close();
