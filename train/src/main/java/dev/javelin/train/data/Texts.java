package dev.javelin.train.data;

import dev.javelin.train.tokenizer.BpeTrainer;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.CharTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Documents to learn from. */
public interface Texts {
  /** Tokens of a byte-pair vocabulary that is learned on the way: small, as its models are. */
  int BPE_VOCABULARY = 1024;

  /** How they are called in messages. */
  String name();

  /** All documents in order, read anew on each call; to be closed. */
  Stream<String> documents();

  /** Whether each document is ended by a {@link Separator}. One text alone is taken as it is. */
  boolean separated();

  /** A single text in memory. */
  static Texts of(String name, String text) {
    return new Texts() {
      @Override
      public String name() {
        return name;
      }

      @Override
      public Stream<String> documents() {
        return Stream.of(text);
      }

      @Override
      public boolean separated() {
        return false;
      }
    };
  }

  /**
   * {@code byte}, {@code char} (of these texts), {@code bpe} (learned from them), or the tokenizer
   * in a directory.
   *
   * @throws InputException where there is no text to take the characters from
   */
  default Tokenizer tokenizer(String name) {
    return switch (name) {
      case "byte" -> new ByteTokenizer();
      case "bpe" -> trainTokenizer(BPE_VOCABULARY, List.of("<|endoftext|>"));
      case "char" -> {
        try (Stream<String> documents = documents()) {
          Stream<String> newline = separated() ? Stream.of("\n") : Stream.empty();
          yield CharTokenizer.of(Stream.concat(documents, newline));
        } catch (IllegalArgumentException e) {
          throw new InputException(name() + ": " + e.getMessage(), e);
        }
      }
      default -> Tokenizer.load(Path.of(name));
    };
  }

  /** Learns a byte-level BPE vocabulary from these texts; see {@link BpeTrainer#train}. */
  default Tokenizer trainTokenizer(int vocabSize, List<String> specials) {
    try (Stream<String> documents = documents()) {
      return BpeTrainer.train(documents, vocabSize, specials);
    }
  }

  /**
   * Hands the ids of all documents to {@code out}, each followed by {@code separator} where they
   * are {@link #separated}.
   *
   * @throws InputException for a character that the vocabulary cannot express, and for no text
   */
  default void encode(Tokenizer tokenizer, Separator separator, IntConsumer out) {
    boolean[] any = new boolean[1];
    IntConsumer counted =
        id -> {
          any[0] = true;
          out.accept(id);
        };
    try (Stream<String> documents = documents()) {
      documents.forEachOrdered(
          document -> {
            tokenizer.encode(document, counted);
            if (separated()) {
              separator.end(document, tokenizer, counted);
            }
          });
    } catch (IllegalArgumentException e) {
      throw new InputException(
          name() + ": " + e.getMessage() + ": use --tokenizer byte or one made for such text", e);
    }
    if (!any[0]) {
      throw new InputException(name() + " holds no text: name a file with some");
    }
  }

  /** {@link #encode(Tokenizer, Separator, IntConsumer)} into memory. */
  default TokenSource encode(Tokenizer tokenizer, Separator separator) {
    IntStream.Builder ids = IntStream.builder();
    encode(tokenizer, separator, ids);
    return new TokenArray(name(), ids.build().toArray());
  }
}
