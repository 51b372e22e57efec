package dev.javelin.train.data;

import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Turns texts into token files: {@code train.bin}, {@code val.bin} with the last part, and the
 * tokenizer's files beside them.
 *
 * @param trainTokens in {@code train.bin}
 * @param valTokens in {@code val.bin}; 0 where there is none
 */
public record Prepare(long trainTokens, long valTokens) {
  /** The tokenizer lies in the token file's own directory. */
  private static final String HERE = ".";

  /**
   * Encodes {@code texts} into {@code directory}, which is made where it is missing; files of the
   * same name are replaced, each once its successor is whole.
   *
   * @param valFraction part at the end that goes into {@code val.bin}; 0 for none
   */
  public static Prepare run(Texts texts, Tokenizer tokenizer, double valFraction, Path directory) {
    TokenSource.splitAt(0, valFraction);
    try {
      Files.createDirectories(directory);
    } catch (IOException e) {
      throw new UncheckedIOException(directory + ": cannot be made: " + e.getMessage(), e);
    }
    int vocabSize = tokenizer.vocabSize();
    Path held = directory.resolve("val.bin");
    try (TokenFileWriter train =
            new TokenFileWriter(directory.resolve("train.bin"), vocabSize, HERE);
        TokenFileWriter val = new TokenFileWriter(held, vocabSize, HERE)) {
      texts.encode(tokenizer, Separator.of(tokenizer), train);
      train.moveTail(TokenSource.splitAt(train.size(), valFraction), val);
      save(tokenizer, directory);
      train.finish();
      if (val.size() > 0) {
        val.finish();
      } else {
        TokenFileWriter.delete(held); // of an earlier run, from other data
      }
      return new Prepare(train.size(), val.size());
    } catch (OutOfMemoryError e) {
      throw InputException.outOfMemory(
          texts.name(), "cut its longest document into several (rows of JSONL, say)", e);
    }
  }

  /** Writes a tokenizer's files into a directory, which is made where it is missing. */
  public static void save(Tokenizer tokenizer, Path directory) {
    try {
      Files.createDirectories(directory);
      for (Map.Entry<String, byte[]> file : tokenizer.files().entrySet()) {
        TokenFileWriter.replace(directory.resolve(file.getKey()), file.getValue());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(directory + ": cannot be written: " + e.getMessage(), e);
    }
  }
}
