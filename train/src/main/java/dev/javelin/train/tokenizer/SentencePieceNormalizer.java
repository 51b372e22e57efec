package dev.javelin.train.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * Normalises a text as sentencepiece does: user-defined pieces stay as they are, else the longest
 * key of the table is replaced, white space is thinned out, marked and put before the text.
 */
final class SentencePieceNormalizer implements PreTokenization.Splitter {
  private static final byte[] MARK = "▁".getBytes(StandardCharsets.UTF_8);
  private static final byte[] SPACE = {' '};
  private static final byte[] REPLACEMENT = "\uFFFD".getBytes(StandardCharsets.UTF_8);

  /**
   * @param dummy put white space before a text, or behind it
   * @param dummyEverywhere not only where the input begins, but behind each added token
   * @param suffix white space ends words
   */
  record Options(
      boolean dummy,
      boolean dummyEverywhere,
      boolean suffix,
      boolean removeExtraSpaces,
      boolean escapeSpaces) {}

  private final Options options;
  private final @Nullable CharsMap map;

  /** User-defined pieces, a character for each byte. */
  private final Trie userDefined;

  private final byte[] space;

  /**
   * @param userDefined pieces by {@link #bytes}
   */
  SentencePieceNormalizer(Options options, @Nullable CharsMap map, Trie userDefined) {
    this.options = options;
    this.map = map;
    this.userDefined = userDefined;
    space = options.escapeSpaces() ? MARK : SPACE;
  }

  /** A character for each byte of the text's UTF-8. */
  static String bytes(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
  }

  @Override
  public void split(String text, boolean first, PreTokenization.Words out) {
    String normal = normalize(text, options.dummy() && (first || options.dummyEverywhere()));
    if (!normal.isEmpty()) {
      out.word(normal, first);
    }
  }

  private String normalize(String text, boolean dummy) {
    Pass pass = new Pass(text.getBytes(StandardCharsets.UTF_8));
    if (options.removeExtraSpaces()) {
      while (pass.more() && pass.isSpace()) {
        pass.skip();
      }
    }
    if (!pass.more()) {
      return "";
    }
    if (dummy && !options.suffix()) {
      pass.out.writeBytes(space);
    }
    pass.run();
    byte[] normal = pass.out.toByteArray();
    int end = normal.length;
    while (options.removeExtraSpaces() && endsWithSpace(normal, end)) {
      end -= space.length;
    }
    String result = new String(normal, 0, end, StandardCharsets.UTF_8);
    return dummy && options.suffix() ? result + new String(space, StandardCharsets.UTF_8) : result;
  }

  private boolean endsWithSpace(byte[] text, int end) {
    int from = end - space.length;
    return from >= 0 && java.util.Arrays.equals(text, from, end, space, 0, space.length);
  }

  /** One text, read from left to right. */
  private final class Pass {
    final ByteArrayOutputStream out;
    private final byte[] in;
    private int at;
    private int length;
    private byte[] piece = SPACE;
    private int from;
    private int to;

    Pass(byte[] in) {
      this.in = in;
      out = new ByteArrayOutputStream(in.length + in.length / 2 + 4);
      look();
    }

    boolean more() {
      return at < in.length;
    }

    void skip() {
      at += length;
      look();
    }

    private void set(int consumed, byte[] bytes, int first, int end) {
      length = consumed;
      piece = bytes;
      from = first;
      to = end;
    }

    boolean isSpace() {
      return to - from == 1 && piece[from] == ' ';
    }

    /** Finds what comes next, and what it becomes. */
    private void look() {
      if (at >= in.length) {
        return;
      }
      int longest = 0;
      int state = Trie.ROOT;
      for (int i = at; i < in.length; i++) {
        state = userDefined.next(state, (char) (in[i] & 0xFF));
        if (state == Trie.ABSENT) {
          break;
        }
        longest = userDefined.value(state) == Trie.ABSENT ? longest : i + 1 - at;
      }
      if (longest > 0) {
        set(longest, in, at, at + longest);
        return;
      }
      length = 0;
      if (map != null) {
        map.longest(in, at, this::set);
      }
      if (length == 0) {
        int size = characterLength();
        if (size > 0) {
          set(size, in, at, at + size);
        } else {
          set(1, REPLACEMENT, 0, REPLACEMENT.length);
        }
      }
    }

    /** The length of the character, 0 where a key of the table ended inside of one. */
    private int characterLength() {
      int b = in[at] & 0xFF;
      return b < 0x80 ? 1 : b < 0xC0 ? 0 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
    }

    void run() {
      boolean afterSpace = options.removeExtraSpaces();
      while (more()) {
        int start = from;
        while (afterSpace && start < to && piece[start] == ' ') {
          start++;
        }
        for (int i = start; i < to; i++) {
          if (piece[i] == ' ') {
            out.writeBytes(space);
          } else {
            out.write(piece[i]);
          }
        }
        if (start < to) {
          afterSpace = piece[to - 1] == ' ';
        }
        afterSpace &= options.removeExtraSpaces();
        skip();
        Normalization.bounded(in.length, out.size());
      }
    }
  }
}
