package dev.javelin.train.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Set;

/**
 * GPT-2's alphabet: a printable character for each of the 256 bytes, so that byte strings can stand
 * in JSON. The printable bytes of Latin-1 stand for themselves, the other 68 take U+0100 onwards in
 * the order of their value; a space becomes {@code Ġ}.
 *
 * @see <a href="https://github.com/openai/gpt-2/blob/master/src/encoder.py">bytes_to_unicode</a>
 */
final class ByteSymbols {
  private static final char[] SYMBOL = new char[256];
  private static final short[] BYTE = new short[256 + 68];

  static {
    java.util.Arrays.fill(BYTE, (short) -1);
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      SYMBOL[b] = (char) (printable ? b : next++);
      BYTE[SYMBOL[b]] = (short) b;
    }
  }

  private ByteSymbols() {}

  /** The character of byte {@code b} in [0, 256). */
  static char symbol(int b) {
    return SYMBOL[b];
  }

  /** The byte of a character, or -1. */
  static int toByte(char symbol) {
    return symbol < BYTE.length ? BYTE[symbol] : -1;
  }

  /** Whether each symbol is one of {@code tokens}. */
  static boolean allIn(Set<String> tokens) {
    for (char symbol : SYMBOL) {
      if (!tokens.contains(String.valueOf(symbol))) {
        return false;
      }
    }
    return true;
  }

  /** The text as symbols of its UTF-8 bytes. */
  static String of(String text) {
    return of(text.getBytes(StandardCharsets.UTF_8));
  }

  /** The text's UTF-8 bytes as symbols. */
  static String of(byte[] utf8) {
    StringBuilder symbols = new StringBuilder(utf8.length);
    for (byte b : utf8) {
      symbols.append(SYMBOL[b & 0xFF]);
    }
    return symbols.toString();
  }

  /** Appends the bytes of a token; one with a foreign character stands for its own UTF-8 bytes. */
  static void appendBytes(String token, ByteArrayOutputStream out) {
    for (int i = 0; i < token.length(); i++) {
      if (toByte(token.charAt(i)) < 0) {
        out.writeBytes(token.getBytes(StandardCharsets.UTF_8));
        return;
      }
    }
    for (int i = 0; i < token.length(); i++) {
      out.write(toByte(token.charAt(i)));
    }
  }
}
