package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.SentencePieceFile.Piece;
import dev.javelin.train.tokenizer.SentencePieceFile.Type;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Reads sentencepiece's {@code tokenizer.model}. Ids are those of sentencepiece; what is put around
 * a prompt, and whether white space goes before a text behind a special token too, follows the
 * tokenizer's class, as in transformers 5.
 *
 * @see <a href="https://arxiv.org/abs/1808.06226">Kudo, Richardson 2018</a>
 */
final class SentencePiece {
  static final List<String> NAMES = List.of("tokenizer.model", "spiece.model");
  private static final String REMEDY = "take the file as it was published";

  /** Of all pieces together, their length times itself: what the search for pairs costs. */
  private static final long MOST_WORK = 2_000_000_000L;

  /** The classes whose rules are known: what they put around a text where nothing is said. */
  private enum Kind {
    LLAMA(
        true,
        false,
        List.of("LlamaTokenizer", "GemmaTokenizer", "BaichuanTokenizer", "InternLMTokenizer"),
        List.of("llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3", "baichuan")),
    T5(false, true, List.of("T5Tokenizer"), List.of("t5", "mt5")),
    NONE(false, false, List.of("PreTrainedTokenizerFast", "TokenizersBackend", ""), List.of());

    private final boolean bos;
    private final boolean eos;
    private final List<String> classes;
    private final List<String> modelTypes;

    Kind(boolean bos, boolean eos, List<String> classes, List<String> modelTypes) {
      this.bos = bos;
      this.eos = eos;
      this.classes = classes;
      this.modelTypes = modelTypes;
    }

    static Kind of(@Nullable JsonObject config, @Nullable JsonObject model) {
      String name = config == null ? "" : config.text("tokenizer_class", "");
      String modelType = model == null ? "" : model.text("model_type", "");
      for (Kind kind : values()) {
        if (name.isEmpty()
            ? kind.modelTypes.contains(modelType)
            : kind.classes.contains(name.replaceFirst("Fast$", ""))
                || kind.classes.contains(name)) {
          return kind;
        }
      }
      if (config == null || name.isEmpty()) {
        return NONE;
      }
      throw new FileFormatException(
          config.file(),
          "tokenizer_class " + JsonObject.brief(name) + " is not supported for tokenizer.model",
          "supported: LlamaTokenizer, GemmaTokenizer, BaichuanTokenizer, InternLMTokenizer,"
              + " T5Tokenizer; or write a tokenizer.json with transformers' save_pretrained");
    }
  }

  private final Path file;
  private final SentencePieceFile model;
  private final Map<String, Integer> vocabulary = new HashMap<>();
  private final Map<String, Integer> findable = new LinkedHashMap<>();
  private final SequencedMap<String, AddedTokens.Token> added = new LinkedHashMap<>();
  private int unknown = -1;

  /**
   * @param modelConfig {@code config.json}
   */
  static PipelineTokenizer.Parts read(
      Path file, byte[] content, AddedTokensFiles beside, @Nullable JsonObject modelConfig) {
    try {
      return new SentencePiece(file, SentencePieceFile.read(ByteBuffer.wrap(content)))
          .parts(beside, modelConfig);
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(
          file, "is not a sentencepiece model: " + e.getMessage(), REMEDY, e);
    }
  }

  private SentencePiece(Path file, SentencePieceFile model) {
    this.file = file;
    this.model = model;
    for (int id = 0; id < model.pieces().size(); id++) {
      Piece piece = model.pieces().get(id);
      if (vocabulary.put(piece.text(), id) != null) {
        throw new IllegalArgumentException(
            "the piece " + JsonObject.brief(piece.text()) + " occurs twice");
      }
      if (piece.text().length() > UnigramModel.LONGEST_TOKEN) {
        throw new IllegalArgumentException(
            "a piece has more than " + UnigramModel.LONGEST_TOKEN + " characters");
      }
      switch (piece.type()) {
        case UNKNOWN -> {
          if (unknown >= 0) {
            throw new IllegalArgumentException("two pieces are the unknown one");
          }
          unknown = id;
          added.put(piece.text(), AddedTokens.Token.special(id, piece.text()));
        }
        case CONTROL -> added.put(piece.text(), AddedTokens.Token.special(id, piece.text()));
        case NORMAL, USER_DEFINED, UNUSED -> findable.put(piece.text(), id);
        case BYTE -> {}
      }
    }
    if (unknown < 0) {
      throw new IllegalArgumentException("no piece is the unknown one");
    }
  }

