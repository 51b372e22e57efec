package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/**
 * The decoders of {@code tokenizer.json}: from a list of tokens to pieces of text, then joined.
 *
 * @param steps from tokens to pieces
 * @param byteLevel whether tokens are {@link ByteSymbols}
 * @param byteFallback whether {@code <0x41>} stands for a byte
 */
record Decoding(UnaryOperator<List<String>> steps, boolean byteLevel, boolean byteFallback) {
  private static final Pattern BYTE = Pattern.compile("<0x([0-9A-Fa-f]{2})>");

  /** What BERT's decoder writes together again, in order. */
  private static final String[][] CLEANUP = {
    {" .", "."},
    {" ?", "?"},
    {" !", "!"},
    {" ,", ","},
    {" ' ", "'"},
    {" n't", "n't"},
    {" 'm", "'m"},
    {" do not", " don't"},
    {" 's", "'s"},
    {" 've", "'ve"},
    {" 're", "'re"},
  };

  static final Decoding BYTES = new Decoding(Decoding::byteLevel, true, false);

  static Decoding read(JsonObject parent, String key) {
    if (!parent.has(key)) {
      return new Decoding(tokens -> List.of(String.join(" ", tokens)), false, false);
    }
    List<UnaryOperator<List<String>>> steps = new ArrayList<>();
    Set<String> types = new HashSet<>();
    read(parent.object(key), steps, types);
    return new Decoding(
        steps.size() == 1 ? steps.getFirst() : sequence(steps),
        types.contains("ByteLevel"),
        types.contains("ByteFallback"));
  }

  /** Appends what {@code json} does; a sequence in a sequence is one sequence. */
  private static void read(
      JsonObject json, List<UnaryOperator<List<String>>> steps, Set<String> types) {
    String type = json.text("type");
    types.add(type);
    switch (type) {
      case "ByteLevel" ->
          add(steps, Decoding::byteLevel, json, "add_prefix_space", "trim_offsets", "use_regex");
      case "ByteFallback" -> add(steps, Decoding::byteFallback, json);
      case "Fuse" -> add(steps, Decoding::fuse, json);
      case "Replace" -> add(steps, each(Normalization.replace(json)), json, "pattern", "content");
      case "Strip" -> add(steps, strip(json), json, "content", "start", "stop");
      case "Metaspace" ->
          add(
              steps,
              metaspace(json),
              json,
              "replacement",
              "str_rep",
              "add_prefix_space",
              "prepend_scheme",
              "split");
      case "WordPiece" -> add(steps, wordPiece(json), json, "prefix", "cleanup");
      case "BPEDecoder" -> add(steps, words(json.text("suffix", "</w>")), json, "suffix");
      case "CTC" -> add(steps, ctc(json), json, "pad_token", "word_delimiter_token", "cleanup");
      case "Sequence" -> {
        TokenizerJson.known(json, "type", "decoders");
        json.objects("decoders").forEach(part -> read(part, steps, types));
      }
      default ->
          throw TokenizerJson.unsupported(
              json,
              "type",
              "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, WordPiece, BPEDecoder,"
                  + " CTC and Sequence");
    }
  }

  private static void add(
      List<UnaryOperator<List<String>>> steps,
      UnaryOperator<List<String>> step,
      JsonObject json,
      String... keys) {
    TokenizerJson.known(json, "type", keys);
    steps.add(step);
  }

  static UnaryOperator<List<String>> each(UnaryOperator<String> one) {
    return tokens -> tokens.stream().map(one).toList();
  }

  static UnaryOperator<List<String>> sequence(List<UnaryOperator<List<String>>> steps) {
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

  static List<String> fuse(List<String> tokens) {
    return List.of(String.join("", tokens));
  }

  static List<String> byteLevel(List<String> tokens) {
    ByteArrayOutputStream utf8 = new ByteArrayOutputStream();
    tokens.forEach(token -> ByteSymbols.appendBytes(token, utf8));
    return List.of(utf8.toString(StandardCharsets.UTF_8));
  }

  /** A run of byte tokens is read as UTF-8 as a whole, or is one U+FFFD a byte. */
  static List<String> byteFallback(List<String> tokens) {
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
    boolean prepended = !PreTokenization.prependScheme(json).equals("never");
    return indexed((token, i) -> token.replace(mark, i == 0 && prepended ? "" : " "));
  }

  private static String cleanup(String text) {
    String clean = text;
    for (String[] pair : CLEANUP) {
      clean = clean.replace(pair[0], pair[1]);
    }
    return clean;
  }

  private static UnaryOperator<List<String>> wordPiece(JsonObject json) {
    String prefix = json.text("prefix", "##");
    boolean cleanup = json.flag("cleanup", true);
    return indexed(
        (token, i) -> {
          String text =
              i == 0
                  ? token
                  : token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
          return cleanup ? cleanup(text) : text;
        });
  }

  /** The suffix of a word is the space behind it, but for the last. */
  private static UnaryOperator<List<String>> words(String suffix) {
    return tokens -> {
      List<String> pieces = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        boolean last = pieces.size() + 1 == tokens.size();
        pieces.add(token.replace(suffix, last ? "" : " "));
      }
      return pieces;
    };
  }

  private static UnaryOperator<List<String>> ctc(JsonObject json) {
    String pad = json.text("pad_token", "<pad>");
    String delimiter = json.text("word_delimiter_token", "|");
    boolean cleanup = json.flag("cleanup", true);
    return tokens -> {
      List<String> pieces = new ArrayList<>(tokens.size());
      String before = null;
      for (String token : tokens) {
        if (!token.equals(before)) {
          String text = token.replace(pad, "");
          text = cleanup ? cleanup(text).replace(delimiter, " ") : text;
          if (!text.isEmpty()) {
            pieces.add(text);
          }
        }
        before = token;
      }
      return pieces;
    };
  }

  /** A token, and which one it is. */
  private interface Indexed {
    String apply(String token, int index);
  }

  private static UnaryOperator<List<String>> indexed(Indexed one) {
    return tokens -> {
      List<String> pieces = new ArrayList<>(tokens.size());
      for (String token : tokens) {
        pieces.add(one.apply(token, pieces.size()));
      }
      return pieces;
    };
  }
}
