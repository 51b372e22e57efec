package dev.javelin.nn;

import dev.javelin.device.Device;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * The parameters that one update rule moves: all trainable ones of a {@link ParameterBuffer}, or
 * some. They are ranges of its flat buffers; what the rule keeps for them stands without the gaps.
 *
 * <pre>
 * flat buffers   | w0 .. w1 .. | others | b0 .. |
 * state          | w0 .. w1 .. | b0 .. |
 * </pre>
 */
public final class Trained {
  private final ParameterBuffer<?> buffer;
  private final List<Parameter> parameters;
  private final List<Part> parts;
  private final Map<Parameter, Long> starts = new IdentityHashMap<>();
  private final long elements;

  /**
   * A range of the flat buffers, of one element type.
   *
   * @param weights what is updated, with the segments that are updated alike
   * @param parameters the same with a segment for each parameter, its padding included
   * @param fromRow of a state: where the range begins there
   */
  public record Part(FlatWeights weights, FlatWeights parameters, int fromRow) {
    /** This range of a state of the shape {@link Trained#flat}. */
    public Tensor of(Tensor state) {
      return state.slice(0, fromRow, fromRow + weights.weights().dim(0));
    }
  }

  Trained(
      ParameterBuffer<?> buffer,
      Map<Parameter, FlatLayout.Slot> slots,
      Predicate<Parameter> which) {
    this.buffer = buffer;
    List<Parameter> all = new ArrayList<>();
    List<Part> ranges = new ArrayList<>();
    long at = 0;
    for (ParameterBuffer.Flat flat : buffer.flats()) {
      List<Parameter> ordered = new ArrayList<>();
      for (Parameter p : buffer.named().values()) {
        FlatLayout.Slot slot = FlatLayout.slot(slots, p);
        if (slot.type() == flat.type() && !slot.group().frozen()) {
          ordered.add(p);
        }
      }
      ordered.sort((a, b) -> Long.compare(start(slots, a), start(slots, b)));
      List<FlatLayout.Slot> range = new ArrayList<>();
      for (Parameter p : ordered) {
        if (which.test(p)) {
          all.add(p);
          starts.put(p, at + (range.isEmpty() ? 0 : start(slots, p) - range.getFirst().start()));
          range.add(FlatLayout.slot(slots, p));
        } else {
          at = close(ranges, flat, range, at);
        }
      }
      at = close(ranges, flat, range, at);
    }
    this.parameters = Collections.unmodifiableList(all);
    this.parts = Collections.unmodifiableList(ranges);
    this.elements = at;
  }

  private static long start(Map<Parameter, FlatLayout.Slot> slots, Parameter p) {
    return FlatLayout.slot(slots, p).start();
  }

  private static long close(
      List<Part> parts, ParameterBuffer.Flat flat, List<FlatLayout.Slot> range, long at) {
    if (range.isEmpty()) {
      return at;
    }
    long from = range.getFirst().start();
    long end = FlatLayout.end(range.getLast());
    int first = FlatLayout.row(from);
    int last = FlatLayout.row(end);
    Tensor master = flat.master();
    FlatWeights whole =
        new FlatWeights(
            flat.weights().slice(0, first, last),
            master == null ? null : master.slice(0, first, last),
            flat.gradients().slice(0, first, last),
            FlatLayout.segments(range, from),
            flat.update());
    FlatWeights each =
        new FlatWeights(
            whole.weights(),
            whole.master(),
            whole.grads(),
            FlatLayout.each(range, from),
            flat.update());
    parts.add(new Part(whole, each, FlatLayout.row(at)));
    range.clear();
    return at + end - from;
  }

  /** The buffer that they are parameters of. */
  public ParameterBuffer<?> buffer() {
    return buffer;
  }

  public Device device() {
    return buffer.device();
  }

  /** In the order of the flat buffers. */
  public List<Parameter> parameters() {
    return parameters;
  }

  /** Their ranges, in the same order; what an update goes over. */
  public List<Part> parts() {
    return parts;
  }

  /** Shape of a state with an element for each of their elements. */
  public Shape flat() {
    return FlatLayout.shape(elements);
  }

  /**
   * The part of such a state that belongs to a parameter, of the parameter's shape.
   *
   * @throws IllegalArgumentException for a parameter that is not one of these
   */
  public Tensor part(Tensor state, Parameter p) {
    Long start = starts.get(p);
    if (start == null) {
      throw new IllegalArgumentException(p.name() + " is not updated by this rule");
    }
    return ParameterBuffer.part(state, p, start);
  }
}
