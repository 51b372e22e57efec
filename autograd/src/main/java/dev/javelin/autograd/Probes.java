package dev.javelin.autograd;

import org.jspecify.annotations.Nullable;

/** Two probes of one tape. */
record Probes(Probe first, Probe second) implements Probe {
  @Override
  public void forward(Step step, long nanos) {
    first.forward(step, nanos);
    second.forward(step, nanos);
  }

  @Override
  public void gradient(Step step) {
    first.gradient(step);
    second.gradient(step);
  }

  @Override
  public void backward(Step step, long nanos) {
    first.backward(step, nanos);
    second.backward(step, nanos);
  }

  @Override
  public void stream(String part, int layer, Var sum, @Nullable Var pending) {
    first.stream(part, layer, sum, pending);
    second.stream(part, layer, sum, pending);
  }
}
