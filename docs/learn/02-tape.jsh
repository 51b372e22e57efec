// The code of 02-tape.md: ./javelin shell docs/learn/02-tape.jsh
import module java.base;
import dev.javelin.autograd.*;
import dev.javelin.device.*;
import dev.javelin.tensor.*;
import dev.javelin.tensor.step.*;

void check(boolean claim) {
  if (!claim) throw new AssertionError("not as the page says");
}
boolean near(double a, double b) {
  return Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
}

class Num {
  final double value;
  double grad; // dloss/dthis
  Num(double value) {
    this.value = value;
  }
}
List<Runnable> tape = new ArrayList<>();

Num add(Num a, Num b) {
  Num y = new Num(a.value + b.value);
  tape.add(() -> {
    a.grad += y.grad;
    b.grad += y.grad;
  });
  return y;
}
Num multiply(Num a, Num b) {
  Num y = new Num(a.value * b.value);
  tape.add(() -> {
    a.grad += b.value * y.grad;
    b.grad += a.value * y.grad;
  });
  return y;
}

void backward(Num loss) {
  loss.grad = 1;
  for (Runnable note : tape.reversed()) {
    note.run();
  }
  tape.clear();
}

Num w = new Num(2);
Num x = new Num(3);
Num error = add(multiply(w, x), new Num(-12));
Num loss = multiply(error, error);
backward(loss);
IO.println("loss " + loss.value + "  dloss/dw " + w.grad + "  dloss/dx " + x.grad);
check(near(w.grad, -36));

Num relu(Num a) {
  Num y = new Num(Math.max(0, a.value));
  tape.add(() -> a.grad += a.value > 0 ? y.grad : 0);
  return y;
}

double f(double a, double b) { // any computation with both operations, and a used twice
  return relu(add(multiply(new Num(a), new Num(b)), new Num(a))).value;
}
double h = 1e-6;
double tried = (f(2 + h, 5) - f(2 - h, 5)) / (2 * h);
tape.clear(); // trying left notes that nobody needs

Num a = new Num(2);
Num b = new Num(5);
backward(relu(add(multiply(a, b), a)));
IO.println("tried " + Math.round(tried * 1e4) / 1e4 + "  by tape " + a.grad);
check(near(tried, a.grad));

Cpu cpu = Cpu.open(1); // with one thread
Workspace workspace = Workspace.on(cpu);

Tape ours = new Tape(workspace);
Tensor slopes = Tensor.of(new float[1], 1);
Var weight = ours.leaf(Tensor.of(new float[] {2}, 1), new Grad(slopes, false));
Var input = ours.constant(Tensor.of(new float[] {3}, 1));
Var target = ours.constant(Tensor.of(new float[] {12}, 1));
Var mistake = Algebra.subtract(Algebra.multiply(weight, input), target);
Var square = Algebra.sum(Algebra.multiply(mistake, mistake), false);
IO.println(ours.names());
ours.backward(square);
IO.println(Arrays.toString(slopes.toFloats()));
check(slopes.toFloats()[0] == -36);

workspace.reset(); // a new step
Tape watched = new Tape(workspace);
Probe.on(watched, new Probe() {
  public void forward(Step step, long nanos) {
    IO.println("forward   " + step.name() + " = " + step.outputs().getFirst().value().toFloats()[0]);
  }
  public void gradient(Step step) {
    IO.println("backward  " + step.name() + ", dloss = " + step.outputs().getFirst().dyOrNull().toFloats()[0]);
  }
});
Var v = watched.leaf(Tensor.of(new float[] {2}, 1), new Grad(slopes, false));
Var e = Algebra.subtract(
    Algebra.multiply(v, watched.constant(Tensor.of(new float[] {3}, 1))),
    watched.constant(Tensor.of(new float[] {12}, 1)));
watched.backward(Algebra.sum(Algebra.multiply(e, e), false));

Num subtract(Num a, Num b) {
  Num y = new Num(a.value - b.value);
  tape.add(() -> {
    a.grad += y.grad;
    b.grad -= y.grad;
  });
  return y;
}
Num p = new Num(7);
Num q = new Num(4);
Num d = subtract(p, q);
backward(multiply(d, d)); // (p − q)²: slopes 2·3 and −2·3
check(p.grad == 6 && q.grad == -6);

workspace.close();
cpu.close();
