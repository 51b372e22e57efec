package dev.javelin.tensor.io;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * JSON, strictly as RFC 8259 writes it: UTF-8, no comments, no trailing commas, no {@code NaN},
 * nothing behind the value; a byte order mark before it is skipped. {@link JsonRules} say how large
 * and how deep a text may be and what is made of repeated keys, halves of surrogate pairs and
 * numbers.
 *
 * <p>An object becomes a {@link SequencedMap} in the file's order, an array a {@link List}, a
 * number a {@link Long} where it is written as an integer and fits, else a {@link Double} ({@link
 * JsonNumber} if so asked); then {@link String}, {@link Boolean} and null. Collections that were
 * read are unmodifiable.
 *
 * <p>Whatever the bytes are, only {@link FileFormatException} comes out, with line and byte; memory
 * is bounded by the rules. Thread-safe: it holds nothing.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc8259">RFC 8259</a>
 */
public final class Json {
  private Json() {}

  /** The object that a configuration file holds: {@link JsonRules#CONFIG}. */
  public static JsonObject read(Path file) {
    return read(file, JsonRules.CONFIG);
  }

  /**
   * The object that {@code file} holds.
   *
   * @throws FileFormatException if the file is missing, too large, not JSON, or not an object
   */
  public static JsonObject read(Path file, JsonRules rules) {
    byte[] bytes;
    try {
      if (!Files.isRegularFile(file)) {
        throw new FileFormatException(file, "there is no such file", "check the path");
      }
      try (InputStream in = Files.newInputStream(file)) { // it may grow while it is read
        bytes =
            Files.size(file) > rules.maxBytes() ? null : in.readNBytes((int) rules.maxBytes() + 1);
      }
    } catch (IOException e) {
      throw new FileFormatException(file, "cannot be read (" + e + ")", "check its permissions");
    }
    if (bytes == null || bytes.length > rules.maxBytes()) {
      throw new FileFormatException(
          file,
          "is larger than " + rules.maxBytes() + " bytes, too much for " + rules.kind(),
          rules.remedy());
    }
    return parse(file, "", bytes, 0, bytes.length, rules);
  }

  /** The object written in {@code utf8}, as {@link JsonRules#CONFIG} has it. */
  public static JsonObject parse(Path file, ByteBuffer utf8) {
    return parse(file, utf8, JsonRules.CONFIG);
  }

  /**
   * The object written in {@code utf8}; {@code file} is named in errors.
   *
   * @throws FileFormatException if the bytes are too many, not JSON, or not an object
   */
  public static JsonObject parse(Path file, ByteBuffer utf8, JsonRules rules) {
    byte[] bytes = new byte[utf8.remaining()];
    utf8.get(bytes);
    return parse(file, "", bytes, 0, bytes.length, rules);
  }

  /**
   * The object that is bytes {@code from} to {@code to} of {@code utf8}.
   *
   * @param where the place of the text in the file, {@code "line 7"}, for errors; or empty
   * @throws FileFormatException if they are too many, not JSON, or not an object
   */
  public static JsonObject parse(
      Path file, String where, byte[] utf8, int from, int to, JsonRules rules) {
    return new JsonObject(
        file, "", new JsonParser(file, where, utf8, from, to, rules).wholeObject());
  }

  /** As {@link #parse(Path, String, byte[], int, int, JsonRules)}, for a value of any kind. */
  public static @Nullable Object parseValue(
      Path file, String where, byte[] utf8, int from, int to, JsonRules rules) {
    return new JsonParser(file, where, utf8, from, to, rules).wholeValue();
  }

  /**
   * {@code value} as JSON, one member a line and two spaces an indent, as Hugging Face writes it;
   * arrays of plain values stand on one line. JSON has no name for NaN and the infinities: they
   * become {@code null}, which {@link JsonObject} reads as absent. Half a surrogate pair is written
   * as an escape.
   *
   * @throws IllegalArgumentException for a type with no JSON form
   */
  public static String write(@Nullable Object value) {
    StringBuilder out = new StringBuilder();
    write(out, value, "\n", Integer.MAX_VALUE);
    return out.toString();
  }

  /** As {@link #write}, without any space: a line of JSONL, the header of a safetensors file. */
  public static String writeCompact(@Nullable Object value) {
    return writeStart(value, Integer.MAX_VALUE);
  }

  /** A beginning of {@link #writeCompact}, longer than {@code enough} characters if it is cut. */
  static String writeStart(@Nullable Object value, int enough) {
    StringBuilder out = new StringBuilder();
    write(out, value, "", enough);
    return out.toString();
  }

  private static void write(StringBuilder out, @Nullable Object value, String line, int enough) {
    switch (value) {
      case null -> out.append("null");
      case Boolean b -> out.append(b);
      case Integer n -> out.append(n);
      case Long n -> out.append(n);
      case JsonNumber n -> out.append(n);
      case Float n -> out.append(Float.isFinite(n) ? n.toString() : "null");
      case Double n -> out.append(Double.isFinite(n) ? n.toString() : "null");
      case CharSequence s -> quote(out, s, enough);
      case JsonObject o -> write(out, o.members(), line, enough);
      case Map<?, ?> map -> {
        String inner = line.isEmpty() ? "" : line + "  ";
        char before = '{';
        for (Map.Entry<?, ?> member : map.entrySet()) {
          if (out.length() > enough) {
            return;
          }
          out.append(before).append(inner);
          quote(out, String.valueOf(member.getKey()), enough);
          out.append(line.isEmpty() ? ":" : ": ");
          write(out, member.getValue(), inner, enough);
          before = ',';
        }
        out.append(before == '{' ? "{" : line).append('}');
      }
      case List<?> list -> {
        boolean plain = list.stream().noneMatch(e -> e instanceof Map || e instanceof List);
        String inner = line.isEmpty() || plain ? "" : line + "  ";
        char before = '[';
        for (Object element : list) {
          if (out.length() > enough) {
            return;
          }
          out.append(before).append(before == ',' && plain && !line.isEmpty() ? " " : inner);
          write(out, element, inner, enough);
          before = ',';
        }
        out.append(before == '[' ? "[" : plain ? "" : line).append(']');
      }
      default -> throw new IllegalArgumentException("json: no form for " + value.getClass());
    }
  }

  private static void quote(StringBuilder out, CharSequence s, int enough) {
    out.append('"');
    for (int i = 0; i < s.length() && out.length() <= enough; i++) {
      char c = s.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (c < ' ' || c == 0x7f || isHalf(s, i)) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }

  private static boolean isHalf(CharSequence s, int i) {
    char c = s.charAt(i);
    return Character.isHighSurrogate(c)
        ? i + 1 == s.length() || !Character.isLowSurrogate(s.charAt(i + 1))
        : Character.isLowSurrogate(c) && (i == 0 || !Character.isHighSurrogate(s.charAt(i - 1)));
  }
}
