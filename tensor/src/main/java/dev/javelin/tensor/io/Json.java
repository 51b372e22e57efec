package dev.javelin.tensor.io;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * JSON, strictly as RFC 8259 writes it, for the small files beside a model: no comments, no
 * trailing commas, no {@code NaN}; nesting at most {@value #MAX_DEPTH} deep; a key that stands
 * twice in an object is refused.
 *
 * <p>An object becomes a {@link SequencedMap} in the file's order, an array a {@link List}, a
 * number a {@link Long} where it is written as an integer and fits, else a {@link Double}; then
 * {@link String}, {@link Boolean} and null. Collections that were read are unmodifiable.
 *
 * @see <a href="https://www.rfc-editor.org/rfc/rfc8259">RFC 8259</a>
 */
public final class Json {
  /** Deeper nesting is refused, so that no input can exhaust the stack. */
  public static final int MAX_DEPTH = 64;

  /** A larger file is refused before it is read. */
  public static final long MAX_BYTES = 256L << 20;

  private static final String REMEDY =
      "the file is damaged or was edited by hand: mend or replace it";

  private final Path file;
  private final String text;
  private int at;

  private Json(Path file, String text) {
    this.file = file;
    this.text = text;
  }

  /**
   * The object that {@code file} holds.
   *
   * @throws FileFormatException if the file is missing, too large, not JSON, or not an object
   */
  public static JsonObject read(Path file) {
    byte[] bytes;
    try {
      if (!Files.isRegularFile(file)) {
        throw new FileFormatException(file, "there is no such file", "check the path");
      }
      if (Files.size(file) > MAX_BYTES) {
        throw new FileFormatException(
            file, "is larger than " + (MAX_BYTES >> 20) + " MiB", "this is no configuration file");
      }
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new FileFormatException(file, "cannot be read (" + e + ")", "check its permissions");
    }
    return parse(file, ByteBuffer.wrap(bytes));
  }

  /**
   * The object written in {@code utf8}; {@code file} is named in errors.
   *
   * @throws FileFormatException if the bytes are not UTF-8, not JSON, or not an object
   */
  public static JsonObject parse(Path file, ByteBuffer utf8) {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(utf8).toString();
    } catch (CharacterCodingException e) {
      throw new FileFormatException(file, "its JSON is not UTF-8", REMEDY);
    }
    Json json = new Json(file, text);
    json.skipSpace();
    if (json.peek() != '{') {
      throw json.error("a JSON object must begin with '{'");
    }
    SequencedMap<String, @Nullable Object> members = json.object(1);
    json.skipSpace();
    if (json.at < text.length()) {
      throw json.error("text follows the end of the JSON object");
    }
    return new JsonObject(file, "", members);
  }

  private @Nullable Object value(int depth) {
    if (depth > MAX_DEPTH) {
      throw error("JSON nested deeper than " + MAX_DEPTH);
    }
    return switch (peek()) {
      case '{' -> object(depth);
      case '[' -> array(depth);
      case '"' -> string();
      case 't' -> word("true", Boolean.TRUE);
      case 'f' -> word("false", Boolean.FALSE);
      case 'n' -> word("null", null);
      default -> number();
    };
  }

  private SequencedMap<String, @Nullable Object> object(int depth) {
    SequencedMap<String, @Nullable Object> members = new LinkedHashMap<>();
    at++;
    skipSpace();
    if (peek() == '}') {
      at++;
      return members;
    }
    while (true) {
      skipSpace();
      if (peek() != '"') {
        throw error("a key in double quotes is expected");
      }
      String key = string();
      skipSpace();
      expect(':');
      skipSpace();
      Object value = value(depth + 1);
      if (members.containsKey(key)) {
        throw error("the key \"" + key + "\" stands twice");
      }
      members.put(key, value);
      skipSpace();
      if (peek() == '}') {
        at++;
        return Collections.unmodifiableSequencedMap(members);
      }
      expect(',');
    }
  }

  private List<@Nullable Object> array(int depth) {
    List<@Nullable Object> elements = new ArrayList<>();
    at++;
    skipSpace();
    if (peek() == ']') {
      at++;
      return elements;
    }
    while (true) {
      skipSpace();
      elements.add(value(depth + 1));
      skipSpace();
      if (peek() == ']') {
        at++;
        return Collections.unmodifiableList(elements);
      }
      expect(',');
    }
  }

  private String string() {
    int from = ++at;
    while (at < text.length() && text.charAt(at) != '"' && text.charAt(at) != '\\') {
      if (text.charAt(at) < ' ') {
        throw error("a control character stands in a string");
      }
      at++;
    }
    if (peek() == '"') {
      return text.substring(from, at++);
    }
    StringBuilder out = new StringBuilder(text.substring(from, at));
    while (peek() != '"') {
      char c = text.charAt(at++);
      if (c < ' ') {
        throw error("a control character stands in a string");
      }
      out.append(c == '\\' ? escape() : c);
    }
    at++;
    for (int i = 0; i < out.length(); i++) {
      boolean pair = Character.isSurrogate(out.charAt(i));
      if (pair
          && (i + 1 == out.length()
              || !Character.isSurrogatePair(out.charAt(i), out.charAt(i + 1)))) {
        throw error("a string holds half a surrogate pair");
      }
      i += pair ? 1 : 0;
    }
    return out.toString();
  }

  private char escape() {
    char c = peek();
    at++;
    return switch (c) {
      case '"', '\\', '/' -> c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> {
        int code = 0;
        for (int i = 0; i < 4; i++) {
          int digit = Character.digit(peek(), 16);
          if (digit < 0 || peek() > 'f') {
            throw error("four hexadecimal digits are expected after \\u");
          }
          code = 16 * code + digit;
          at++;
        }
        yield (char) code;
      }
      default -> throw error("the escape \\" + c + " does not exist");
    };
  }

  private Number number() {
    int from = at;
    at += peek() == '-' ? 1 : 0;
    int first = at;
    digits();
    if (text.charAt(first) == '0' && at > first + 1) {
      throw error("a number begins with 0");
    }
    boolean integer = true;
    if (peekOrEnd() == '.') {
      integer = false;
      at++;
      digits();
    }
    if (peekOrEnd() == 'e' || peekOrEnd() == 'E') {
      integer = false;
      at++;
      at += peek() == '+' || peek() == '-' ? 1 : 0;
      digits();
    }
    String written = text.substring(from, at);
    if (integer && fitsLong(written)) {
      return Long.parseLong(written);
    }
    double value = Double.parseDouble(written);
    if (Double.isInfinite(value)) {
      throw error("a number is beyond the range of a double");
    }
    return value;
  }

  private static boolean fitsLong(String integer) {
    return integer.length() <= 18
        || (integer.length() <= 20 && new BigInteger(integer).bitLength() < Long.SIZE);
  }

  private void digits() {
    int from = at;
    while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
      at++;
    }
    if (at == from) {
      throw error("a value is expected");
    }
  }

  private @Nullable Object word(String word, @Nullable Object value) {
    if (!text.startsWith(word, at)) {
      throw error("a value is expected");
    }
    at += word.length();
    return value;
  }

  private void skipSpace() {
    while (at < text.length() && " \t\n\r".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private void expect(char c) {
    if (peek() != c) {
      throw error("'" + c + "' is expected");
    }
    at++;
  }

  private char peek() {
    if (at >= text.length()) {
      throw error("the JSON ends too early");
    }
    return text.charAt(at);
  }

  private char peekOrEnd() {
    return at < text.length() ? text.charAt(at) : '\0';
  }

  private FileFormatException error(String what) {
    return new FileFormatException(file, what + " (character " + at + ")", REMEDY);
  }

  /**
   * {@code value} as JSON, one member a line and two spaces an indent, as Hugging Face writes it;
   * arrays of plain values stand on one line.
   *
   * @throws IllegalArgumentException for a type with no JSON form, or a number that is not finite
   */
  public static String write(@Nullable Object value) {
    StringBuilder out = new StringBuilder();
    write(out, value, "\n");
    return out.toString();
  }

  /** As {@link #write}, without any space: the header of a safetensors file. */
  public static String writeCompact(@Nullable Object value) {
    StringBuilder out = new StringBuilder();
    write(out, value, "");
    return out.toString();
  }

  private static void write(StringBuilder out, @Nullable Object value, String line) {
    switch (value) {
      case null -> out.append("null");
      case Boolean b -> out.append(b);
      case Integer n -> out.append(n);
      case Long n -> out.append(n);
      case Float n -> out.append(finite(n, Float.toString(n)));
      case Double n -> out.append(finite(n, Double.toString(n)));
      case CharSequence s -> quote(out, s);
      case Map<?, ?> map -> {
        String inner = line.isEmpty() ? "" : line + "  ";
        char before = '{';
        for (Map.Entry<?, ?> member : map.entrySet()) {
          out.append(before).append(inner);
          quote(out, String.valueOf(member.getKey()));
          out.append(line.isEmpty() ? ":" : ": ");
          write(out, member.getValue(), inner);
          before = ',';
        }
        out.append(before == '{' ? "{" : line).append('}');
      }
      case List<?> list -> {
        boolean plain = list.stream().noneMatch(e -> e instanceof Map || e instanceof List);
        String inner = line.isEmpty() || plain ? "" : line + "  ";
        char before = '[';
        for (Object element : list) {
          out.append(before).append(before == ',' && plain && !line.isEmpty() ? " " : inner);
          write(out, element, inner);
          before = ',';
        }
        out.append(before == '[' ? "[" : plain ? "" : line).append(']');
      }
      default -> throw new IllegalArgumentException("json: no form for " + value.getClass());
    }
  }

  private static String finite(double number, String written) {
    if (!Double.isFinite(number)) {
      throw new IllegalArgumentException("json: a number must be finite, got " + number);
    }
    return written;
  }

  private static void quote(StringBuilder out, CharSequence s) {
    out.append('"');
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          if (c < ' ' || c == 0x7f) {
            out.append(String.format("\\u%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
