package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Layout;
import dev.javelin.tensor.Lease;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * A model's first declaration: tensors of the right shapes without memory, so that the places of
 * its parameters can be chosen. Reading them fails.
 */
final class DeclaredShapes implements Declare {
  private static final Group DECLARED = new Group("declared", 0, 0, true);

  private final Memory none;
  private final DType type;
  private final List<Parameter> parameters = new ArrayList<>();
  private long constantBytes;

  DeclaredShapes(Memory none, DType type) {
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
    constantBytes += DType.F32.bytes(FlatLayout.padded(Shape.of(dims)));
    return tensor(DType.F32, dims);
  }

  private Tensor tensor(DType dtype, int... dims) {
    return new Tensor(none, 0, Layout.contiguous(Shape.of(dims)), dtype, Lease.UNLIMITED);
  }

  /** In the order of their declaration. */
  List<Parameter> parameters() {
    return parameters;
  }

  long constantBytes() {
    return constantBytes;
  }
}
