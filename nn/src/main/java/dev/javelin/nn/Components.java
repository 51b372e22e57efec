package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import java.lang.reflect.Constructor;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * A model as a tree of records: its parameters and layers, and copies with others in their place.
 */
public final class Components {
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

  /** The linear layers of a model, in the order of its components. */
  public static List<Linear> linears(Record model) {
    List<Linear> found = new ArrayList<>();
    replace(
        model,
        node -> {
          if (node instanceof Linear linear) {
            found.add(linear);
          }
          return node;
        });
    return found;
  }

  /**
   * A copy of a model in which some parts are others.
   *
   * @param change given each record, outer ones first, says what stands in its place; where that is
   *     the record itself, its components are looked at
   */
  @SuppressWarnings("unchecked") // a model's own record is not replaced
  public static <M extends Record> M replace(M model, UnaryOperator<Record> change) {
    return (M) Objects.requireNonNull(replaced(model, change));
  }

  private static @Nullable Object replaced(@Nullable Object node, UnaryOperator<Record> change) {
    if (node instanceof Record record) {
      Record other = change.apply(record);
      return other != record || record instanceof Parameter ? other : rebuilt(record, change);
    }
    if (node instanceof List<?> list) {
      List<@Nullable Object> parts = new ArrayList<>(list.size());
      boolean same = true;
      for (Object part : list) {
        Object other = replaced(part, change);
        same &= other == part;
        parts.add(other);
      }
      return same ? list : Collections.unmodifiableList(parts);
    }
    return node;
  }

  private static Record rebuilt(Record record, UnaryOperator<Record> change) {
    RecordComponent[] components = record.getClass().getRecordComponents();
    @Nullable Object[] values = new Object[components.length];
    boolean same = true;
    for (int i = 0; i < values.length; i++) {
      Object value = component(record, components[i]);
      values[i] = replaced(value, change);
      same &= values[i] == value;
    }
    return same ? record : construct(record, values);
  }

  /** A copy with another value of one component. */
  @SuppressWarnings("unchecked") // the constructor is that of the record's class
  public static <R extends Record> R with(R record, String name, @Nullable Object value) {
    RecordComponent[] components = record.getClass().getRecordComponents();
    @Nullable Object[] values = new Object[components.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = components[i].getName().equals(name) ? value : component(record, components[i]);
    }
    return (R) construct(record, values);
  }

  private static Record construct(Record record, @Nullable Object[] values) {
    Class<?>[] types =
        Arrays.stream(record.getClass().getRecordComponents())
            .map(RecordComponent::getType)
            .toArray(Class<?>[]::new);
    try {
      Constructor<? extends Record> canonical = record.getClass().getDeclaredConstructor(types);
      canonical.setAccessible(true);
      return canonical.newInstance(values);
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException("cannot copy " + record.getClass(), e);
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
