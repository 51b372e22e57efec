package dev.javelin.train.tokenizer;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * What sentencepiece writes into {@code tokenizer.model}, as far as encoding and decoding need it.
 *
 * @see <a
 *     href="https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto">sentencepiece_model.proto</a>
 */
record SentencePieceFile(List<Piece> pieces, Trainer trainer, Normalizer normalizer) {
  /** What a piece is for. */
  enum Type {
    NORMAL,
    UNKNOWN,
    CONTROL,
    USER_DEFINED,
    UNUSED,
    BYTE
  }

  record Piece(String text, float score, Type type) {}

  /**
   * @param modelType 1 is Unigram, 2 is BPE
   * @param suffix whether white space ends a word rather than begins one
   * @param bos id of the token that begins a text, or -1
   * @param eos id of the token that ends one, or -1
   */
  record Trainer(int modelType, boolean suffix, boolean byteFallback, int bos, int eos) {}

  /**
   * @param charsMap empty for none
   * @param dummyPrefix put white space before a text
   * @param removeExtraSpaces at the ends, and all but one of several
   * @param escapeSpaces write {@code ▁} for a space
   */
  record Normalizer(
      ByteBuffer charsMap, boolean dummyPrefix, boolean removeExtraSpaces, boolean escapeSpaces) {
    static final Normalizer DEFAULT = new Normalizer(ByteBuffer.allocate(0), true, true, true);
  }

  /**
   * @throws IllegalArgumentException for a damaged file, with what is wrong with it
   */
  static SentencePieceFile read(ByteBuffer bytes) {
    ProtoReader in = new ProtoReader(bytes);
    List<Piece> pieces = new ArrayList<>();
    Trainer trainer = new Trainer(1, false, false, 1, 2);
    Normalizer normalizer = Normalizer.DEFAULT;
    for (int field = in.next(); field != 0; field = in.next()) {
      switch (field) {
        case 1 -> {
          pieces.add(piece(new ProtoReader(in.bytes())));
          if (pieces.size() > TokenizerJson.LARGEST_ID) {
            throw new IllegalArgumentException(
                "it has more than " + TokenizerJson.LARGEST_ID + " pieces");
          }
        }
        case 2 -> trainer = trainer(new ProtoReader(in.bytes()));
        case 3 -> normalizer = normalizer(new ProtoReader(in.bytes()));
        case 5 -> {
          if (normalizer(new ProtoReader(in.bytes())).charsMap().hasRemaining()) {
            throw new IllegalArgumentException("its denormalizer is not supported");
          }
        }
        default -> in.ignore();
      }
    }
    return new SentencePieceFile(List.copyOf(pieces), trainer, normalizer);
  }

  private static Piece piece(ProtoReader in) {
    String text = "";
    float score = 0;
    Type type = Type.NORMAL;
    for (int field = in.next(); field != 0; field = in.next()) {
      switch (field) {
        case 1 -> text = in.text();
        case 2 -> score = in.number();
        case 3 -> {
          int number = in.integer();
          if (number < 1 || number > Type.values().length) {
            throw new IllegalArgumentException("a piece has the unknown type " + number);
          }
          type = Type.values()[number - 1];
        }
        default -> in.ignore();
      }
    }
    if (text.isEmpty() || text.indexOf('\0') >= 0 || !Float.isFinite(score)) {
      throw new IllegalArgumentException("a piece is empty, or its score is not a number");
    }
    return new Piece(text, score, type);
  }

  private static Trainer trainer(ProtoReader in) {
    int modelType = 1;
    boolean suffix = false;
    boolean byteFallback = false;
    int bos = 1;
    int eos = 2;
    for (int field = in.next(); field != 0; field = in.next()) {
      switch (field) {
        case 3 -> modelType = in.integer();
        case 24 -> suffix = in.flag();
        case 35 -> byteFallback = in.flag();
        case 41 -> bos = in.integer();
        case 42 -> eos = in.integer();
        default -> in.ignore();
      }
    }
    return new Trainer(modelType, suffix, byteFallback, bos, eos);
  }

  private static Normalizer normalizer(ProtoReader in) {
    ByteBuffer charsMap = Normalizer.DEFAULT.charsMap();
    boolean dummyPrefix = true;
    boolean removeExtraSpaces = true;
    boolean escapeSpaces = true;
    for (int field = in.next(); field != 0; field = in.next()) {
      switch (field) {
        case 2 -> charsMap = in.bytes();
        case 3 -> dummyPrefix = in.flag();
        case 4 -> removeExtraSpaces = in.flag();
        case 5 -> escapeSpaces = in.flag();
        default -> in.ignore();
      }
    }
    return new Normalizer(charsMap, dummyPrefix, removeExtraSpaces, escapeSpaces);
  }
}
