package dev.javelin.train.settings;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Records taken apart into their components and put together again, with some of them changed. */
final class Components {
  private Components() {}

  /** A copy of {@code record} in which the component called {@code name} is another. */
  static <R extends Record> R with(R record, String name, @Nullable Object value) {
    RecordComponent[] components = record.getClass().getRecordComponents();
    @Nullable Object[] values = values(record);
    int i = 0;
    while (!components[i].getName().equals(name)) {
      i++;
    }
    values[i] = value;
    return copy(record, values);
  }

  static @Nullable Object[] values(Record record) {
    RecordComponent[] components = record.getClass().getRecordComponents();
    @Nullable Object[] values = new Object[components.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = value(record, components[i]);
    }
    return values;
  }

  static @Nullable Object value(Record record, RecordComponent component) {
    try {
      return component.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(component.toString(), e);
    }
  }

  /** Another record of the same class; its constructor checks the values. */
  @SuppressWarnings("unchecked")
  static <R extends Record> R copy(R like, @Nullable Object[] values) {
    Class<?>[] types =
        Arrays.stream(like.getClass().getRecordComponents())
            .map(RecordComponent::getType)
            .toArray(Class<?>[]::new);
    try {
      return (R) like.getClass().getConstructor(types).newInstance(values);
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof RuntimeException refused) {
        throw refused;
      }
      throw new IllegalStateException(like.getClass().toString(), e);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(like.getClass().toString(), e);
    }
  }
}
