// The code of 04-attention.md: ./javelin shell docs/learn/04-attention.jsh
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
Tensor flat(float[][] rows) {
  float[] all = new float[rows.length * rows[0].length];
  for (int i = 0; i < all.length; i++) {
    all[i] = rows[i / rows[0].length][i % rows[0].length];
  }
  return Tensor.of(all, rows.length, rows[0].length);
}

List<String> vocabulary = List.of("the", "cat", "sat");
int[] ids = Stream.of("the cat sat".split(" ")).mapToInt(vocabulary::indexOf).toArray();
IO.println(Arrays.toString(ids));

float[][] table = {
  // noun, verb, article, unused
  {0, 0, 1, 0}, // the
  {1, 0, 0, 0}, // cat
  {0, 1, 0, 0}, // sat
};
float[][] embed(float[][] table, int[] ids) {
  float[][] x = new float[ids.length][];
  for (int t = 0; t < ids.length; t++) {
    x[t] = table[ids[t]].clone();
  }
  return x;
}
float[][] x = embed(table, ids);
IO.println(Arrays.deepToString(x));

void embedBackward(float[][] dTable, float[][] dx, int[] ids) {
  for (int t = 0; t < ids.length; t++) {
    for (int c = 0; c < dx[t].length; c++) {
      dTable[ids[t]][c] += dx[t][c];
    }
  }
}

float[][] q = {{0, 0, 0, 0}, {0, 0, 0, 0}, {2, 0, 0, 0}};
float[][] k = x;
float[][] v = x;
float dot(float[] a, float[] b) {
  float sum = 0;
  for (int i = 0; i < a.length; i++) {
    sum += a[i] * b[i];
  }
  return sum;
}
IO.println("sat asks the: " + dot(q[2], k[0]) + ", cat: " + dot(q[2], k[1]) + ", sat: " + dot(q[2], k[2]));

float[][] attention(float[][] q, float[][] k, float[][] v) {
  int T = q.length;
  int D = q[0].length;
  float[][] o = new float[T][D];
  for (int i = 0; i < T; i++) {
    float[] p = new float[i + 1];
    float sum = 0;
    for (int j = 0; j <= i; j++) { // the causal mask: j never passes i
      p[j] = (float) Math.exp(dot(q[i], k[j]) / Math.sqrt(D));
      sum += p[j];
    }
    for (int j = 0; j <= i; j++) {
      for (int d = 0; d < D; d++) {
        o[i][d] += p[j] / sum * v[j][d];
      }
    }
  }
  return o;
}
float[][] o = attention(q, k, v);
for (float[] row : o) {
  IO.println(Arrays.toString(row));
}
check(near(o[2][0], 2.718281828 / 4.718281828));

float[][] Wq = {{0, 2, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}}; // what is a verb asks for a noun
for (int t = 0; t < 3; t++) {
  for (int n = 0; n < 4; n++) {
    check(dot(x[t], Wq[n]) == q[t][n]);
  }
}

Cpu cpu = Cpu.open(1);
Workspace workspace = Workspace.on(cpu);
Tape tape = new Tape(workspace);
Tensor dq = Tensor.of(new float[12], 1, 3, 1, 4);
Tensor dk = Tensor.of(new float[12], 1, 3, 1, 4);
Tensor dv = Tensor.of(new float[12], 1, 3, 1, 4);
Var ours =
    Functional.attention(
        tape.leaf(flat(q).reshape(1, 3, 1, 4), new Grad(dq, false)),
        tape.leaf(flat(k).reshape(1, 3, 1, 4), new Grad(dk, false)),
        tape.leaf(flat(v).reshape(1, 3, 1, 4), new Grad(dv, false)),
        AttentionMask.CAUSAL);
float[] got = ours.value().toFloats();
float[] want = flat(o).toFloats();
for (int i = 0; i < 12; i++) {
  check(near(got[i], want[i]));
}

Tensor tokens = workspace.alloc(DType.I32, Shape.of(3)); // ids are integers
tokens.fromHost(java.lang.foreign.MemorySegment.ofArray(ids));
Tensor dTable = Tensor.of(new float[12], 3, 4);
Var embedded = Functional.embedding(tape.leaf(flat(table), new Grad(dTable, false)), tokens);
check(Arrays.equals(embedded.value().toFloats(), flat(x).toFloats()));

