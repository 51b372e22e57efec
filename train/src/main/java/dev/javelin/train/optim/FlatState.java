package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Trained;
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
 * @param parts of the buffer, by parameter; empty where the layout is {@link Layout#OWN}
 */
public record FlatState(
    String name, Layout layout, Tensor buffer, SequencedMap<Parameter, Tensor> parts)
    implements AutoCloseable {
  private static final int ROW = 128; // elements: every part is aligned to as many

  /** What the elements of a state belong to, and so how it is written. */
  public enum Layout {
    /**
     * Element for element the weights ({@link Trained#flat}): each parameter's part is a tensor of
     * the file, {@code name.} followed by the parameter's name, shaped as the parameter is there.
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
    return likeWeights(name, parameters.trained());
  }

  /** An element for each weight that a rule moves. */
  public static FlatState likeWeights(String name, Trained trained) {
    Tensor buffer = allocate(trained, DType.F32, trained.flat());
    SequencedMap<Parameter, Tensor> parts = new LinkedHashMap<>();
    trained.parameters().forEach(p -> parts.put(p, trained.part(buffer, p)));
    return new FlatState(
        name, Layout.LIKE_WEIGHTS, buffer, Collections.unmodifiableSequencedMap(parts));
  }

  /** A state of the rule's own shape, on the device of the parameters. */
  public static FlatState own(String name, ParameterBuffer<?> parameters, Shape shape) {
    return new FlatState(name, Layout.OWN, allocate(parameters.trained(), DType.F32, shape));
  }

  /**
   * A tensor for each of some parameters, on their device.
   *
   * @param type F32 or U8
   * @param shape of a parameter's part; {@code null} for none
   */
  public static FlatState parts(
      String name, Trained trained, DType type, Function<Parameter, @Nullable Shape> shape) {
    SequencedMap<Parameter, Shape> shapes = new LinkedHashMap<>();
    long rows = 0;
    for (Parameter p : trained.parameters()) {
      Shape part = shape.apply(p);
      if (part != null) {
        shapes.put(p, part);
        rows += rows(part);
      }
    }
    Shape whole = Shape.of(Math.toIntExact(rows), ROW);
    Tensor buffer = allocate(trained, type, whole);
    SequencedMap<Parameter, Tensor> parts = new LinkedHashMap<>();
    long at = 0;
    for (Map.Entry<Parameter, Shape> part : shapes.entrySet()) {
      long offset = type.bytes(at * ROW);
      parts.put(part.getKey(), Tensor.of(buffer.memory(), offset, type, part.getValue()));
      at += rows(part.getValue());
    }
    return new FlatState(name, Layout.PARTS, buffer, Collections.unmodifiableSequencedMap(parts));
  }

  private static long rows(Shape part) {
    return (part.elements() + ROW - 1) / ROW;
  }

  /** A parameter's part, which it has. */
  public Tensor part(Parameter p) {
    return Objects.requireNonNull(parts.get(p), p::name);
  }

  private static Tensor allocate(Trained trained, DType type, Shape shape) {
    return Tensor.of(trained.device().allocate(type.bytes(shape.elements())), 0, type, shape);
  }

  @Override
  public void close() {
    buffer.memory().close();
  }
}