  private PipelineTokenizer.Parts parts(AddedTokensFiles beside, @Nullable JsonObject modelConfig) {
    JsonObject config = beside.config();
    Kind kind = Kind.of(config, modelConfig);
    TokenNames names = new TokenNames(vocabulary);
    beside.into(names, added);
    TokenizerJson.check(file, added.values(), UnaryOperator.identity());
    boolean dummy =
        model.normalizer().dummyPrefix()
            && (config == null || config.flag("add_prefix_space", true));
    return new PipelineTokenizer.Parts(
        names.list(),
        List.copyOf(added.values()),
        UnaryOperator.identity(),
        new SentencePieceNormalizer(
            new SentencePieceNormalizer.Options(
                dummy,
                config != null && config.flag("legacy", false),
                model.trainer().suffix(),
                model.normalizer().removeExtraSpaces(),
                model.normalizer().escapeSpaces()),
            charsMap(),
            userDefined(true)),
        switch (model.trainer().modelType()) {
          case 1 -> unigram();
          case 2 -> pairs();
          default ->
              throw new IllegalArgumentException(
                  "its model_type %d is not supported: 1 (Unigram) and 2 (BPE) are"
                      .formatted(model.trainer().modelType()));
        },
        decoder(dummy),
        Template.around(
            end(beside, names, "bos", kind.bos, model.trainer().bos()),
            end(beside, names, "eos", kind.eos, model.trainer().eos())));
  }

  /** The token that begins or ends a text, null where none is to be added. */
  private static @Nullable Integer end(
      AddedTokensFiles beside, TokenNames names, String which, boolean usual, int own) {
    JsonObject config = beside.config();
    String key = "add_" + which + "_token";
    if (!(config == null ? usual : config.flag(key, usual))) {
      return null;
    }
    var named = beside.named(which + "_token").iterator();
    Integer id = named.hasNext() ? names.id(named.next()) : Integer.valueOf(own);
    if (id != null && id >= 0 && id < names.size()) {
      return id;
    }
    if (config != null && config.flag(key, false)) {
      throw config.error(key, "is true, but there is no " + which + "_token");
    }
    return null;
  }

  private @Nullable CharsMap charsMap() {
    ByteBuffer table = model.normalizer().charsMap();
    if (!table.hasRemaining()) {
      return null;
    }
    byte[] bytes = new byte[table.remaining()];
    table.duplicate().get(bytes);
    try {
      return CharsMap.read(bytes);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("its table of characters: " + e.getMessage(), e);
    }
  }

  /**
   * @param bytes a character for each byte of UTF-8
   */
  private Trie userDefined(boolean bytes) {
    Trie trie = new Trie(16);
    for (Map.Entry<String, Integer> entry : findable.entrySet()) {
      if (type(entry.getValue()) == Type.USER_DEFINED) {
        String text = entry.getKey();
        trie.put(bytes ? SentencePieceNormalizer.bytes(text) : text, entry.getValue());
      }
    }
    return trie;
  }

  private Type type(int id) {
    return model.pieces().get(id).type();
  }

  private int @Nullable [] byteTokens() {
    if (!model.trainer().byteFallback()) {
      return null;
    }
    int[] ids = Model.byteTokens(vocabulary);
    for (int id : ids) {
      if (id < 0) {
        throw new IllegalArgumentException("it has not all 256 bytes");
      }
    }
    return ids;
  }

  private Model unigram() {
    float lowest = Float.MAX_VALUE;
    float highest = Float.MIN_NORMAL; // so in sentencepiece: scores are negative
    for (Piece piece : model.pieces()) {
      if (piece.type() == Type.NORMAL) {
        lowest = Math.min(lowest, piece.score());
        highest = Math.max(highest, piece.score());
      }
    }
    Trie tokens = new Trie(findable.size());
    double[] scores = new double[model.pieces().size()];
    for (Map.Entry<String, Integer> entry : findable.entrySet()) {
      int id = entry.getValue();
      if (type(id) != Type.UNUSED) {
        tokens.put(entry.getKey(), id);
        int bytes = SentencePieceNormalizer.bytes(entry.getKey()).length();
        scores[id] =
            type(id) == Type.USER_DEFINED
                ? (double) (bytes * highest) - 0.1
                : model.pieces().get(id).score();
      }
    }
    return new UnigramModel(
        tokens, scores, new UnigramModel.Options(unknown, byteTokens(), lowest, true));
  }

