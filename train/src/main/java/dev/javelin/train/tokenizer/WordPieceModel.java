package dev.javelin.train.tokenizer;

import java.util.Arrays;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * WordPiece as BERT reads it: from the left the longest token, and so on with tokens that go on a
 * word; a word that does not come out even is unknown as a whole.
 *
 * @see <a href="https://arxiv.org/abs/1609.08144">Wu et al. 2016</a>
 */
final class WordPieceModel implements Model {
  private final Trie tokens;

  /** Where tokens that go on a word begin: behind the prefix. */
  private final int continuing;

  private final int unknown;
  private final int longest;
  private final int size;

  /**
   * @param unknown or -1
   * @param prefix of tokens that go on a word: {@code ##}
   * @param longest a word of more characters is unknown
   */
  WordPieceModel(Map<String, Integer> vocabulary, int unknown, String prefix, int longest) {
    tokens = new Trie(vocabulary.size());
    vocabulary.forEach(tokens::put);
    continuing = tokens.walk(prefix, 0, prefix.length());
    this.unknown = unknown;
    this.longest = longest;
    size = vocabulary.size();
  }

  @Override
  public void encode(String word, IntConsumer out) {
    int length = word.length();
    boolean cut = length <= longest || word.codePointCount(0, length) <= longest;
    int[] ids = new int[8];
    int n = 0;
    for (int start = 0; cut && start < length; ) {
      int state = start == 0 ? Trie.ROOT : continuing;
      int id = -1;
      int end = start;
      for (int at = start; at < length && state != Trie.ABSENT; at++) {
        state = tokens.next(state, word.charAt(at));
        int found = state == Trie.ABSENT ? Trie.ABSENT : tokens.value(state);
        if (found != Trie.ABSENT) {
          id = found;
          end = at + 1;
        }
      }
      cut = id >= 0;
      if (n == ids.length) {
        ids = Arrays.copyOf(ids, 2 * n);
      }
      ids[n++] = id;
      start = end;
    }
    if (cut) {
      for (int i = 0; i < n; i++) {
        out.accept(ids[i]);
      }
    } else if (unknown >= 0) {
      out.accept(unknown);
    } else {
      throw Model.unknown(word.codePointAt(0), size);
    }
  }
}
