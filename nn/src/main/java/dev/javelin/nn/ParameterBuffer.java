package dev.javelin.nn;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.device.Turn;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.Quantizer;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.QuantizedMatrix;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.WeightUpdate;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A model's parameters in flat buffers, one allocation each: weights, fp32 gradients, and fp32
 * masters where weights are of a half type (unless {@link Precision#update} does without).
 * Parameters are views, each 256-byte aligned in every buffer with zeroed padding behind it, laid
 * out by group; those that are frozen come last and have neither gradient nor master.
 *
 * <pre>
 * weights    | decay: w0 .. w1 .. w2 .. | no-decay: b0 . b1 . | frozen: f0 .. |
 * gradients  |                          |                     |
 * master     |                          |                     |
 *            0                                     trainable            elements
 * </pre>
 *
 * Where groups have types of their own (see {@link Group#type}), weights and masters are one
 * allocation for each type; gradients, and optimizer state laid out as they are, stay one range, in
 * which each type has a part: see {@link #flats}.
 *
 * <p>Names are the path of record components to the parameter, {@code blocks.3.attn.qkv.weight}.
 *
 * @param <M> the model, a record of parameters, layers and lists of layers
 */
public final class ParameterBuffer<M extends Record> implements AutoCloseable {

  private final M model;
  private final List<Memory> owned;
  private volatile boolean closed;
  private final Map<DType, Memory> weightMemory = new EnumMap<>(DType.class);
  private final Memory constantMemory;
  private final @Nullable Memory gradientMemory;
  private final SequencedMap<String, Parameter> named;
  private final IdentityHashMap<Parameter, FlatLayout.Slot> slots = new IdentityHashMap<>();
  private final IdentityHashMap<Parameter, Quantizing> quantizing = new IdentityHashMap<>();
  private final List<Flat> flats;
  private final long trainable;

  /**
   * The trainable parameters of one element type, flat: what one update runs over.
   *
   * @param fromRow of the flat buffers: where this type's part begins
   * @param weights of {@code type}
   * @param master the fp32 weights that updates go to; {@code null} where the weights are fp32, or
   *     take updates themselves
   * @param gradients F32, this type's part of {@link ParameterBuffer#gradients}
   * @param segments what is updated alike, in elements of this part
   * @param update how half weights take updates
   */
  public record Flat(
      DType type,
      int fromRow,
      Tensor weights,
      @Nullable Tensor master,
      Tensor gradients,
      List<Segment> segments,
      WeightUpdate update) {

    /** The same as an update sees it. */
    public FlatWeights toUpdate() {
      return new FlatWeights(weights, master, gradients, segments, update);
    }

    /** This type's part of optimizer state of the shape {@link ParameterBuffer#flat}. */
    public Tensor part(Tensor state) {
      return state.slice(0, fromRow, fromRow + weights.dim(0));
    }
  }

  /**
   * Allocates and builds a model; its parameters are zero.
   *
   * @param model builds the model from the parameters it declares; called twice
   * @throws IllegalArgumentException if a declared parameter cannot be reached from the model's
   *     record components
   */
  public static <M extends Record> ParameterBuffer<M> allocate(
      Device device, Precision precision, Grouping grouping, Function<Declare, M> model) {
    IdentityHashMap<Parameter, String> names = new IdentityHashMap<>();
    try (Memory none = device.allocate(0)) {
      DeclaredShapes shapes = new DeclaredShapes(none, precision.weights());
      M skeleton = model.apply(shapes);
      Components.walk(skeleton, (name, p) -> names.putIfAbsent(p, name));
      List<FlatLayout.Slot> slots =
          FlatLayout.of(
              shapes.parameters(), names, grouping.in(NameTable.of(skeleton)), precision.weights());
      List<Memory> owned = new ArrayList<>();
      try {
        return new ParameterBuffer<>(
            device, owned, slots, shapes.constantBytes(), precision.update(), model);
      } catch (RuntimeException | OutOfMemoryError e) {
        owned.forEach(Memory::close);
        throw e;
      }
    }
  }

  /** The shapes of a model's parameters by name, without memory for them. */
  static <M extends Record> SequencedMap<String, Shape> shapes(
      Device device, Function<Declare, M> model) {
    try (Memory none = device.allocate(0)) {
      SequencedMap<String, Shape> shapes = new LinkedHashMap<>();
      Components.walk(
          model.apply(new DeclaredShapes(none, DType.F32)),
          (name, p) -> shapes.putIfAbsent(name, p.value().shape()));
      return shapes;
    }
  }

  /** The second pass: the same tensors in their places. */
  private final class Places implements Declare {
    private final Iterator<FlatLayout.Slot> slots;
    private long constantOffset;

    Places(List<FlatLayout.Slot> slots) {
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
      constantOffset += DType.F32.bytes(FlatLayout.padded(shape));
      return t;
    }
  }

  private ParameterBuffer(
      Device device,
      List<Memory> owned,
      List<FlatLayout.Slot> slots,
      long constantBytes,
      WeightUpdate update,
      Function<Declare, M> builder) {
    this.owned = owned;
    Map<DType, Long> all = new EnumMap<>(DType.class);
    Map<DType, Long> updated = new EnumMap<>(DType.class);
    for (FlatLayout.Slot s : slots) {
      all.merge(s.type(), FlatLayout.padded(s.stored()), Long::sum);
      updated.merge(s.type(), s.group().frozen() ? 0 : FlatLayout.padded(s.stored()), Long::sum);
    }
    this.trainable = updated.values().stream().mapToLong(n -> n).sum();
    all.forEach((type, n) -> weightMemory.put(type, own(device.allocate(type.bytes(n)))));
    this.gradientMemory = trainable == 0 ? null : own(device.allocate(DType.F32.bytes(trainable)));
    this.flats = new ArrayList<>();
    updated.forEach((type, n) -> addFlat(device, slots, type, n, update));
    this.flats.sort(Comparator.comparingInt(Flat::fromRow));
    this.constantMemory = own(device.allocate(constantBytes));
    this.model = builder.apply(new Places(slots));
    SequencedMap<String, Parameter> found = new LinkedHashMap<>();
    Components.walk(model, (name, p) -> found.putIfAbsent(p.name(), p));
    this.named = Collections.unmodifiableSequencedMap(found);
  }

  private Memory own(Memory memory) {
    owned.add(memory);
    return memory;
  }

  private void addFlat(
      Device device, List<FlatLayout.Slot> slots, DType type, long elements, WeightUpdate update) {
    Memory weights = weightMemory.get(type);
    if (elements == 0 || gradientMemory == null || weights == null) {
      return;
    }
    List<FlatLayout.Slot> ordered = new ArrayList<>(slots);
    ordered.removeIf(s -> s.group().frozen() || s.type() != type);
    ordered.sort(Comparator.comparingLong(FlatLayout.Slot::start));
    Shape shape = FlatLayout.shape(elements);
    long from = ordered.getFirst().flat();
    Memory master =
        type == DType.F32 || update != WeightUpdate.MASTERS
            ? null
            : own(device.allocate(DType.F32.bytes(elements)));
    flats.add(
        new Flat(
            type,
            FlatLayout.row(from),
            Tensor.of(weights, 0, type, shape),
            master == null ? null : Tensor.of(master, 0, DType.F32, shape),
            Tensor.of(gradientMemory, DType.F32.bytes(from), DType.F32, shape),
            FlatLayout.segments(ordered, 0),
            update));
  }

  private Parameter parameter(FlatLayout.Slot slot, Shape shape) {
    if (!slot.shape().equals(shape)) {
      throw new IllegalArgumentException(
          "a model must declare the same parameters each time: %s was %s, is now %s"
              .formatted(slot.name(), slot.shape(), shape));
    }
    Memory weights = Objects.requireNonNull(weightMemory.get(slot.type()));
    Tensor value = Tensor.of(weights, slot.type().bytes(slot.start()), slot.type(), slot.stored());
    Quantization quantization = slot.quantization();
    Tensor gradient =
        slot.group().frozen() || gradientMemory == null
            ? null
            : Tensor.of(gradientMemory, DType.F32.bytes(slot.flat()), DType.F32, shape);
    Parameter p =
        new Parameter(
            slot.name(),
            value,
            gradient,
            slot.group(),
            quantization == null
                ? null
                : new QuantizedMatrix(
                    value,
                    quantization,
                    shape.dim(0),
                    shape.dim(1),
                    slot.group().int8Activations()));
    slots.put(p, slot);
    return p;
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
    return named.values().stream().mapToLong(p -> p.shape().elements()).sum();
  }

  /** The trainable parameters by element type, in the order of the gradients. */
  public List<Flat> flats() {
    return Collections.unmodifiableList(flats);
  }

  /** All trainable parameters, for an update rule. */
  public Trained trained() {
    return trained(p -> true);
  }

  /** Some of the trainable parameters, for an update rule. */
  public Trained trained(Predicate<Parameter> which) {
    return new Trained(this, slots, which);
  }

  /** Where the parameters are. */
  public Device device() {
    return constantMemory.device();
  }

  /**
   * The only one of {@link #flats}.
   *
   * @throws IllegalStateException if all parameters are frozen, or trainable ones are of several
   *     types
   */
  private Flat single() {
    if (flats.size() != 1) {
      throw new IllegalStateException(
          flats.isEmpty()
              ? "all parameters are frozen: there are no gradients"
              : "trainable parameters are of several types: use flats()");
    }
    return flats.getFirst();
  }

  /** The trainable weights, flat, where they are of one type. */
  public Tensor weights() {
    return single().weights();
  }

  /** Gradients of the trainable weights of all types, F32 and flat. */
  public Tensor gradients() {
    if (gradientMemory == null) {
      throw new IllegalStateException("all parameters are frozen: there are no gradients");
    }
    return Tensor.of(gradientMemory, 0, DType.F32, flat());
  }

  /** The fp32 weights that updates go to; {@code null} where the weights are fp32 themselves. */
  public @Nullable Tensor master() {
    return flats.isEmpty() ? null : single().master();
  }

  /**
   * Shape of the flat buffers of trainable weights, for optimizer state laid out alike; two
   * dimensions, since one would end at 2³¹ elements.
   */
  public Shape flat() {
    return FlatLayout.shape(trainable);
  }

  /** What is updated alike, in elements of the flat buffers, where weights are of one type. */
  public List<Segment> segments() {
    return flats.isEmpty() ? List.of() : single().segments();
  }

  /**
   * The part of a flat buffer, laid out as {@link #gradients} is, that belongs to a parameter.
   *
   * @throws IllegalArgumentException for a parameter that is frozen or of another buffer
   */
  public Tensor part(Tensor buffer, Parameter p) {
    return part(buffer, p, FlatLayout.slot(slots, p).flat());
  }

  static Tensor part(Tensor buffer, Parameter p, long start) {
    if (start < 0) {
      throw new IllegalArgumentException(p.name() + " is frozen and has no part in flat buffers");
    }
    return new Tensor(
        buffer.memory(),
        buffer.offset() + buffer.dtype().bytes(start),
        p.value().layout(),
        buffer.dtype(),
        buffer.lease());
  }

  /**
   * Bytes of the weights: those that are trained and those that are frozen, without gradients and
   * masters.
   */
  public long weightBytes() {
    return weightMemory.values().stream().mapToLong(Memory::byteSize).sum();
  }

  /**
   * A parameter's most precise values: its master where there is one.
   *
   * @throws IllegalArgumentException for one that is kept in fewer bits, and has none
   */
  public Tensor precise(Parameter p) {
    if (p.quantized() != null) {
      throw new IllegalArgumentException(
          p.name() + " is kept as " + p.quantized().format().label() + ", not as numbers");
    }
    FlatLayout.Slot slot = FlatLayout.slot(slots, p);
    for (Flat flat : flats) {
      if (!slot.group().frozen() && flat.type == slot.type() && flat.master != null) {
        return part(flat.master, p, slot.start());
      }
    }
    return p.value();
  }

  /** A parameter's most precise values, or what they have become where it is kept in fewer bits. */
  public float[] values(Parameter p) {
    return p.quantized() == null ? precise(p).toFloats() : p.quantized().toFloats();
  }

  /**
   * Sets elements of a parameter from fp32: the master exactly, the weight rounded. One that is
   * kept in fewer bits takes whole rows, each once, and is complete with the last.
   */
  public void put(Parameter p, long first, float[] values, int count) {
    if (isRehearsal()) {
      return;
    }
    QuantizedMatrix q = p.quantized();
    if (q != null) {
      quantize(p, q, first, values, count);
      return;
    }
    write(p.value(), first, values, count);
    Tensor precise = precise(p);
    if (precise.memory() != p.value().memory()) {
      write(precise, first, values, count);
    }
  }

  private void quantize(Parameter p, QuantizedMatrix q, long first, float[] values, int count) {
    if (first % q.in() != 0 || count != q.in()) {
      throw new IllegalArgumentException(
          "%s is kept as %s and takes whole rows of %d, got %d elements from %d on"
              .formatted(p.name(), q.format().label(), q.in(), count, first));
    }
    Quantizing begun =
        quantizing.computeIfAbsent(
            p, k -> new Quantizing(new byte[Math.toIntExact(q.bytes().elements())], q));
    if (begun.quantizer.put((int) (first / q.in()), values)) {
      quantizing.remove(p);
      q.bytes().fromHost(MemorySegment.ofArray(begun.bytes));
    }
  }

  /** A matrix of which some rows are there. */
  private record Quantizing(byte[] bytes, Quantizer quantizer) {
    Quantizing(byte[] bytes, QuantizedMatrix q) {
      this(bytes, new Quantizer(q.format(), q.out(), q.in(), MemorySegment.ofArray(bytes)));
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

  /** Whether the device only counts its memory, so that nobody reads or writes values there. */
  public boolean isRehearsal() {
    return constantMemory.device() instanceof Cpu cpu && cpu.isRehearsal();
  }

  /**
   * Does nothing while the parameters are there.
   *
   * @throws IllegalStateException after {@link #close}
   */
  public void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the model's parameters are closed");
    }
  }

  /** Gives the memory back; waits for the turn on the device, so for a step in progress. */
  @Override
  public void close() {
    try (Turn _ = constantMemory.device().turn()) {
      closed = true;
      owned.forEach(Memory::close);
    }
  }
}
