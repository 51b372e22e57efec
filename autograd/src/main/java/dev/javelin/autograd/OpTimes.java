package dev.javelin.autograd;

import dev.javelin.tensor.step.OpEvent;

/** Tells Flight Recorder of each function. */
final class OpTimes implements Probe {
  private OpEvent event = OpEvent.begun();

  @Override
  public void forward(Step step, long nanos) {
    next(step, "forward");
  }

  @Override
  public void gradient(Step step) {
    event = OpEvent.begun();
  }

  @Override
  public void backward(Step step, long nanos) {
    next(step, "backward");
  }

  private void next(Step step, String direction) {
    event.done(step.name(), direction);
    event = OpEvent.begun();
  }
}