  private Model pairs() {
    int size = model.pieces().size();
    LongIntMap characters = new LongIntMap(256);
    Set<Float> scores = new HashSet<>();
    long work = 0;
    for (Map.Entry<String, Integer> entry : findable.entrySet()) {
      String text = entry.getKey();
      if (text.codePointCount(0, text.length()) == 1) {
        characters.put(text.codePointAt(0), entry.getValue());
      }
      scores.add(model.pieces().get(entry.getValue()).score());
      work += (long) text.length() * text.length();
    }
    if (work > MOST_WORK) {
      throw new IllegalArgumentException("its pieces are too long");
    }
    List<Float> falling = new ArrayList<>(scores);
    falling.sort(java.util.Comparator.reverseOrder());
    Map<Float, Integer> ranks = HashMap.newHashMap(falling.size());
    falling.forEach(score -> ranks.put(score, ranks.size()));
    LongIntMap pairs = new LongIntMap(4 * findable.size());
    int[] merged = new int[size];
    int[] rank = new int[size];
    for (Map.Entry<String, Integer> entry : findable.entrySet()) {
      int id = entry.getValue();
      merged[id] = id;
      rank[id] = ranks.getOrDefault(model.pieces().get(id).score(), 0);
      cut(entry.getKey(), id, pairs);
    }
    return new SentencePieceBpe(
        userDefined(false),
        characters,
        new PairJoiner(pairs, merged, rank),
        unknown,
        byteTokens(),
        size);
  }

  /** Adds the pairs that make a piece. */
  private void cut(String piece, int id, LongIntMap pairs) {
    for (int at = 1; at < piece.length(); at++) {
      if (Character.isLowSurrogate(piece.charAt(at))) {
        continue;
      }
      int left = symbol(piece.substring(0, at));
      int right = left < 0 ? -1 : symbol(piece.substring(at));
      if (right >= 0) {
        if (type(id) == Type.UNUSED) {
          throw new IllegalArgumentException(
              "the unused piece "
                  + JsonObject.brief(piece)
                  + " can be made of others, which is not supported");
        }
        pairs.put(PairJoiner.pair(left, right), id);
      }
    }
  }

  /** What stands for a text while pairs are joined, or -1. */
  private int symbol(String text) {
    Integer id = findable.get(text);
    if (id != null) {
      return id;
    }
    return text.codePointCount(0, text.length()) == 1
        ? model.pieces().size() + text.codePointAt(0)
        : -1;
  }

  private Decoding decoder(boolean dummy) {
    List<UnaryOperator<List<String>>> steps = new ArrayList<>();
    if (model.normalizer().escapeSpaces()) {
      if (dummy || model.normalizer().removeExtraSpaces()) {
        steps.add(this::withoutFirstSpaces);
      }
      steps.add(Decoding.each(token -> token.replace('▁', ' ')));
    }
    if (model.trainer().byteFallback()) {
      steps.add(Decoding::byteFallback);
    }
    steps.add(Decoding::fuse);
    return new Decoding(Decoding.sequence(steps), false, model.trainer().byteFallback());
  }

  /** Takes the white space that was put before the text away, or all that is there. */
  private List<String> withoutFirstSpaces(List<String> tokens) {
    List<String> pieces = new ArrayList<>(tokens.size());
    boolean first = true;
    for (String token : tokens) {
      boolean space = first && token.startsWith("▁");
      String piece = space ? token.substring(1) : token;
      pieces.add(piece);
      first &= piece.isEmpty() && (!space || model.normalizer().removeExtraSpaces());
    }
    return pieces;
  }

  /** The class to write down where only the model's type told it, so that the files say it too. */
  static @Nullable String className(@Nullable JsonObject config, @Nullable JsonObject modelConfig) {
    Kind kind = Kind.of(config, modelConfig);
    return config == null && kind != Kind.NONE ? kind.classes.getFirst() : null;
  }
}
