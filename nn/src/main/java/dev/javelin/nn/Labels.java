package dev.javelin.nn;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The classes of a classifier by name, in the order of its outputs; {@code id2label} and {@code
 * label2id} of {@code config.json}.
 *
 * @param names at least one, each once
 */
public record Labels(List<String> names) {
  private static final int MOST = 1 << 20;

  public Labels {
    names = List.copyOf(names);
    if (names.isEmpty() || new HashSet<>(names).size() != names.size()) {
      throw new IllegalArgumentException(
          "labels must be at least one and each a name of its own, got " + names);
    }
  }

  /** {@code LABEL_0}, {@code LABEL_1} …, as transformers calls those without names. */
  public static Labels numbered(int count) {
    List<String> names = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      names.add("LABEL_" + i);
    }
    return new Labels(names);
  }

  /** How many there are. */
  public int count() {
    return names.size();
  }

  /** The place of a label by its name, or by its number; −1 where there is none such. */
  public int indexOf(String label) {
    int index = names.indexOf(label);
    if (index < 0 && label.matches("\\d{1,9}") && Integer.parseInt(label) < count()) {
      index = Integer.parseInt(label);
    }
    return index;
  }

  /**
   * Those of a {@code config.json}; two numbered ones where it has none, as transformers takes it.
   *
   * @throws FileFormatException where ids are not 0, 1, 2 … or names are not text
   */
  static Labels read(JsonObject json) {
    if (!json.has("id2label")) {
      return numbered(json.integer("num_labels", 1, MOST, 2));
    }
    JsonObject map = json.object("id2label");
    List<String> names = new ArrayList<>();
    for (int i = 0; i < map.members().size(); i++) {
      String id = Integer.toString(i);
      if (!map.has(id)) {
        throw json.error("id2label", "must have the ids 0 to " + (map.members().size() - 1));
      }
      names.add(map.text(id));
    }
    try {
      return new Labels(names);
    } catch (IllegalArgumentException e) {
      throw json.error("id2label", "must name each class once, and at least one");
    }
  }

  /** Puts both maps. */
  void write(Map<String, @Nullable Object> json) {
    Map<String, Object> byId = new LinkedHashMap<>();
    Map<String, Object> byName = new LinkedHashMap<>();
    for (int i = 0; i < count(); i++) {
      byId.put(Integer.toString(i), names.get(i));
      byName.put(names.get(i), (long) i);
    }
    json.put("id2label", byId);
    json.put("label2id", byName);
  }
}
