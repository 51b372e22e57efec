package dev.javelin.example.handbook;

import dev.javelin.device.Device;
import dev.javelin.example.handbook.Digits.Drawings;
import dev.javelin.example.handbook.Digits.Reader;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.train.Training;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Order;
import dev.javelin.train.schedule.Schedule;

/** What the pages on embedding train: the reader of digits. */
final class SmallTraining {
  private SmallTraining() {}

  /** A reader whose weights are drawn from a seed. */
  static ParameterBuffer<Reader> reader(Device device, long seed) {
    ParameterBuffer<Reader> parameters =
        ParameterBuffer.allocate(
            device, Precision.FP32, Grouping.decayMatrices(0.01f), Reader::declare);
    Init.normal(parameters, seed);
    return parameters;
  }

  /** Its training on drawings in an order of that seed. */
  static Training of(ParameterBuffer<Reader> parameters, long seed, long steps) {
    return Training.of(
            parameters,
            new Digits.RightDigit(parameters.model()),
            BatchSource.endless(new Drawings(1, 20_000), Order.shuffled(seed)))
        .batch(16)
        .schedule(new Schedule.Constant(1e-3, 0))
        .seed(seed)
        .logEvery(1)
        .steps(steps);
  }
}
