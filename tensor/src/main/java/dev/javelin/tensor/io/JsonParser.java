package dev.javelin.tensor.io;

import dev.javelin.tensor.io.JsonRules.Duplicates;
import dev.javelin.tensor.io.JsonRules.Numbers;
import dev.javelin.tensor.io.JsonRules.Surrogates;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/** Reads JSON from its bytes; see {@link Json} for what it makes of them. */
final class JsonParser {
  private static final int MAX_INTEGER_DIGITS = 20; // of a long, with sign

  private final Path file;
  private final String where; // in the file: "line 7", or empty
  private final byte[] text;
  private final int from;
  private final int to;
  private final JsonRules rules;
  private final List<@Nullable Object> open = new ArrayList<>(); // elements of unfinished arrays
  private long values;
  private int at;

  JsonParser(Path file, String where, byte[] text, int from, int to, JsonRules rules) {
    this.file = file;
    this.where = where;
    this.text = text;
    this.from = from;
    this.to = to;
    this.rules = rules;
  }

  /** The object that is the whole text. */
  SequencedMap<String, @Nullable Object> wholeObject() {
    begin();
    if (peek() != '{') {
      throw error("a JSON object must begin with '{'");
    }
    SequencedMap<String, @Nullable Object> object = object(1);
    end("object");
    return object;
  }

  /** The value that is the whole text. */
  @Nullable Object wholeValue() {
    begin();
    Object value = value(1);
    end("value");
    return value;
  }

  private void begin() {
    at = from;
    if (to - from > rules.maxBytes()) {
      throw tooMuch("larger than " + rules.maxBytes() + " bytes");
    }
    if (to - from >= 3 && text[at] == (byte) 0xEF && text[at + 1] == (byte) 0xBB) {
      at += text[at + 2] == (byte) 0xBF ? 3 : 0; // byte order mark
    }
    skipSpace();
  }

  private void end(String of) {
    skipSpace();
    if (at < to) {
      throw error("text follows the end of the JSON " + of);
    }
  }

  private @Nullable Object value(int depth) {
    if (depth > rules.maxDepth()) {
      throw tooMuch("JSON nested deeper than " + rules.maxDepth());
    }
    if (++values > rules.maxValues()) {
      throw tooMuch("more than " + rules.maxValues() + " values");
    }
    return switch (peek()) {
      case '{' -> object(depth);
      case '[' -> array(depth);
      case '"' -> string();
      case 't' -> word("true", true);
      case 'f' -> word("false", false);
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
      return Collections.unmodifiableSequencedMap(members);
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
      int before = members.size();
      members.put(key, value(depth + 1));
      if (members.size() == before && rules.duplicates() == Duplicates.REFUSE) {
        throw error("the key \"" + Printable.brief(key, 80) + "\" occurs twice");
      }
      skipSpace();
      if (peek() == '}') {
        at++;
        return Collections.unmodifiableSequencedMap(members);
      }
      expect(',');
    }
  }

  private List<@Nullable Object> array(int depth) {
    at++;
    skipSpace();
    if (peek() == ']') {
      at++;
      return List.of();
    }
    int first = open.size();
    while (true) {
      skipSpace();
      open.add(value(depth + 1));
      skipSpace();
      if (peek() == ']') {
        at++;
        List<@Nullable Object> tail = open.subList(first, open.size());
        List<@Nullable Object> elements = Arrays.asList(tail.toArray()); // no spare capacity
        tail.clear();
        return Collections.unmodifiableList(elements);
      }
      expect(',');
    }
  }

  private String string() {
    int start = ++at;
    boolean ascii = true;
    while (at < to && text[at] != '"' && text[at] != '\\') {
      if (text[at] >= 0 && text[at] < ' ') {
        throw error("a control character in a string is not escaped");
      }
      ascii &= text[at++] >= 0;
    }
    if (peek() == '"') {
      checkLength("string", start);
      return decode(start, at++, ascii);
    }
    StringBuilder out = new StringBuilder();
    int plain = start; // what stands from here to at is plain text
    boolean surrogates = false;
    while (peek() != '"') {
      byte b = text[at];
      if (b == '\\') {
        out.append(decode(plain, at++, false));
        char c = escape();
        surrogates |= Character.isSurrogate(c);
        out.append(c);
        plain = at;
      } else if (b >= 0 && b < ' ') {
        throw error("a control character in a string is not escaped");
      } else {
        at++;
      }
    }
    checkLength("string", start);
    out.append(decode(plain, at++, false));
    if (surrogates && rules.surrogates() != Surrogates.KEEP) {
      pair(out);
    }
    return out.toString();
  }

