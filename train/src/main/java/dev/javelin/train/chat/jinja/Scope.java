package dev.javelin.train.chat.jinja;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Variables. A loop, a macro and a block have their own, and see those around them. */
final class Scope {
  private final @Nullable Scope outer;
  private final Map<String, Object> values = new HashMap<>();

  Scope(@Nullable Scope outer) {
    this.outer = outer;
  }

  Object get(String name) {
    for (Scope scope = this; scope != null; scope = scope.outer) {
      Object value = scope.values.get(name);
      if (value != null) {
        return value;
      }
    }
    return new Undefined("'" + name + "'");
  }

  void set(String name, Object value) {
    values.put(name, value);
  }
}
