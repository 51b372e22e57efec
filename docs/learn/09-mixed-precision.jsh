// The code of 09-mixed-precision.md: ./javelin shell docs/learn/09-mixed-precision.jsh

import module java.base;
import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.nn.*;
import dev.javelin.tensor.*;
import dev.javelin.tensor.op.LossOptions;
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

float fp16(float x) { // the nearest number that fp16 has
  return Float.float16ToFloat(Float.floatToFloat16(x));
}

float bf16(float x) { // the upper half of an fp32, rounded to the nearest, ties to even
  int bits = Float.floatToRawIntBits(x);
  return Float.intBitsToFloat((bits + 0x7FFF + ((bits >>> 16) & 1)) & 0xFFFF0000);
}

for (float x : new float[] {3.14159274f, 0.1f, 70000f, 1e-6f, 1e-8f}) {
  say("%-12.6g fp16 %-12.6g bf16 %.6g", x, fp16(x), bf16(x));
}
check(fp16(70000f) == Float.POSITIVE_INFINITY, "70000 does not fit fp16");
check(fp16(1e-8f) == 0, "1e-8 is zero in fp16");
check(bf16(1e-8f) > 0, "1e-8 is not zero in bf16");
check(fp16(65504f) == 65504f, "the largest number of fp16");
check(fp16(0x1p-24f) == 0x1p-24f && fp16(0x1p-26f) == 0, "the smallest number of fp16 is 2⁻²⁴");
check(fp16(1 + 1 / 1024f) > 1 && fp16(1 + 1 / 4096f) == 1, "behind 1 comes 1 + 1/1024");
check(bf16(1 + 1 / 128f) > 1 && bf16(1 + 1 / 512f) == 1, "behind 1 comes 1 + 1/128");

record One(Parameter weight) {}

Cpu cpu = Cpu.open(2);
Workspace workspace = Workspace.on(cpu);

double slope(Precision precision, float lossScale) {
  try (var model = ParameterBuffer.allocate(
      cpu, precision, Grouping.decayAll(0), d -> new One(d.parameter(1, 1)))) {
    Tape tape = new Tape(workspace);
    Probe.on(tape, new Probe() {
      @Override
      public void gradient(Step step) {
        if (step.name().equals("linear")) {
          Tensor dy = step.outputs().getFirst().dy();
          say("%s, loss scale %5.0f: dy is %s %.4g", precision.name(), lossScale, dy.dtype(), dy.toFloats()[0]);
        }
      }
    });
    Var x = Algebra.cast(tape.constant(Tensor.of(new float[] {0.5f}, 1, 1)), precision.weights());
    Var y = Functional.linear(x, tape.param(model.model().weight()), null);
    Var loss = Algebra.scale(Algebra.cast(y, DType.F32), 1e-8f); // loss = y / 100,000,000
    tape.backward(loss, Tensor.of(new float[] {lossScale}, 1, 1));
    return model.gradients().toFloats()[0] / lossScale;
  } finally {
    workspace.reset();
  }
}

double inFp32 = slope(Precision.FP32, 1);
double lost = slope(Precision.FP16, 1);
double saved = slope(Precision.FP16, 65536);
double inBf16 = slope(Precision.BF16, 1);
say("dw: fp32 %.4g, fp16 %.4g, fp16 scaled %.4g, bf16 %.4g", inFp32, lost, saved, inBf16);
check(near(inFp32, 5e-9, 1e-14), "0.5 · 1e-8");
check(lost == 0, "lost in fp16");
check(near(saved, 5e-9, 5e-9 / 1024), "saved by the loss scale");
check(near(inBf16, 5e-9, 5e-9 / 128), "bf16 needs none");

StepState state = StepState.on(cpu);
state.restore(new StepState.Carried(65536, 0, 0, 0)); // begin with 2¹⁶
LossScaling scaling = new LossScaling(65536, 2, 0.5f, 3, 1); // doubled after 3 good steps
float[] largest = {2, 1.5f, 0.9f, 0.9f, 0.9f, 0.9f, 0.9f, 0.9f}; // of the gradient of each step, unscaled

List<Float> scales = new ArrayList<>();
for (int t = 0; t < largest.length; t++) {
  float scale = state.lossScale();
  float inHalf = fp16(largest[t] * scale); // what an fp16 gradient would hold
  state.begin(0, t, 0.1f, 1);
  GradientClip.byNorm(1, scaling).run(state, Tensor.of(new float[] {inHalf}, 1));
  say("step %d: scale %6.0f, gradient %8.0f, %s", t, scale, inHalf, state.overflow() ? "left out" : "applied");
  scales.add(scale);
}
check(scales.equals(List.of(65536f, 32768f, 32768f, 32768f, 65536f, 65536f, 65536f, 131072f)), "the scale moves");
check(state.skippedSteps() == 2 && state.appliedSteps() == 6, "two steps are left out");

