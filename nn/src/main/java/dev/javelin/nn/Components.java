package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import java.lang.reflect.RecordComponent;
import java.util.Collection;
import org.jspecify.annotations.Nullable;

/** The parameters of a model in the order of its record components. */
final class Components {
  private Components() {}

  @FunctionalInterface
  interface Visitor {
    void visit(String name, Parameter p);
  }

  static void walk(Record model, Visitor visitor) {
    walk("", model, visitor);
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
}
