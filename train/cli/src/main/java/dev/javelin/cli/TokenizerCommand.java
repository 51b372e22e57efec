package dev.javelin.cli;

import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Prepare;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.Texts;
import dev.javelin.train.tokenizer.Tokenizer;
import dev.javelin.train.tokenizer.UnigramTrainer;
import dev.javelin.train.tokenizer.WordPieceTrainer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code javelin tokenizer train|encode|decode}. */
@Command(
    name = "tokenizer",
    mixinStandardHelpOptions = true,
    description = "Trains a tokenizer, or encodes and decodes text with one.",
    subcommands = {
      TokenizerCommand.Train.class,
      TokenizerCommand.Encode.class,
      TokenizerCommand.Decode.class,
    })
final class TokenizerCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    CommandSpec self = java.util.Objects.requireNonNull(spec, "picocli sets it");
    throw new ParameterException(
        self.commandLine(), "javelin tokenizer needs a verb: train, encode or decode");
  }

  /** Learns a vocabulary and writes it as a Hugging Face tokenizer. */
  @Command(
      name = "train",
      mixinStandardHelpOptions = true,
      description = "Learns a vocabulary from text: byte-level BPE, WordPiece or Unigram.")
  static final class Train implements Callable<Integer> {
    @Spec private @Nullable CommandSpec spec;

    @Option(
        names = "--data",
        required = true,
        arity = "1..*",
        paramLabel = "PATH",
        description = "Text files, or folders of text files.")
    private List<Path> data = new ArrayList<>();

    @Option(
        names = "--vocab-size",
        required = true,
        paramLabel = "N",
        description =
            "Size of the vocabulary: special tokens, bytes or characters, and what is learned, together.")
    private int vocabSize;

    @Option(
        names = "--kind",
        paramLabel = "bpe|wordpiece|unigram",
        description = "What is learned. Default: ${DEFAULT-VALUE}.")
    private String kind = "bpe";

    @Option(
        names = "--lowercase",
        description = "WordPiece: read upper case as lower case, and letters without accents.")
    private boolean lowercase;

    @Option(
        names = "--special-tokens",
        arity = "1..*",
        paramLabel = "TOKEN",
        description =
            "Special tokens; the first one ends a document. Default: <|endoftext|>; WordPiece has those of BERT.")
    private List<String> specials = new ArrayList<>();

    @Option(
        names = "--output-dir",
        required = true,
        paramLabel = "DIR",
        description = "Directory for tokenizer.json.")
    private Path outputDir = Path.of("");

    @Option(
        names = "--column",
        paramLabel = "NAME",
        description =
            "Field of a JSONL file or column of a CSV or TSV file that holds the text. Default: ${DEFAULT-VALUE}.")
    private String column = TextFiles.TEXT;

    @Override
    public Integer call() {
      List<String> names = specials.isEmpty() ? List.of("<|endoftext|>") : specials;
      TextFiles texts = TextFiles.of(data, column);
      Main.notes(spec, texts.notes());
      if (!kind.equals("wordpiece") && lowercase) {
        throw new InputException("--lowercase is for --kind wordpiece");
      }
      if (kind.equals("wordpiece") && !specials.isEmpty()) {
        throw new InputException("--special-tokens is not for --kind wordpiece, which has BERT's");
      }
      Tokenizer trained =
          switch (kind) {
            case "bpe" -> texts.trainTokenizer(vocabSize, names);
            case "wordpiece" ->
                texts.trainTokenizer(t -> WordPieceTrainer.train(t, vocabSize, lowercase));
            case "unigram" -> texts.trainTokenizer(t -> UnigramTrainer.train(t, vocabSize, names));
            default ->
                throw new InputException("--kind must be bpe, wordpiece or unigram, got " + kind);
          };
      Prepare.save(trained, outputDir);
      String shortfall = trained.vocabSize() < vocabSize ? " (the text has no more)" : "";
      Main.out(spec)
          .printf(Locale.ROOT, "%s: vocabulary %,d%s%n", outputDir, trained.vocabSize(), shortfall);
      return Main.OK;
    }
  }

  /** Prints the ids of a text. */
  @Command(
      name = "encode",
      mixinStandardHelpOptions = true,
      description = "Prints the token ids of a text. Special tokens are recognised.")
  static final class Encode implements Callable<Integer> {
    @Spec private @Nullable CommandSpec spec;

    @Option(
        names = "--tokenizer",
        required = true,
        paramLabel = "byte|DIR",
        description = "Tokenizer to use.")
    private String tokenizer = "";

    @Parameters(
        paramLabel = "TEXT",
        description = "Text to encode. After -- it may begin with a dash.")
    private String text = "";

    @Override
    public Integer call() {
      int[] ids = named(tokenizer).encodePrompt(text);
      Main.out(spec)
          .println(Arrays.stream(ids).mapToObj(Integer::toString).collect(Collectors.joining(" ")));
      return Main.OK;
    }
  }

  /** Prints the text of ids. */
  @Command(
      name = "decode",
      mixinStandardHelpOptions = true,
      description = "Prints the text that token ids stand for.")
  static final class Decode implements Callable<Integer> {
    @Spec private @Nullable CommandSpec spec;

    @Option(
        names = "--tokenizer",
        required = true,
        paramLabel = "byte|DIR",
        description = "Tokenizer to use.")
    private String tokenizer = "";

    @Parameters(arity = "1..*", paramLabel = "ID", description = "Token ids to decode.")
    private List<Integer> ids = new ArrayList<>();

    @Override
    public Integer call() {
      int[] array = ids.stream().mapToInt(Integer::intValue).toArray();
      Main.out(spec).println(named(tokenizer).decode(array));
      return Main.OK;
    }
  }

  private static Tokenizer named(String name) {
    if (name.equals("char")) {
      throw new InputException("char is made from a text: name the directory it was saved in");
    }
    return Texts.of("", "").tokenizer(name);
  }
}
