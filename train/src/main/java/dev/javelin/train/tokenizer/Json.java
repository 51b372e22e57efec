package dev.javelin.train.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * A value in a JSON file that knows where it stands, so that every complaint names file and key.
 */
record Json(Path file, @Nullable Json parent, Object key, JsonNode node) {
  static final ObjectMapper MAPPER = new ObjectMapper();
  private static final String REMEDY = "take the file as it was published, or write it again";

  static Json parse(Path file, byte[] content) {
    try {
      JsonNode node = MAPPER.readTree(content);
      if (node == null || !node.isObject()) {
        throw new FileFormatException(file, "is not a JSON object", REMEDY);
      }
      return new Json(file, null, "", node);
    } catch (JsonProcessingException e) {
      throw new FileFormatException(file, "is not JSON: " + e.getOriginalMessage(), REMEDY, e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The value under {@code key}, or null where it is absent or null. */
  @Nullable Json find(String key) {
    JsonNode child = node.get(key);
    return child == null || child.isNull() ? null : new Json(file, this, key, child);
  }

  Json get(String key) {
    Json child = find(key);
    if (child == null) {
      throw bad("has no \"" + key + "\"");
    }
    return child;
  }

  String text() {
    if (!node.isTextual()) {
      throw expected("a string");
    }
    return node.textValue();
  }

  String text(String key, String otherwise) {
    Json child = find(key);
    return child == null ? otherwise : child.text();
  }

  boolean flag(String key, boolean otherwise) {
    Json child = find(key);
    if (child == null) {
      return otherwise;
    }
    if (!child.node.isBoolean()) {
      throw child.expected("true or false");
    }
    return child.node.booleanValue();
  }

  /** A token id: a non-negative number. */
  int id() {
    if (!node.isInt() || node.intValue() < 0) {
      throw expected("a token id");
    }
    return node.intValue();
  }

  /** How many items an array has. */
  int size() {
    if (!node.isArray()) {
      throw expected("an array");
    }
    return node.size();
  }

  Json item(int i) {
    return new Json(file, this, i, node.get(i));
  }

  List<Json> items() {
    List<Json> items = new ArrayList<>(size());
    for (int i = 0; i < node.size(); i++) {
      items.add(item(i));
    }
    return items;
  }

  void fields(BiConsumer<String, Json> field) {
    if (!node.isObject()) {
      throw expected("an object");
    }
    node.properties()
        .forEach(e -> field.accept(e.getKey(), new Json(file, this, e.getKey(), e.getValue())));
  }

  FileFormatException expected(String what) {
    String found = node.toString();
    return bad("must be " + what + ", got " + found.substring(0, Math.min(40, found.length())));
  }

  FileFormatException bad(String what) {
    return new FileFormatException(file, (parent == null ? "" : path() + " ") + what, REMEDY);
  }

  private String path() {
    return parent == null ? "" : parent.path() + "/" + key;
  }

  /** A component or value that exists in Hugging Face's format and not here. */
  FileFormatException unsupported(String what, String supported) {
    return new FileFormatException(
        file, path() + " " + what + " is not supported", "supported are " + supported);
  }
}
