package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** The decoders of {@code tokenizer.json}: from a list of tokens to pieces of text, then joined. */
final class Decoding {
  private static final Pattern BYTE = Pattern.compile("<0x([0-9A-Fa-f]{2})>");

  private Decoding() {}

  static UnaryOperator<List<String>> read(JsonObject parent, String key) {
    if (!parent.has(key)) {
      return tokens -> List.of(String.join(" ", tokens));
    }
    List<UnaryOperator<List<String>>> steps = new ArrayList<>();
    read(parent.object(key), steps);
    return steps.size() == 1 ? steps.getFirst() : sequence(steps);
  }

  /** Appends what {@code json} does; a sequence in a sequence is one sequence. */
  private static void read(JsonObject json, List<UnaryOperator<List<String>>> steps) {
    switch (json.text("type")) {
      case "ByteLevel" -> steps.add(Decoding::byteLevel);
      case "ByteFallback" -> steps.add(Decoding::byteFallback);
      case "Fuse" -> steps.add(tokens -> List.of(String.join("", tokens)));
      case "Replace" -> steps.add(each(Normalization.replace(json)));
      case "Strip" -> steps.add(strip(json));
      case "Metaspace" -> steps.add(metaspace(json));
      case "Sequence" -> json.objects("decoders").forEach(part -> read(part, steps));
      default ->
          throw TokenizerJson.unsupported(
              json,
              "type",
              "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace and Sequence");
    }
  }

  private static UnaryOperator<List<String>> each(UnaryOperator<String> one) {
    return tokens -> tokens.stream().map(one).toList();
  }

  private static UnaryOperator<List<String>> sequence(List<UnaryOperator<List<String>>> steps) {
    return tokens -> {
      long before = length(tokens);
      List<String> result = tokens;
      for (UnaryOperator<List<String>> step : steps) {
        result = step.apply(result);
        Normalization.bounded(before, length(result));
      }
      return result;
    };
  }

  private static long length(List<String> tokens) {
    long length = 0;
    for (String token : tokens) {
      length += token.length();
    }
    return length;
  }

  static List<String> byteLevel(List<String> tokens) {
    ByteArrayOutputStream utf8 = new ByteArrayOutputStream();
    tokens.forEach(token -> ByteSymbols.appendBytes(token, utf8));
    return List.of(utf8.toString(StandardCharsets.UTF_8));
  }

  /** A run of byte tokens is read as UTF-8 as a whole, or is one U+FFFD a byte. */
  private static List<String> byteFallback(List<String> tokens) {
    List<String> pieces = new ArrayList<>(tokens.size());
    ByteArrayOutputStream run = new ByteArrayOutputStream();
    for (String token : tokens) {
      var matcher = BYTE.matcher(token);
      if (matcher.matches()) {
        run.write(Integer.parseInt(matcher.group(1), 16));
      } else {
        flush(run, pieces);
        pieces.add(token);
      }
    }
    flush(run, pieces);
    return pieces;
  }

  private static void flush(ByteArrayOutputStream run, List<String> pieces) {
    byte[] bytes = run.toByteArray();
    run.reset();
    if (bytes.length > 0) {
      try {
        pieces.add(StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString());
      } catch (CharacterCodingException e) {
        pieces.add("\uFFFD".repeat(bytes.length));
      }
    }
  }

  private static UnaryOperator<List<String>> strip(JsonObject json) {
    String content = json.text("content");
    if (content.codePointCount(0, content.length()) != 1) {
      throw json.error("content", "must be one character, got " + JsonObject.brief(content));
    }
    int start = json.integer("start", 0, Integer.MAX_VALUE);
    int stop = json.integer("stop", 0, Integer.MAX_VALUE);
    return each(
        token -> {
          int from = 0;
          for (int i = 0; i < start && token.startsWith(content, from); i++) {
            from += content.length();
          }
          int to = token.length();
          for (int i = 0; i < stop && to - content.length() >= from; i++) {
            if (!token.startsWith(content, to - content.length())) {
              break;
            }
            to -= content.length();
          }
          return token.substring(from, to);
        });
  }

  private static UnaryOperator<List<String>> metaspace(JsonObject json) {
    String mark = json.text("replacement", "▁");
    boolean legacyPrefix = json.flag("add_prefix_space", true);
    boolean prepended =
        !json.text("prepend_scheme", legacyPrefix ? "always" : "never").equals("never");
    return tokens -> {
      List<String> pieces = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        boolean first = pieces.isEmpty() && prepended;
        pieces.add(token.replace(mark, first ? "" : " "));
      }
      return pieces;
    };
  }
}
