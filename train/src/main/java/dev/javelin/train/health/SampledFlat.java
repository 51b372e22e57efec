package dev.javelin.train.health;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.FlatSample;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The samples of the layers of one element type, and what is measured of them in a step. */
final class SampledFlat implements AutoCloseable {
  private final ParameterBuffer.Flat flat;
  private final List<String> names = new ArrayList<>();
  private final Tensor weights; // what updates go to
  private final @Nullable Tensor m;
  private final @Nullable Tensor v;
  private final FlatSample sample;
  private final Memory memory; // change, ratios, underflow; then the sample before the update
  private final Tensor change; // F32 [P, 2]
  private final Tensor ratios; // I32 [P, BINS]
  private final Tensor underflow; // I32 [P, UNDERFLOWS]
  private final Tensor before; // F32 [room]
  private final int[] host;

  SampledFlat(ParameterBuffer<?> parameters, ParameterBuffer.Flat flat, Optimizer optimizer) {
    this.flat = flat;
    Tensor master = flat.master();
    this.weights = master == null ? flat.weights() : master;
    List<FlatSample.Part> parts = new ArrayList<>();
    Tensor gradients = flat.gradients();
    for (Parameter p : parameters.named().values()) {
      if (!p.group().frozen() && p.value().memory() == flat.weights().memory()) {
        Tensor part = parameters.part(parameters.gradients(), p);
        long from = (part.offset() - gradients.offset()) / Float.BYTES;
        parts.add(new FlatSample.Part(from, from + p.shape().elements()));
        names.add(p.name());
      }
    }
    this.m = moment(optimizer, "exp_avg");
    this.v = moment(optimizer, "exp_avg_sq");
    Device device = weights.device();
    this.sample = new FlatSample(device, parts);
    int p = parts.size();
    int numbers = p * (2 + FlatSample.BINS + FlatSample.UNDERFLOWS);
    this.host = new int[numbers];
    this.memory = device.allocate(4L * (numbers + sample.room()));
    this.change = Tensor.of(memory, 0, DType.F32, Shape.of(p, 2));
    this.ratios = Tensor.of(memory, 4L * 2 * p, DType.I32, Shape.of(p, FlatSample.BINS));
    this.underflow =
        Tensor.of(
            memory, 4L * p * (2 + FlatSample.BINS), DType.I32, Shape.of(p, FlatSample.UNDERFLOWS));
    this.before = Tensor.of(memory, 4L * numbers, DType.F32, Shape.of(sample.room()));
  }

  /** This part of the only moment of that name which is laid out as the weights. */
  private @Nullable Tensor moment(Optimizer optimizer, String name) {
    List<FlatState> named =
        optimizer.state().stream()
            .filter(s -> s.name().equals(name) && s.layout() == FlatState.Layout.LIKE_WEIGHTS)
            .filter(s -> s.buffer().dtype() == DType.F32)
            .toList();
    return named.size() == 1 ? flat.part(named.getFirst().buffer()) : null;
  }

  List<String> names() {
    return names;
  }

  long elements(int layer) {
    return sample.elements(layer);
  }

  boolean hasMoments() {
    return m != null && v != null;
  }

  boolean isHalf() {
    return flat.type() != DType.F32;
  }

  void gradient() {
    sample.underflow(underflow, flat.gradients(), flat.type());
  }

  void before() {
    sample.copy(before, weights);
  }

  void after() {
    sample.change(change, before, weights);
    if (m != null && v != null) {
      sample.ratios(ratios, m, v);
    }
  }

  /**
   * Waits for the device and hands over.
   *
   * @param at the index of the first layer
   * @param bins added to
   */
  void read(int at, double[] ratio, double[] zero, double[] underflows, double[] bins) {
    MemorySegment read = MemorySegment.ofArray(host);
    weights.device().read(read, memory, 0);
    int p = names.size();
    for (int i = 0; i < p; i++) {
      double moved = read.getAtIndex(JAVA_FLOAT, 2L * i);
      double was = read.getAtIndex(JAVA_FLOAT, 2L * i + 1);
      ratio[at + i] = was == 0 ? Double.NaN : moved / was;
      long counts = 2L * p + (long) FlatSample.BINS * p + (long) FlatSample.UNDERFLOWS * i;
      double n = sample.elements(i);
      zero[at + i] = read.getAtIndex(JAVA_INT, counts) / n;
      int lost = read.getAtIndex(JAVA_INT, counts + 1) + read.getAtIndex(JAVA_INT, counts + 2);
      underflows[at + i] = isHalf() ? lost / n : 0;
      for (int b = 0; b < bins.length && hasMoments(); b++) {
        bins[b] += read.getAtIndex(JAVA_INT, 2L * p + (long) FlatSample.BINS * i + b);
      }
    }
  }

  @Override
  public void close() {
    sample.close();
    memory.close();
  }
}