  private void checkLength(String of, int start) {
    if (at - start > rules.maxTextBytes()) {
      throw tooMuch("a " + of + " longer than " + rules.maxTextBytes() + " bytes");
    }
  }

  private String decode(int start, int end, boolean ascii) {
    if (ascii) {
      return new String(text, start, end - start, StandardCharsets.ISO_8859_1);
    }
    String s = new String(text, start, end - start, StandardCharsets.UTF_8);
    if (s.indexOf('\uFFFD') >= 0) { // stands there, or for what is malformed
      try {
        StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text, start, end - start));
      } catch (CharacterCodingException e) {
        throw error("a string is not UTF-8");
      }
    }
    return s;
  }

  private void pair(StringBuilder out) {
    for (int i = 0; i < out.length(); i++) {
      if (!Character.isSurrogate(out.charAt(i))) {
        continue;
      }
      if (i + 1 < out.length() && Character.isSurrogatePair(out.charAt(i), out.charAt(i + 1))) {
        i++;
      } else if (rules.surrogates() == Surrogates.REFUSE) {
        throw error("a string holds half a surrogate pair");
      } else {
        out.setCharAt(i, '\uFFFD');
      }
    }
  }

  private char escape() {
    byte c = peek();
    at++;
    return switch (c) {
      case '"', '\\', '/' -> (char) c;
      case 'b' -> '\b';
      case 'f' -> '\f';
      case 'n' -> '\n';
      case 'r' -> '\r';
      case 't' -> '\t';
      case 'u' -> {
        int code = 0;
        for (int i = 0; i < 4; i++) {
          int digit = Character.digit(peek(), 16);
          if (digit < 0) {
            throw error("four hexadecimal digits are expected after \\u");
          }
          code = 16 * code + digit;
          at++;
        }
        yield (char) code;
      }
      default -> throw error("no such escape in a string");
    };
  }

  private Number number() {
    int start = at;
    at += peek() == '-' ? 1 : 0;
    int first = at;
    digits();
    if (text[first] == '0' && at > first + 1) {
      throw error("a number begins with 0");
    }
    boolean integer = true;
    if (at < to && text[at] == '.') {
      integer = false;
      at++;
      digits();
    }
    if (at < to && (text[at] == 'e' || text[at] == 'E')) {
      integer = false;
      at++;
      at += peek() == '+' || peek() == '-' ? 1 : 0;
      digits();
    }
    checkLength("number", start);
    String written = decode(start, at, true);
    if (rules.numbers() == Numbers.EXACT) {
      return new JsonNumber(written, integer);
    }
    if (integer && fitsLong(written)) {
      return Long.parseLong(written);
    }
    double value = Double.parseDouble(written);
    if (Double.isInfinite(value)) {
      throw error("a number is beyond the range of a double");
    }
    return value;
  }

  static boolean fitsLong(String integer) {
    return integer.length() < MAX_INTEGER_DIGITS - 1
        || (integer.length() <= MAX_INTEGER_DIGITS
            && new BigInteger(integer).bitLength() < Long.SIZE);
  }

  private void digits() {
    int start = at;
    while (at < to && text[at] >= '0' && text[at] <= '9') {
      at++;
    }
    if (at == start) {
      throw error("a value is expected");
    }
  }

  private @Nullable Object word(String word, @Nullable Object value) {
    for (int i = 0; i < word.length(); i++, at++) {
      if (at >= to || text[at] != word.charAt(i)) {
        throw error("a value is expected");
      }
    }
    return value;
  }

  private void skipSpace() {
    while (at < to
        && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) {
      at++;
    }
  }

  private void expect(char c) {
    if (peek() != c) {
      throw error("'" + c + "' is expected");
    }
    at++;
  }

  private byte peek() {
    if (at >= to) {
      throw error("the JSON ends too early");
    }
    return text[at];
  }

  private FileFormatException tooMuch(String what) {
    return error(what + ", too much for " + rules.kind());
  }

  private FileFormatException error(String what) {
    return new FileFormatException(file, place() + ": " + what, rules.remedy());
  }

  /** Where parsing stands, {@code "line 3, byte 57"}; bytes count from the text's first, 0. */
  private String place() {
    int line = 1;
    for (int i = from; i < Math.min(at, to); i++) {
      line += text[i] == '\n' ? 1 : 0;
    }
    String named = where.isEmpty() && line > 1 ? "line " + line : where;
    return named + (named.isEmpty() ? "" : ", ") + "byte " + (at - from);
  }
}
