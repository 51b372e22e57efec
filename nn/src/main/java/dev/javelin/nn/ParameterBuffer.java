package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Layout;
import dev.javelin.tensor.Lease;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A model's parameters in flat buffers, one allocation each: weights, fp32 gradients, and fp32
 * masters where weights are of a half type. Parameters are views, each 256-byte aligned in every
 * buffer with zeroed padding behind it, laid out by group; those that are frozen come last and have
 * neither gradient nor master.
 *
 * <pre>
 * weights    | decay: w0 .. w1 .. w2 .. | no-decay: b0 . b1 . | frozen: f0 .. |
 * gradients  |                          |                     |
 * master     |                          |                     |
 *            0                                     trainable            elements
 * </pre>
 *
 * Names are the path of record components to the parameter, {@code blocks.3.attn.qkv.weight}.
 *
 * @param <M> the model, a record of parameters, layers and lists of layers
 */
public final class ParameterBuffer<M extends Record> implements AutoCloseable {
  private static final int ALIGNMENT = 128; // elements: 256 bytes of the smallest float type
  private static final Group DECLARED = new Group("declared", 0, 0, true);

  private final M model;
  private final Memory weightMemory;
  private final Memory constantMemory;
  private final @Nullable Memory gradientMemory;
  private final @Nullable Memory masterMemory;
  private final SequencedMap<String, Parameter> named;
  private final Map<Parameter, Long> starts = new IdentityHashMap<>(); // first element in buffers
  private final DType type;
  private final long trainable;
  private final List<Segment> segments;

  private record Slot(String name, Shape shape, Group group, long start) {}

  /**
   * Allocates and builds a model; its parameters are zero.
   *
   * @param model builds the model from the parameters it declares; called twice
   * @throws IllegalArgumentException if a declared parameter cannot be reached from the model's
   *     record components
   */
  public static <M extends Record> ParameterBuffer<M> allocate(
      Device device, Precision precision, Grouping grouping, Function<Declare, M> model) {
    Map<Parameter, String> names = new IdentityHashMap<>();
    try (Memory none = device.allocate(0)) {
      Shapes shapes = new Shapes(none, precision.weights());
      M skeleton = model.apply(shapes);
      walk("", skeleton, (name, p) -> names.putIfAbsent(p, name));
      return new ParameterBuffer<>(
          device,
          precision.weights(),
          layOut(shapes.parameters, names, grouping),
          shapes.constantBytes,
          model);
    }
  }

  /** The first pass: tensors of the right shapes without memory; reading them fails. */
  private static final class Shapes implements Declare {
    private final Memory none;
    private final DType type;
    private final List<Parameter> parameters = new ArrayList<>();
    private long constantBytes;

    Shapes(Memory none, DType type) {
      this.none = none;
      this.type = type;
    }

    @Override
    public Parameter parameter(int... dims) {
      Parameter p = new Parameter("declared", tensor(type, dims), null, DECLARED);
      parameters.add(p);
      return p;
    }

    @Override
    public Tensor constant(int... dims) {
      constantBytes += DType.F32.bytes(padded(Shape.of(dims)));
      return tensor(DType.F32, dims);
    }

    private Tensor tensor(DType type, int... dims) {
      return new Tensor(none, 0, Layout.contiguous(Shape.of(dims)), type, Lease.UNLIMITED);
    }
  }

  /** The second pass: the same tensors in their places. */
  private final class Places implements Declare {
    private final Iterator<Slot> slots;
    private long constantOffset;

    Places(List<Slot> slots) {
      this.slots = slots.iterator();
    }

    @Override
    public Parameter parameter(int... dims) {
      return ParameterBuffer.this.parameter(slots.next(), Shape.of(dims));
    }

    @Override
    public Tensor constant(int... dims) {
      Shape shape = Shape.of(dims);
      Tensor t = Tensor.of(constantMemory, constantOffset, DType.F32, shape);
      constantOffset += DType.F32.bytes(padded(shape));
      return t;
    }
  }

