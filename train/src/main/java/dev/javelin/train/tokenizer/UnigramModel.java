package dev.javelin.train.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Of all ways to cut a word into tokens the one with the largest sum of their scores, found from
 * left to right (Viterbi); of equals the one found first. A character that is no token stands for
 * itself as unknown, ten below the lowest score.
 *
 * @see <a href="https://arxiv.org/abs/1804.10959">Kudo 2018</a>
 */
final class UnigramModel implements Model {
  /** In characters: what a position costs is bounded by it. */
  static final int LONGEST_TOKEN = 1024;

  private static final double UNKNOWN_PENALTY = 10;

  /**
   * How the model was written.
   *
   * @param unknown id for a run of unknown characters, or -1
   * @param bytes ids of the tokens that spell unknown characters, where there are some
   * @param lowest score of a token
   * @param singlePrecision sums are rounded to float, as sentencepiece does; and a run of unknown
   *     characters is not looked up as a whole, as tokenizers does
   */
  record Options(int unknown, int @Nullable [] bytes, double lowest, boolean singlePrecision) {}

  private final Trie tokens;
  private final double[] scores;
  private final Options options;
  private final double unknownScore;

  /**
   * @param tokens that may be found, to their ids
   * @param scores by id
   */
  UnigramModel(Trie tokens, double[] scores, Options options) {
    this.tokens = tokens;
    this.scores = scores;
    this.options = options;
    double score = options.lowest() - UNKNOWN_PENALTY;
    this.unknownScore = options.singlePrecision() ? (float) score : score;
  }

  boolean byteFallback() {
    return options.bytes() != null;
  }

  @Override
  public void encode(String word, IntConsumer out) {
    if (!word.isEmpty()) {
      new Paths(word).emit(out);
    }
  }

  /** The best way to each place of a word. */
  private final class Paths {
    private final String word;
    private final double[] best;

    /** Where the last token on the way begins, and which it is. */
    private final int[] from;

    private final int[] last;

    Paths(String word) {
      this.word = word;
      int length = word.length();
      best = new double[length + 1];
      from = new int[length + 1];
      last = new int[length + 1];
      Arrays.fill(from, -1);
      for (int start = 0; start < length; ) {
        start = extend(start);
      }
    }

    /** Tries the tokens that begin at {@code start}; returns where the next character does. */
    private int extend(int start) {
      int length = word.length();
      int codePoint = word.codePointAt(start);
      int next = start + Character.charCount(codePoint);
      boolean single = false;
      int state = Trie.ROOT;
      for (int at = start; at < length; at++) {
        state = tokens.next(state, word.charAt(at));
        if (state == Trie.ABSENT) {
          break;
        }
        int id = tokens.value(state);
        if (id != Trie.ABSENT) {
          offer(start, at + 1, id, scores[id] + best[start]);
          single |= at + 1 == next;
        }
      }
      if (!single) {
        double score = unknownScore + best[start];
        score = options.singlePrecision() ? (float) score : score;
        if (offer(start, next, options.unknown(), score) && options.unknown() < 0) {
          throw Model.unknown(codePoint, scores.length);
        }
      }
      return next;
    }

    private boolean offer(int start, int end, int id, double score) {
      boolean better = from[end] < 0 || score > best[end];
      if (better) {
        best[end] = options.singlePrecision() ? (float) score : score;
        from[end] = start;
        last[end] = id;
      }
      return better;
    }

    void emit(IntConsumer out) {
      int[] ends = new int[word.length()];
      int n = 0;
      for (int end = word.length(); end > 0; end = from[end]) {
        ends[n++] = end;
      }
      while (n > 0) {
        int end = ends[--n];
        int id = last[end];
        if (id != options.unknown()) {
          out.accept(id);
          continue;
        }
        int start = from[end];
        while (n > 0 && last[ends[n - 1]] == id) {
          end = ends[--n];
        }
        unknown(start, end, out);
      }
    }

    private void unknown(int start, int end, IntConsumer out) {
      int state = options.singlePrecision() ? Trie.ABSENT : tokens.walk(word, start, end);
      int id = state == Trie.ABSENT ? Trie.ABSENT : tokens.value(state);
      if (id != Trie.ABSENT) {
        out.accept(id);
      } else if (options.bytes() == null || !spell(word.substring(start, end), out)) {
        out.accept(options.unknown());
      }
    }

    private boolean spell(String run, IntConsumer out) {
      byte[] utf8 = run.getBytes(StandardCharsets.UTF_8);
      int[] ids = new int[utf8.length];
      for (int i = 0; i < ids.length; i++) {
        ids[i] = options.bytes() == null ? -1 : options.bytes()[utf8[i] & 0xFF];
        if (ids[i] < 0) {
          return false;
        }
      }
      Arrays.stream(ids).forEach(out);
      return true;
    }
  }
}
