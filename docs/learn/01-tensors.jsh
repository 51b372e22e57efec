// The code of 01-tensors.md: ./javelin shell docs/learn/01-tensors.jsh

import module java.base;
import dev.javelin.tensor.*;
import dev.javelin.tensor.op.*;

void check(boolean claim) {
  if (!claim) throw new AssertionError("not as the page says");
}
boolean near(double a, double b) {
  return Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
}

double loss(double w) {
  double x = 3, target = 12;
  double y = w * x;
  double error = y - target;
  return error * error;
}
IO.println(loss(2));

IO.println(loss(2.001) - loss(2));

double slope(double w) {
  double x = 3, target = 12;
  double error = w * x - target;
  return 2 * error * 1 * x; // dloss/derror · derror/dy · dy/dw
}
IO.println(slope(2));
check(near(slope(2), -36));

double w = 2;
for (int step = 0; step < 4; step++) {
  IO.println("w " + (float) w + "  loss " + (float) loss(w) + "  slope " + (float) slope(w));
  w -= 0.05 * slope(w);
}
check(Math.abs(w - 4) < 0.001);

Tensor t = Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
IO.println(t.form());
IO.println(Arrays.toString(t.toFloats()));

IO.println(t.stride(0) + " " + t.stride(1));
IO.println(t.toFloats()[(int) (1 * t.stride(0) + 2 * t.stride(1))]);

Tensor turned = t.transpose(0, 1);
IO.println(turned.form() + " strides " + turned.stride(0) + " " + turned.stride(1));
IO.println(Arrays.toString(turned.toFloats()));
check(turned.memory() == t.memory());

IO.println(Arrays.toString(t.slice(1, 1, 3).toFloats())); // of dimension 1, from 1 to before 3
IO.println(t.reshape(3, 2).form() + " " + Arrays.toString(t.reshape(3, 2).toFloats()));

float[][] x = {{1, 2, 3}, {4, 5, 6}};
float[][] weights = {{1, 0, -1}, {0.5f, 0.5f, 0.5f}};
float[][] y = new float[2][2];
for (int r = 0; r < 2; r++) {
  for (int n = 0; n < 2; n++) {
    for (int k = 0; k < 3; k++) {
      y[r][n] += x[r][k] * weights[n][k];
    }
  }
}
IO.println(Arrays.deepToString(y));

Tensor out = Tensor.of(new float[4], 2, 2);
dev.javelin.tensor.op.Linear.forward(
    out,
    null,
    Tensor.of(new float[] {1, 2, 3, 4, 5, 6}, 2, 3),
    Tensor.of(new float[] {1, 0, -1, 0.5f, 0.5f, 0.5f}, 2, 3),
    null,
    null);
IO.println(Arrays.toString(out.toFloats()));
check(Arrays.equals(out.toFloats(), new float[] {y[0][0], y[0][1], y[1][0], y[1][1]}));

try {
  dev.javelin.tensor.op.Linear.forward(out, null, t, t.transpose(0, 1), null, null);
} catch (IllegalArgumentException e) {
  IO.println(e.getMessage());
}

check(near(loss(5), 9) && near(slope(5), 18));

double far = 2;
for (int step = 0; step < 10; step++) far -= 0.12 * slope(far);
IO.println((float) far);
check(Math.abs(far - 4) > Math.abs(2 - 4));

Tensor stack = Tensor.of(new float[24], 4, 2, 3);
check(stack.stride(0) == 6 && stack.stride(1) == 3 && stack.stride(2) == 1);
