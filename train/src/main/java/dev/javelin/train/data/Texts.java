package dev.javelin.train.data;

import dev.javelin.train.tokenizer.BpeTrainer;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.CharTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.function.IntConsumer;
import java.util.stream.Stream;

/** Documents to learn from. */
public interface Texts {
  /** Tokens of a byte-pair vocabulary that is learned on the way: small, as its models are. */
  int BPE_VOCABULARY = 1024;

  /** How they are called in messages. */
  String name();

  /** All documents in order, read anew on each call; to be closed. */
  Stream<TextDocument> documents();

  /** What the user should know about the choice of the documents, a line each. */
  default List<String> notes() {
    return List.of();
  }

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
      public Stream<TextDocument> documents() {
        return Stream.of(new TextDocument(name, text));
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
        try (Stream<TextDocument> documents = documents()) {
          Stream<String> newline = separated() ? Stream.of("\n") : Stream.empty();
          yield CharTokenizer.of(Stream.concat(documents.map(TextDocument::text), newline));
        } catch (IllegalArgumentException e) {
          throw new InputException(name() + ": " + e.getMessage(), e);
        }
      }
      default -> Tokenizer.load(Path.of(name));
    };
  }

  /** Learns a byte-level BPE vocabulary from these texts; see {@link BpeTrainer#train}. */
  default Tokenizer trainTokenizer(int vocabSize, List<String> specials) {
    return trainTokenizer(texts -> BpeTrainer.train(texts, vocabSize, specials));
  }

  /**
   * Learns a vocabulary from these texts.
   *
   * @param trainer from the texts to the tokenizer, like {@link
   *     dev.javelin.train.tokenizer.UnigramTrainer#train}
   */
  default Tokenizer trainTokenizer(Function<Stream<String>, Tokenizer> trainer) {
    try (Stream<TextDocument> documents = documents()) {
      return trainer.apply(documents.map(TextDocument::text));
    } catch (OutOfMemoryError e) {
      throw InputException.outOfMemory(
          name(), "learn the vocabulary from a part of it with javelin tokenizer train", e);
    }
  }

  /**
   * Hands the ids of all documents to {@code out}, each followed by {@code separator} where they
   * are {@link #separated}. All cores take part; the ids are those of one.
   *
   * @throws InputException for a character that the vocabulary cannot express, half a surrogate
   *     pair, and for no text
   */
  default void encode(Tokenizer tokenizer, Separator separator, IntConsumer out) {
    boolean[] any = new boolean[1];
    IntConsumer counted =
        id -> {
          any[0] = true;
          out.accept(id);
        };
    try (Stream<TextDocument> documents = documents()) {
      new Encoding(tokenizer, separated() ? separator : null, counted).all(documents.iterator());
    }
    if (!any[0]) {
      throw new InputException(name() + " holds no text: name a file with some");
    }
  }

  /**
   * {@link #encode(Tokenizer, Separator, IntConsumer)} into memory: two bytes an id where the
   * vocabulary has up to 65536, else four.
   *
   * @throws InputException also where memory does not suffice
   */
  default TokenSource encode(Tokenizer tokenizer, Separator separator) {
    try {
      TokenBuffer ids = new TokenBuffer();
      encode(tokenizer, separator, ids);
      return ids.finish(name());
    } catch (OutOfMemoryError e) {
      throw InputException.outOfMemory(
          name(), "write a token file of it with javelin prepare and train on that", e);
    }
  }
}
