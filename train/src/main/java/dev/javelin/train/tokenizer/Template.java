package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the post-processor of {@code tokenizer.json} puts around a text, or around two.
 *
 * @param single for one text
 * @param pair for two
 */
record Template(List<Piece> single, List<Piece> pair) {
  /** A part of what is encoded. */
  sealed interface Piece {
    /** Tells the first text from the second where a model asks for it. */
    int typeId();
  }

  /** A text, the first or the second. */
  record Text(boolean second, int typeId) implements Piece {}

  /** A token. */
  record Token(int id, int typeId) implements Piece {}

  private static final List<Piece> ALONE = List.of(new Text(false, 0));

  static final Template NONE = new Template(ALONE, List.of(new Text(false, 0), new Text(true, 1)));

  /** A token before a text and one behind it, null for none. */
  static Template around(@Nullable Integer before, @Nullable Integer behind) {
    List<Piece> single = new ArrayList<>();
    List<Piece> pair = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      if (before != null) {
        pair.add(new Token(before, i));
      }
      pair.add(new Text(i == 1, i));
      if (behind != null) {
        pair.add(new Token(behind, i));
      }
      if (i == 0) {
        single.addAll(pair);
      }
    }
    return new Template(List.copyOf(single), List.copyOf(pair));
  }

  /** Whether a token stands before a single text. */
  boolean begins() {
    return single.getFirst() instanceof Token;
  }

  /** Whether a token stands behind a single text. */
  boolean ends() {
    return single.getLast() instanceof Token;
  }

  /**
   * Reads {@code parent.key}, where it is there.
   *
   * @param vocabSize of the tokenizer
   */
  static Template read(JsonObject parent, String key, int vocabSize) {
    return parent.has(key) ? read(parent.object(key), vocabSize) : NONE;
  }

  private static Template read(JsonObject json, int vocabSize) {
    return switch (json.text("type")) {
      case "ByteLevel" -> { // offsets only
        TokenizerJson.known(json, "type", "add_prefix_space", "trim_offsets", "use_regex");
        yield NONE;
      }
      case "BertProcessing" -> {
        TokenizerJson.known(json, "type", "sep", "cls");
        yield bert(token(json, "cls", vocabSize), token(json, "sep", vocabSize));
      }
      case "RobertaProcessing" -> {
        TokenizerJson.known(json, "type", "sep", "cls", "trim_offsets", "add_prefix_space");
        yield roberta(token(json, "cls", vocabSize), token(json, "sep", vocabSize));
      }
      case "TemplateProcessing" -> {
        TokenizerJson.known(json, "type", "single", "pair", "special_tokens");
        List<Piece> single = pieces(json, "single", vocabSize);
        List<Piece> pair = json.has("pair") ? pieces(json, "pair", vocabSize) : NONE.pair();
        require(json, "single", single, true, false);
        require(json, "pair", pair, true, true);
        yield new Template(single, pair);
      }
      case "Sequence" -> sequence(json, vocabSize);
      default ->
          throw TokenizerJson.unsupported(
              json,
              "type",
              "ByteLevel, TemplateProcessing, BertProcessing, RobertaProcessing and Sequence");
    };
  }

  private static Template sequence(JsonObject json, int vocabSize) {
    TokenizerJson.known(json, "type", "processors");
    Template all = NONE;
    for (JsonObject part : json.objects("processors")) {
      Template next = read(part, vocabSize);
      if (all != NONE && next != NONE) {
        throw part.error(
            "type",
            JsonObject.brief(part.text("type"))
                + " follows another that adds tokens, which is not supported");
      }
      all = next == NONE ? all : next;
    }
    return all;
  }

  static Template bert(int cls, int sep) {
    return new Template(
        List.of(new Token(cls, 0), new Text(false, 0), new Token(sep, 0)),
        List.of(
            new Token(cls, 0),
            new Text(false, 0),
            new Token(sep, 0),
            new Text(true, 1),
            new Token(sep, 1)));
  }

  private static Template roberta(int cls, int sep) {
    return new Template(
        bert(cls, sep).single(),
        List.of(
            new Token(cls, 0),
            new Text(false, 0),
            new Token(sep, 0),
            new Token(sep, 0),
            new Text(true, 0),
            new Token(sep, 0)));
  }

  /** {@code ["[SEP]", 102]} */
  private static int token(JsonObject json, String key, int vocabSize) {
    List<@Nullable Object> pair = json.array(key);
    if (pair.size() != 2
        || !(pair.get(0) instanceof String)
        || !(pair.get(1) instanceof Long id)
        || id < 0
        || id >= vocabSize) {
      throw json.error(
          key, "must be a token and its id below " + vocabSize + ", got " + JsonObject.brief(pair));
    }
    return id.intValue();
  }

  private static List<Piece> pieces(JsonObject json, String key, int vocabSize) {
    List<Piece> pieces = new ArrayList<>();
    for (JsonObject part : json.objects(key)) {
      if (part.has("SpecialToken")) {
        JsonObject named = part.object("SpecialToken");
        int typeId = named.integer("type_id", 0, Integer.MAX_VALUE, 0);
        JsonObject special = json.object("special_tokens").object(named.text("id"));
        for (Object id : special.array("ids")) {
          if (!(id instanceof Long n) || n < 0 || n >= vocabSize) {
            throw special.error(
                "ids", "must be ids below " + vocabSize + ", got " + JsonObject.brief(id));
          }
          pieces.add(new Token(n.intValue(), typeId));
        }
      } else {
        JsonObject text = part.object("Sequence");
        String id = text.text("id");
        if (!id.equals("A") && !id.equals("B")) {
          throw TokenizerJson.unsupported(text, "id", "A and B");
        }
        pieces.add(new Text(id.equals("B"), text.integer("type_id", 0, Integer.MAX_VALUE, 0)));
      }
    }
    return List.copyOf(pieces);
  }

  private static void require(
      JsonObject json, String key, List<Piece> pieces, boolean first, boolean second) {
    List<Boolean> texts = new ArrayList<>();
    for (Piece piece : pieces) {
      if (piece instanceof Text text) {
        texts.add(text.second());
      }
    }
    if (texts.contains(false) != first || texts.contains(true) != second || texts.size() > 2) {
      throw json.error(key, "must have a place for " + (second ? "both texts" : "the text"));
    }
  }
}