float[] p = {o[2][2], o[2][0], o[2][1]}; // the parts of the, cat, sat: each value has a single 1
float[] dout = {1, 0, 0, 0};
float[] dp = new float[3];
float mix = 0;
for (int j = 0; j < 3; j++) {
  dp[j] = dot(dout, v[j]);
  mix += p[j] * dp[j];
}
float[] dq2 = new float[4];
for (int j = 0; j < 3; j++) {
  float ds = p[j] * (dp[j] - mix);
  for (int d = 0; d < 4; d++) {
    dq2[d] += ds * k[j][d] / 2;
  }
}
for (float slope : dq2) {
  IO.println(Math.round(slope * 1e4) / 1e4);
}

float[] root = new float[12];
root[8] = 1; // row 2, column 0
tape.backward(List.of(ours), List.of(Tensor.of(root, 1, 3, 1, 4)));
float[] dqOurs = dq.toFloats();
for (int d = 0; d < 4; d++) {
  check(near(dqOurs[8 + d], dq2[d]));
}
check(near(dv.toFloats()[4], p[1])); // the value of cat gets its part

float h = 0.01f;
q[2][0] = 2 + h;
float more = attention(q, k, v)[2][0];
q[2][0] = 2 - h;
float less = attention(q, k, v)[2][0];
q[2][0] = 2;
IO.println(Math.round((more - less) / (2 * h) * 1e3) / 1e3);
check(Math.abs((more - less) / (2 * h) - dq2[0]) < 1e-3);

IO.println((float) Math.exp(88) + " " + (float) Math.exp(89));

float[] online(float[] q, float[][] k, float[][] v, int seen) {
  float m = Float.NEGATIVE_INFINITY; // the largest score so far
  float l = 0;                       // Σ e^(s − m)
  float[] o = new float[q.length];   // Σ e^(s − m) · v
  for (int j = 0; j < seen; j++) {
    float s = dot(q, k[j]) / (float) Math.sqrt(q.length);
    float larger = Math.max(m, s);
    float shrink = (float) Math.exp(m - larger); // 1 where m stays
    float part = (float) Math.exp(s - larger);
    l = l * shrink + part;
    for (int d = 0; d < o.length; d++) {
      o[d] = o[d] * shrink + part * v[j][d];
    }
    m = larger;
    IO.println("m " + m + "  l " + l);
  }
  for (int d = 0; d < o.length; d++) {
    o[d] /= l;
  }
  return o;
}
float[] same = online(q[2], k, v, 3);
for (int d = 0; d < 4; d++) {
  check(near(same[d], o[2][d]));
}

float[] onDevice() {
  try (Cuda cuda = Cuda.emulated(new BundledKernels());
      Workspace there = Workspace.on(cuda)) {
    Tensor[] qkv = new Tensor[3];
    for (int i = 0; i < 3; i++) {
      qkv[i] = there.alloc(DType.F32, Shape.of(1, 3, 1, 4));
      qkv[i].copyFrom(flat(i == 0 ? q : x).reshape(1, 3, 1, 4));
    }
    Tape onCuda = Tape.inference(there);
    return Functional.attention(
            onCuda.constant(qkv[0]), onCuda.constant(qkv[1]), onCuda.constant(qkv[2]), AttentionMask.CAUSAL)
        .value()
        .toFloats();
  }
}
try {
  float[] cudas = onDevice();
  for (int i = 0; i < 12; i++) {
    check(Math.abs(cudas[i] - want[i]) < 1e-6);
  }
  IO.println("the kernel agrees with the loop");
} catch (CudaException | IllegalStateException e) {
  IO.println("skipped: " + e.getMessage());
}

float[][] y = embed(table, new int[] {1, 2, 0});
float[] sat = attention(new float[][] {q[1], q[2], q[0]}, y, y)[1];
check(near(sat[0], 0.7310586) && near(sat[1], 0.2689414));

float[][] other = embed(table, new int[] {1, 0, 2});
check(near(attention(q, other, other)[2][0], o[2][0]));
check(near(attention(q, other, other)[2][2], o[2][2]));

float[][] loud = {q[0], q[1], {100, 0, 0, 0}};
float[] hard = attention(loud, k, v)[2];
check(hard[0] == 1);
check(hard[0] * (1 - hard[0]) == 0); // ds of cat

workspace.close();
cpu.close();