  /** In order of declaration; positions are by group. */
  private static List<Slot> layOut(
      List<Parameter> declared, Map<Parameter, String> names, Grouping grouping) {
    SequencedMap<Group, List<Integer>> byGroup = new LinkedHashMap<>();
    List<Slot> slots = new ArrayList<>();
    for (Parameter p : declared) {
      String name = names.get(p);
      if (name == null) {
        throw new IllegalArgumentException(
            "a parameter of shape "
                + p.value().shape()
                + " was declared but is not reachable from the model's record components");
      }
      Group group = grouping.of(name, p.value().shape());
      byGroup.computeIfAbsent(group, g -> new ArrayList<>()).add(slots.size());
      slots.add(new Slot(name, p.value().shape(), group, 0));
    }
    long end = 0;
    for (boolean frozen : new boolean[] {false, true}) {
      for (Map.Entry<Group, List<Integer>> group : byGroup.entrySet()) {
        if (group.getKey().frozen() == frozen) {
          for (int i : group.getValue()) {
            Slot s = slots.get(i);
            slots.set(i, new Slot(s.name, s.shape, s.group, end));
            end += padded(s.shape);
          }
        }
      }
    }
    return slots;
  }

  private static long padded(Shape shape) {
    return (shape.elements() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  private ParameterBuffer(
      Device device,
      DType type,
      List<Slot> slots,
      long constantBytes,
      Function<Declare, M> builder) {
    this.type = type;
    long all = 0;
    long updated = 0;
    for (Slot s : slots) {
      all += padded(s.shape);
      updated += s.group.frozen() ? 0 : padded(s.shape);
    }
    this.trainable = updated;
    this.segments = segments(slots);
    this.weightMemory = device.allocate(type.bytes(all));
    this.gradientMemory = updated == 0 ? null : device.allocate(DType.F32.bytes(updated));
    this.masterMemory =
        updated == 0 || type == DType.F32 ? null : device.allocate(DType.F32.bytes(updated));
    this.constantMemory = device.allocate(constantBytes);
    this.model = builder.apply(new Places(slots));
    SequencedMap<String, Parameter> found = new LinkedHashMap<>();
    walk("", model, (name, p) -> found.putIfAbsent(p.name(), p));
    this.named = Collections.unmodifiableSequencedMap(found);
  }

  private Parameter parameter(Slot slot, Shape shape) {
    if (!slot.shape.equals(shape)) {
      throw new IllegalArgumentException(
          "a model must declare the same parameters each time: %s was %s, is now %s"
              .formatted(slot.name, slot.shape, shape));
    }
    Tensor value = Tensor.of(weightMemory, type.bytes(slot.start), type, shape);
    Tensor gradient =
        slot.group.frozen() || gradientMemory == null
            ? null
            : Tensor.of(gradientMemory, DType.F32.bytes(slot.start), DType.F32, shape);
    Parameter p = new Parameter(slot.name, value, gradient, slot.group);
    starts.put(p, slot.start);
    return p;
  }

  /** Neighbours that are updated alike, merged. */
  private static List<Segment> segments(List<Slot> slots) {
    List<Slot> ordered = new ArrayList<>(slots);
    ordered.removeIf(s -> s.group.frozen());
    ordered.sort((a, b) -> Long.compare(a.start, b.start));
    List<Segment> out = new ArrayList<>();
    for (Slot s : ordered) {
      long end = s.start + padded(s.shape);
      float scale = s.group.lrScale();
      float decay = s.group.weightDecay();
      Segment last = out.isEmpty() ? null : out.getLast();
      if (last != null && last.lrScale() == scale && last.weightDecay() == decay) {
        out.set(out.size() - 1, new Segment(last.from(), end, scale, decay));
      } else {
        out.add(new Segment(s.start, end, scale, decay));
      }
    }
    return List.copyOf(out);
  }

  @FunctionalInterface
  private interface Visitor {
    void visit(String name, Parameter p);
  }

  private static void walk(String path, @Nullable Object node, Visitor visitor) {
    switch (node) {
      case Parameter p -> visitor.visit(path, p);
      case Record record -> {
        for (RecordComponent c : record.getClass().getRecordComponents()) {
          walk(
              path.isEmpty() ? c.getName() : path + "." + c.getName(),
              component(record, c),
              visitor);
        }
      }
      case Collection<?> list -> {
        int i = 0;
        for (Object element : list) {
          walk(path + "." + i++, element, visitor);
        }
      }
      case null, default -> {}
    }
  }

  private static @Nullable Object component(Record record, RecordComponent component) {
    try {
      component.getAccessor().setAccessible(true);
      return component.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException("cannot read " + component + " of a model's record", e);
    }
  }

  public M model() {
    return model;
  }

  /** All parameters by name, in the order of the model's components; a shared one stands once. */
  public SequencedMap<String, Parameter> named() {
    return named;
  }

  /**
   * The parameter of that name.
   *
   * @throws IllegalArgumentException if there is none
   */
  public Parameter get(String name) {
    Parameter p = named.get(name);
    if (p == null) {
      throw new IllegalArgumentException(
          "the model has no parameter " + name + ", it has " + String.join(", ", named.keySet()));
    }
    return p;
  }

  /** Number of parameters, without padding. */
  public long size() {
    return named.values().stream().mapToLong(p -> p.value().elements()).sum();
  }

  /** The trainable weights, flat. */
  public Tensor weights() {
    return Tensor.of(weightMemory, 0, type, flat());
  }

  /** Gradients of the trainable weights, F32 and flat. */
  public Tensor gradients() {
    if (gradientMemory == null) {
      throw new IllegalStateException("all parameters are frozen: there are no gradients");
    }
    return Tensor.of(gradientMemory, 0, DType.F32, flat());
  }

  /** The fp32 weights that updates go to; {@code null} where the weights are fp32 themselves. */
  public @Nullable Tensor master() {
    return masterMemory == null ? null : Tensor.of(masterMemory, 0, DType.F32, flat());
  }

  /**
   * Shape of the flat buffers of trainable weights, for optimizer state laid out alike; two
   * dimensions, since one would end at 2³¹ elements.
   */
  public Shape flat() {
    return Shape.of(Math.toIntExact(trainable / ALIGNMENT), ALIGNMENT);
  }

  /** What is updated alike, in elements of the flat buffers. */
  public List<Segment> segments() {
    return segments;
  }

  /** The part of a flat buffer, laid out as {@link #weights} is, that belongs to a parameter. */
  public Tensor part(Tensor buffer, Parameter p) {
    Long start = starts.get(p);
    if (start == null) {
      throw new IllegalArgumentException(p.name() + " is not a parameter of this buffer");
    }
    return new Tensor(
        buffer.memory(),
        buffer.offset() + buffer.dtype().bytes(start),
        p.value().layout(),
        buffer.dtype(),
        buffer.lease());
  }

  /** A parameter's most precise values: its master where there is one. */
  Tensor precise(Parameter p) {
    Tensor flat = p.group().frozen() ? null : master();
    return flat == null ? p.value() : part(flat, p);
  }

  /** Sets elements of a parameter from fp32: the master exactly, the weight rounded. */
  void put(Parameter p, long first, float[] values, int count) {
    write(p.value(), first, values, count);
    Tensor precise = precise(p);
    if (precise.memory() != p.value().memory()) {
      write(precise, first, values, count);
    }
  }

  /** Sets elements of a contiguous tensor, rounded to its type. */
  private static void write(Tensor t, long first, float[] values, int count) {
    switch (t.memory()) {
      case HostMemory _ -> {
        MemorySegment to = t.segment();
        for (int i = 0; i < count; i++) {
          FloatBits.put(to, t.dtype(), first + i, values[i]);
        }
      }
      case DeviceMemory m -> {
        MemorySegment rounded = MemorySegment.ofArray(new long[(4 * count + 7) / 8]);
        for (int i = 0; i < count; i++) {
          FloatBits.put(rounded, t.dtype(), i, values[i]);
        }
        long bytes = t.dtype().bytes(count);
        m.device().write(m, t.offset() + t.dtype().bytes(first), rounded.asSlice(0, bytes));
      }
    }
  }

  @Override
  public void close() {
    weightMemory.close();
    constantMemory.close();
    if (gradientMemory != null) {
      gradientMemory.close();
    }
    if (masterMemory != null) {
      masterMemory.close();
    }
  }
}
