package dev.javelin.train.xray;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonRules;
import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * X-rays as JSON, one in a line: the components of {@link Xray} and of its records under their
 * names. NaN is {@code null}, an infinity the text {@code "Infinity"}.
 */
public final class XrayFile {
  private static final JsonRules RULES =
      new JsonRules(
          "an X-ray",
          1 << 30,
          32,
          100_000_000,
          1 << 24,
          JsonRules.Duplicates.REFUSE,
          JsonRules.Surrogates.KEEP,
          JsonRules.Numbers.BINARY,
          "remove the file");

  private XrayFile() {}

  /** Writes all of them anew. */
  public static void write(Path file, List<Xray> all) {
    StringBuilder text = new StringBuilder();
    for (Xray one : all) {
      text.append(Json.writeCompact(plain(one))).append('\n');
    }
    AtomicFile.write(file, text.toString());
  }

  /**
   * Reads what {@link #write} has written.
   *
   * @throws FileFormatException where it is something else
   */
  public static List<Xray> read(Path file) {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new FileFormatException(file, "cannot be read (" + e + ")", "check its permissions");
    }
    return parse(file, bytes);
  }

  static List<Xray> parse(Path file, byte[] bytes) {
    List<Xray> all = new ArrayList<>();
    int from = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] == '\n') {
        String line = "line " + (all.size() + 1);
        Object value = Json.parseValue(file, line, bytes, from, i, RULES);
        try {
          all.add((Xray) record(Xray.class, value));
        } catch (ReflectiveOperationException | RuntimeException e) {
          throw new FileFormatException(
              file, line + " is no X-ray (" + cause(e) + ")", "remove the file");
        }
        from = i + 1;
      }
    }
    if (from < bytes.length) {
      throw new FileFormatException(
          file, "ends in the middle of a line", "remove the file, or what follows the last line");
    }
    return all;
  }

  private static String cause(Exception e) {
    Throwable t = e instanceof InvocationTargetException i ? i.getTargetException() : e;
    return t.getMessage() == null ? t.getClass().getSimpleName() : t.getMessage();
  }

  private static @Nullable Object plain(@Nullable Object value) {
    return switch (value) {
      case null -> null;
      case Record r -> members(r);
      case List<?> l -> l.stream().map(XrayFile::plain).toList();
      case float[] f ->
          IntStream.range(0, f.length).mapToObj(i -> Double.valueOf(Float.toString(f[i]))).toList();
      case Double d -> d.isInfinite() ? (Object) d.toString() : d;
      default ->
          value.getClass().isArray()
              ? IntStream.range(0, Array.getLength(value))
                  .mapToObj(i -> plain(Array.get(value, i)))
                  .collect(ArrayList::new, ArrayList::add, ArrayList::addAll)
              : value;
    };
  }

  private static Map<String, @Nullable Object> members(Record r) {
    Map<String, @Nullable Object> members = new LinkedHashMap<>();
    try {
      for (RecordComponent c : r.getClass().getRecordComponents()) {
        members.put(c.getName(), plain(c.getAccessor().invoke(r)));
      }
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
    return members;
  }

  private static @Nullable Object value(Type type, @Nullable Object json)
      throws ReflectiveOperationException {
    if (type instanceof ParameterizedType list) {
      List<@Nullable Object> values = new ArrayList<>();
      for (Object one : list(json)) {
        values.add(value(list.getActualTypeArguments()[0], one));
      }
      return values;
    }
    Class<?> plain = (Class<?>) type;
    if (plain.isArray()) {
      List<?> values = list(json);
      Object array = Array.newInstance(plain.componentType(), values.size());
      for (int i = 0; i < values.size(); i++) {
        Array.set(array, i, value(plain.componentType(), values.get(i)));
      }
      return array;
    }
    if (plain == double.class) {
      return json == null
          ? Double.NaN
          : json instanceof String s ? Double.parseDouble(s) : ((Number) json).doubleValue();
    }
    if (plain == float.class) {
      return json == null ? Float.NaN : ((Number) json).floatValue();
    }
    if (json == null) {
      return null;
    }
    if (plain == int.class || plain == Integer.class) {
      return Math.toIntExact((Long) json);
    }
    return plain.isRecord() ? record(plain, json) : json;
  }

  private static List<?> list(@Nullable Object json) {
    if (json instanceof List<?> list) {
      return list;
    }
    throw new IllegalArgumentException("a list is missing");
  }

  private static Object record(Class<?> type, @Nullable Object json)
      throws ReflectiveOperationException {
    if (!(json instanceof Map<?, ?> members)) {
      throw new IllegalArgumentException(type.getSimpleName() + " is missing");
    }
    RecordComponent[] components = type.getRecordComponents();
    @Nullable Object[] values = new Object[components.length];
    for (int i = 0; i < values.length; i++) {
      String name = components[i].getName();
      if (!members.containsKey(name)) {
        throw new IllegalArgumentException(type.getSimpleName() + " has no " + name);
      }
      values[i] = value(components[i].getGenericType(), members.get(name));
    }
    Constructor<?> constructor =
        type.getDeclaredConstructor(
            Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new));
    return constructor.newInstance(values);
  }
}
