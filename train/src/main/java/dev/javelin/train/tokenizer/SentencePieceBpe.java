package dev.javelin.train.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Byte-pair encoding as sentencepiece does it: two neighbours are joined where their text is a
 * piece, the best score first; user-defined pieces are never joined. A run of characters that
 * remain unknown is one unknown token, or their bytes.
 */
final class SentencePieceBpe implements Model {
  private final Trie userDefined;
  private final LongIntMap characters;
  private final PairJoiner pairs;
  private final int unknown;
  private final int @Nullable [] bytes;

  /** What stands for an unknown character until the pairs are joined: this and its code point. */
  private final int firstUnknown;

  /**
   * @param userDefined pieces to their ids
   * @param characters pieces of one character
   * @param pairs of ids, or of {@code size + character} for one that is no piece
   * @param bytes ids of the pieces that spell unknown characters, where there are some
   * @param size number of pieces
   */
  SentencePieceBpe(
      Trie userDefined,
      LongIntMap characters,
      PairJoiner pairs,
      int unknown,
      int @Nullable [] bytes,
      int size) {
    this.userDefined = userDefined;
    this.characters = characters;
    this.pairs = pairs;
    this.unknown = unknown;
    this.bytes = bytes;
    this.firstUnknown = size;
  }

  @Override
  public void encode(String word, IntConsumer out) {
    int[] ids = new int[word.length()];
    int n = 0;
    Tail tail = new Tail(out);
    for (int i = 0, c; i < word.length(); ) {
      int longest = 0;
      int id = -1;
      int state = Trie.ROOT;
      for (int at = i; at < word.length(); at++) {
        state = userDefined.next(state, word.charAt(at));
        if (state == Trie.ABSENT) {
          break;
        }
        if (userDefined.value(state) != Trie.ABSENT) {
          id = userDefined.value(state);
          longest = at + 1 - i;
        }
      }
      if (longest > 0) {
        tail.all(ids, pairs.join(ids, n));
        tail.known(id);
        n = 0;
        i += longest;
      } else {
        c = word.codePointAt(i);
        int known = characters.get(c);
        ids[n++] = known == LongIntMap.ABSENT ? firstUnknown + c : known;
        i += Character.charCount(c);
      }
    }
    tail.all(ids, pairs.join(ids, n));
  }

  /** Writes ids, and something for unknown characters. */
  private final class Tail {
    private final IntConsumer out;
    private boolean afterUnknown;

    Tail(IntConsumer out) {
      this.out = out;
    }

    void known(int id) {
      out.accept(id);
      afterUnknown = false;
    }

    void all(int[] ids, int n) {
      for (int i = 0; i < n; i++) {
        if (ids[i] < firstUnknown) {
          known(ids[i]);
        } else if (bytes != null) {
          String character = Character.toString(ids[i] - firstUnknown);
          for (byte b : character.getBytes(StandardCharsets.UTF_8)) {
            out.accept(bytes[b & 0xFF]);
          }
        } else {
          if (!afterUnknown) {
            out.accept(unknown);
          }
          afterUnknown = true;
        }
      }
    }
  }
}
