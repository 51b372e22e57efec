package dev.javelin.train.data;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;

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

  private static final String TRAIN = "train.bin";
  private static final String VAL = "val.bin";

  /**
   * Encodes {@code texts} into {@code directory}, which is made where it is missing. What an
   * earlier preparation left there stays until all tokens are written; then {@code train.bin} goes
   * first and comes last, so that a directory with one is whole, whenever the process dies.
   *
   * @param valFraction part at the end that goes into {@code val.bin}; 0 for none
   * @throws InputException where a file of a name that is to be written is there and no earlier
   *     preparation wrote it
   */
  public static Prepare run(Texts texts, Tokenizer tokenizer, double valFraction, Path directory) {
    TokenSource.splitAt(0, valFraction);
    Path learned = directory.resolve(TRAIN);
    Path held = directory.resolve(VAL);
    Map<String, byte[]> files = tokenizer.files();
    requireOwn(directory, files.keySet());
    try {
      Files.createDirectories(directory);
    } catch (IOException e) {
      throw new UncheckedIOException(directory + ": cannot be made: " + e.getMessage(), e);
    }
    int vocabSize = tokenizer.vocabSize();
    Separator separator = Separator.of(tokenizer);
    try (TokenFileWriter train = new TokenFileWriter(learned, vocabSize, HERE, separator);
        TokenFileWriter val = new TokenFileWriter(held, vocabSize, HERE, separator)) {
      texts.encode(tokenizer, separator, train);
      train.moveTail(TokenSource.splitAt(train.size(), valFraction), val);
      if (train.size() == 0) {
        throw new InputException(
            "%s: --val-fraction %s leaves none of %d tokens to train on: give more text or a smaller fraction"
                .formatted(texts.name(), valFraction, val.size()));
      }
      train.describe();
      save(files, directory);
      if (val.size() > 0) {
        val.finish();
      } else {
        TokenFileWriter.delete(held); // of an earlier run, from other data
      }
      train.finish();
      return new Prepare(train.size(), val.size());
    } catch (OutOfMemoryError e) {
      throw InputException.outOfMemory(
          texts.name(), "cut its longest document into several (rows of JSONL, say)", e);
    }
  }

  /** Refuses to replace what somebody else put there, such as the tokenizer of a model. */
  private static void requireOwn(Path directory, Set<String> tokenizerFiles) {
    Path learned = directory.resolve(TRAIN);
    Path description = TokenFileDescription.path(learned);
    if (Files.isRegularFile(description)
        && HERE.equals(TokenFileDescription.of(learned).tokenizer())) {
      return;
    }
    List<Path> names = new ArrayList<>(List.of(learned, description));
    Path held = directory.resolve(VAL);
    names.addAll(List.of(held, TokenFileDescription.path(held)));
    tokenizerFiles.forEach(name -> names.add(directory.resolve(name)));
    for (Path name : names) {
      if (Files.exists(name, LinkOption.NOFOLLOW_LINKS)) {
        throw new InputException(
            name + " was not written by javelin prepare: name another --output-dir");
      }
    }
  }

  /** Writes a tokenizer's files into a directory, which is made where it is missing. */
  public static void save(Tokenizer tokenizer, Path directory) {
    save(tokenizer.files(), directory);
  }

  /** The folder of further chat templates. */
  private static final String TEMPLATES = "additional_chat_templates/";

  private static void save(Map<String, byte[]> files, Path directory) {
    try {
      Files.createDirectories(directory);
      if (files.keySet().stream().anyMatch(name -> name.startsWith(TEMPLATES))) {
        Files.createDirectories(directory.resolve(TEMPLATES));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(directory + ": cannot be made: " + e.getMessage(), e);
    }
    files.forEach(
        (name, content) ->
            AtomicFile.write(
                directory.resolve(name),
                channel -> {
                  ByteBuffer bytes = ByteBuffer.wrap(content);
                  while (bytes.hasRemaining()) {
                    channel.write(bytes);
                  }
                }));
  }
}
