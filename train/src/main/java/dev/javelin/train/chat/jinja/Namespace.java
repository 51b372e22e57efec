package dev.javelin.train.chat.jinja;

import java.util.HashMap;
import java.util.Map;

/** The one thing a template can write to across scopes. */
final class Namespace {
  private final Map<String, Object> values = new HashMap<>();

  void set(String name, Object value) {
    values.put(name, value);
  }

  Object get(String name) {
    return values.getOrDefault(name, new Undefined("'" + name + "' of a namespace"));
  }
}
