package dev.javelin.tensor.io;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * An object read from a JSON file, asked by key and type; every answer that is not as it should be
 * is a {@link FileFormatException} that names file and key. A member that is null counts as absent,
 * as it does in Hugging Face configurations.
 *
 * @param file the file, for errors
 * @param prefix the path to this object in the file, {@code ""} or {@code "rope_parameters."}
 * @param members the values by key, in the file's order, as {@link Json} describes them
 */
public record JsonObject(Path file, String prefix, SequencedMap<String, @Nullable Object> members) {

  private static final int BRIEF = 80; // characters

  /** Whether the key is there with a value other than null. */
  public boolean has(String key) {
    return members.get(key) != null;
  }

  public String text(String key) {
    return of(key, String.class, "text");
  }

  public String text(String key, String absent) {
    return has(key) ? text(key) : absent;
  }

  public boolean flag(String key, boolean absent) {
    return has(key) ? of(key, Boolean.class, "true or false") : absent;
  }

  /** A number as a finite double, written as an integer or not. */
  public double number(String key) {
    double value = of(key, Number.class, "a number").doubleValue();
    if (Double.isInfinite(value)) { // of a JsonNumber
      throw error(key, "must be a number in the range of a double");
    }
    return value;
  }

  public double number(String key, double absent) {
    return has(key) ? number(key) : absent;
  }

  /** An integer in {@code [min, max]}. */
  public int integer(String key, int min, int max) {
    Number number = of(key, Number.class, "an integer");
    if (!(number instanceof Long) && !(number instanceof JsonNumber exact && exact.isLong())) {
      throw error(key, "must be an integer, got " + brief(number));
    }
    long value = number.longValue();
    if (value < min || value > max) {
      throw error(key, "must be from " + min + " to " + max + ", got " + value);
    }
    return (int) value;
  }

  public int integer(String key, int min, int max, int absent) {
    return has(key) ? integer(key, min, max) : absent;
  }

  @SuppressWarnings("unchecked") // Json reads objects as maps of this type only
  public JsonObject object(String key) {
    SequencedMap<String, @Nullable Object> map = of(key, SequencedMap.class, "an object");
    return new JsonObject(file, prefix + key + ".", map);
  }

  @SuppressWarnings("unchecked") // Json reads arrays as lists of this type only
  public List<@Nullable Object> array(String key) {
    return of(key, List.class, "an array");
  }

  /** The objects in an array; errors name them by index, {@code "added_tokens[3].id"}. */
  @SuppressWarnings("unchecked") // Json reads objects as maps of this type only
  public List<JsonObject> objects(String key) {
    List<@Nullable Object> elements = array(key);
    List<JsonObject> objects = new ArrayList<>(elements.size());
    for (int i = 0; i < elements.size(); i++) {
      String name = key + "[" + i + "]";
      if (!(elements.get(i) instanceof SequencedMap<?, ?> map)) {
        throw error(name, "must be an object, got " + brief(elements.get(i)));
      }
      objects.add(
          new JsonObject(file, prefix + name + ".", (SequencedMap<String, @Nullable Object>) map));
    }
    return objects;
  }

  /** A path written as text; relative ones are meant from the working directory. */
  public Path path(String key) {
    try {
      return Path.of(text(key));
    } catch (InvalidPathException e) {
      throw error(key, "must be a path, got " + brief(text(key)));
    }
  }

  /**
   * A file in the directory of this one, written as its bare name: without separators, not hidden,
   * so that it leads nowhere else.
   */
  public Path sibling(String key) {
    String name = text(key);
    boolean bare =
        !name.isEmpty() && !name.startsWith(".") && !name.contains("/") && !name.contains("\\");
    if (bare) {
      try {
        return file.resolveSibling(name);
      } catch (InvalidPathException e) {
        // no path at all: refused below
      }
    }
    throw error(key, "must name a file in this directory, got " + brief(name));
  }

  private <T> T of(String key, Class<T> type, String expected) {
    Object value = members.get(key);
    if (value == null) {
      throw error(key, "is missing");
    }
    if (!type.isInstance(value)) {
      throw error(key, "must be " + expected + ", got " + brief(value));
    }
    return type.cast(value);
  }

  /** What an error says about the key: {@code config.json: rope_theta must be …; …}. */
  public FileFormatException error(String key, String what) {
    return new FileFormatException(
        file, prefix + key + " " + what, "correct the key or use a file that Javelin can read");
  }

  /** The beginning of a value for an error message. */
  public static String brief(@Nullable Object value) {
    return Printable.brief(Json.writeStart(value, BRIEF), BRIEF);
  }
}
