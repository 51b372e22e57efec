package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The token of each id. Two tokens of one id, or two ids of one token, are refused. */
final class TokenNames {
  private final Map<String, Integer> ids = new HashMap<>();
  private String[] names;
  private int size;

  TokenNames(Map<String, Integer> vocabulary) {
    int largest = vocabulary.values().stream().mapToInt(id -> id).max().orElse(-1);
    size = largest + 1;
    names = new String[size];
    for (Map.Entry<String, Integer> entry : vocabulary.entrySet()) {
      names[entry.getValue()] = entry.getKey();
    }
    ids.putAll(vocabulary);
  }

  /**
   * Tokens of a list, where one may occur twice.
   *
   * @param tokens by id
   */
  TokenNames(Map<String, Integer> vocabulary, String... tokens) {
    ids.putAll(vocabulary);
    names = tokens.clone();
    size = tokens.length;
  }

  /**
   * @throws FileFormatException that names {@code key} of {@code where}
   */
  void add(AddedTokens.Token token, JsonObject where, String key) {
    String clash = add(token);
    if (clash != null) {
      throw where.error(key, clash);
    }
  }

  /**
   * @throws IllegalArgumentException where the file has the token or the id already
   */
  void add(AddedTokens.Token token, Path file) {
    String clash = add(token);
    if (clash != null) {
      throw new IllegalArgumentException(file + ": a special token " + clash);
    }
  }

  /** What forbids the token, or null. */
  private @Nullable String add(AddedTokens.Token token) {
    int id = token.id();
    String gives = "gives " + JsonObject.brief(token.content()) + " the id " + id;
    Integer known = ids.get(token.content());
    if (known != null) {
      return known == id ? null : gives + ", but it has " + known;
    }
    if (id < size && names[id] != null) {
      return gives + " of " + JsonObject.brief(names[id]);
    }
    if (id >= names.length) {
      names = Arrays.copyOf(names, Math.max(id + 1, names.length + 256));
    }
    size = Math.max(size, id + 1);
    names[id] = token.content();
    ids.put(token.content(), id);
    return null;
  }

  @Nullable Integer id(String token) {
    return ids.get(token);
  }

  int size() {
    return size;
  }

  List<@Nullable String> list() {
    return Arrays.asList(Arrays.copyOf(names, size));
  }
}