float inBf = 1;
float inFp = 1;
float inF32 = 1;
for (int i = 0; i < 100; i++) {
  inBf = bf16(inBf + 0.001f);
  inFp = fp16(inFp + 0.001f);
  inF32 = inF32 + 0.001f;
}
say("1 + 100 · 0.001: bf16 %.4f, fp16 %.4f, fp32 %.4f", inBf, inFp, inF32);
check(inBf == 1, "bf16 has not moved");
check(near(inFp, 1.0977, 1e-4), "fp16 is a little short");

try (var model = ParameterBuffer.allocate(
    cpu, Precision.BF16, Grouping.decayAll(0), d -> new One(d.parameter(1, 1)))) {
  Parameter w = model.model().weight();
  model.put(w, 0, new float[] {1}, 1);
  AdamW optimizer = new AdamW(model, new AdamWConfig(0.9f, 0.95f, 1e-8f));
  StepState step = StepState.on(cpu);
  for (int t = 0; t < 8; t++) {
    w.grad().fromHost(MemorySegment.ofArray(new float[] {-1})); // the same every time
    step.begin(0, t, 0.001f, 1);
    GradientClip.byNorm(1, LossScaling.NONE).run(step, model.gradients());
    optimizer.step(step); // so AdamW moves by the rate, 0.001
    say("step %d: master %.4f, bf16 weight %.7f", t + 1, model.values(w)[0], w.value().toFloats()[0]);
  }
  check(near(model.values(w)[0], 1.008, 1e-5), "the master has moved by 8 · 0.001");
  check(w.value().toFloats()[0] == 1.0078125f, "and the weight, at last");
  step.close();
  optimizer.close();
}

record Scores(Linear head) {}

float[] rows = {1, 0, 2,  0, 1, 1,  2, 1, 0,  1, 1, 1}; // four rows of three numbers
int[] targets = {0, 1, 1, LossOptions.IGNORED};         // the last row has no target
int valid = 3;

Tensor ints(int... values) {
  Tensor t = workspace.alloc(DType.I32, Shape.of(values.length));
  t.fromHost(MemorySegment.ofArray(values));
  return t;
}

float[] gradient(int rowsAtOnce, boolean meanOfMeans) {
  try (var model = ParameterBuffer.allocate(
          cpu, Precision.FP32, Grouping.decayAll(0), d -> new Scores(Linear.declare(d, 2, 3, false)));
      StepState step = StepState.on(cpu)) {
    Init.normal(model, 1);
    step.begin(0, 0, 0.1f, 1f / valid); // every loss of the step counts 1/N
    for (int first = 0; first < 4; first += rowsAtOnce) {
      Tape tape = new Tape(workspace);
      Var x = tape.constant(
          Tensor.of(Arrays.copyOfRange(rows, 3 * first, 3 * (first + rowsAtOnce)), rowsAtOnce, 3));
      Tensor wanted = ints(Arrays.copyOfRange(targets, first, first + rowsAtOnce));
      Var losses = Losses.crossEntropy(model.model().head().forward(x), wanted, LossOptions.PLAIN);
      Var loss = meanOfMeans
          ? Algebra.scale(Losses.meanLoss(losses, wanted, LossOptions.PLAIN), rowsAtOnce / 4f)
          : Losses.stepLoss(losses, step);
      tape.backward(loss); // adds to what is there
      workspace.reset();
    }
    return model.model().head().weight().grad().toFloats(); // [2, 3]
  }
}

void show(String what, float[] g) {
  StringJoiner line = new StringJoiner(" ");
  for (float x : g) line.add(String.format(Locale.ROOT, "%8.5f", x));
  say("%-22s %s", what, line);
}

float[] big = gradient(4, false);
float[] two = gradient(2, false);
float[] four = gradient(1, false);
float[] wrong = gradient(2, true);
show("four rows at once", big);
show("two and two, 1/N", two);
show("one by one, 1/N", four);
show("two and two, means", wrong);
for (int i = 0; i < 6; i++) {
  check(near(two[i], big[i], 1e-7) && near(four[i], big[i], 1e-7), "parts give the whole");
}
check(!near(wrong[0], big[0], 1e-3), "the mean of means is another number");

say("%s %s %s", fp16(2049), bf16(257), fp16(0.1f) == bf16(0.1f));
check(fp16(2048) == 2048 && fp16(2049) == 2048 && bf16(256) == 256 && bf16(257) == 256, "whole numbers");

double wrong4 = slope(Precision.FP16, 4);
double better = slope(Precision.FP16, 1024);
say("dw: %.4g and %.4g", wrong4, better);
check(near(wrong4, 0x1p-24 / 8, 1e-15) && near(better, 5e-9, 5e-9 / 100), "2⁻²⁴ · 0.5 / 4, and near");

state.close();
workspace.close();
cpu.close();
