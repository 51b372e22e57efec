package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A buffer that an optimizer keeps from step to step: F32, or U8 codes, contiguous, zero at first.
 * It owns its memory.
 *
 * @param name of it in files, such as {@code exp_avg}: lower case, without dots
 * @param layout what its elements belong to
 * @param parts of the buffer, by parameter, where the layout is {@link Layout#PARTS}
 */
public record FlatState(
    String name, Layout layout, Tensor buffer, SequencedMap<Parameter, Tensor> parts)
    implements AutoCloseable {
  private static final int ROW = 128; // elements: every part is aligned to as many

  /** What the elements of a state belong to, and so how it is written. */
  public enum Layout {
    /**
     * Element for element the flat weights ({@link ParameterBuffer#flat}): each parameter's part is
     * a tensor of the file, {@code name.} followed by the parameter's name, shaped as the parameter
     * is there.
     */
    LIKE_WEIGHTS,

    /** The rule's own, such as one number a parameter: one tensor. */
    OWN,

    /**
     * A tensor of the rule's own shape for each of some parameters, such as factors of a matrix or
     * codes in fewer bits: {@code name.} followed by the name that the parameter has in the model.
     */
    PARTS
  }

  public FlatState {
    if (!name.matches("[a-z][a-z0-9_]*")) {
      throw new IllegalArgumentException(
          "the name of an optimizer's state must be of a-z, 0-9 and _, got " + name);
    }
    boolean type = buffer.dtype() == DType.F32 || buffer.dtype() == DType.U8;
    if (!type || !buffer.isContiguous()) {
      throw new IllegalArgumentException(
          "an optimizer's state must be F32 or U8, and contiguous, " + name + " is " + buffer);
    }
  }

  public FlatState(String name, Layout layout, Tensor buffer) {
    this(name, layout, buffer, Collections.emptyNavigableMap());
  }

  /** An element for each trainable weight. */
  public static FlatState likeWeights(String name, ParameterBuffer<?> parameters) {
    return allocate(name, Layout.LIKE_WEIGHTS, parameters, parameters.flat());
  }

  /** A state of the rule's own shape, on the device of the parameters. */
  public static FlatState own(String name, ParameterBuffer<?> parameters, Shape shape) {
    return allocate(name, Layout.OWN, parameters, shape);
  }

  /**
   * A tensor for each of some parameters, on their device.
   *
   * @param type F32 or U8
   * @param shape of a trainable parameter's part; {@code null} for none
   */
  public static FlatState parts(
      String name,
      ParameterBuffer<?> parameters,
      DType type,
      Function<Parameter, @Nullable Shape> shape) {
    SequencedMap<Parameter, Shape> shapes = new LinkedHashMap<>();
    long rows = 0;
    for (Parameter p : parameters.named().values()) {
      Shape part = p.group().frozen() ? null : shape.apply(p);
      if (part != null) {
        shapes.put(p, part);
        rows += rows(part);
      }
    }
    Shape whole = Shape.of(Math.toIntExact(rows), ROW);
    var memory = parameters.weights().device().allocate(type.bytes(whole.elements()));
    SequencedMap<Parameter, Tensor> parts = new LinkedHashMap<>();
    long at = 0;
    for (Map.Entry<Parameter, Shape> part : shapes.entrySet()) {
      long offset = type.bytes(at * ROW);
      parts.put(part.getKey(), Tensor.of(memory, offset, type, part.getValue()));
      at += rows(part.getValue());
    }
    return new FlatState(
        name,
        Layout.PARTS,
        Tensor.of(memory, 0, type, whole),
        Collections.unmodifiableSequencedMap(parts));
  }

  private static long rows(Shape part) {
    return (part.elements() + ROW - 1) / ROW;
  }

  /** A parameter's part, which it has. */
  public Tensor part(Parameter p) {
    return Objects.requireNonNull(parts.get(p), p::name);
  }

  private static FlatState allocate(
      String name, Layout layout, ParameterBuffer<?> parameters, Shape shape) {
    var memory = parameters.weights().device().allocate(DType.F32.bytes(shape.elements()));
    return new FlatState(name, layout, Tensor.of(memory, 0, DType.F32, shape));
  }

  @Override
  public void close() {
    buffer.memory().close();
  }
}
