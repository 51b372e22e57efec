package dev.javelin.cli;

import dev.javelin.train.data.Prepare;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code javelin prepare}: text to token files. */
@Command(
    name = "prepare",
    mixinStandardHelpOptions = true,
    description =
        "Encodes text (.txt, .jsonl, .ndjson, .json, .csv, .tsv) into token files: train.bin, val.bin and the tokenizer.")
final class PrepareCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--data",
      required = true,
      arity = "1..*",
      paramLabel = "PATH",
      description = "Text files, or folders of text files.")
  private List<Path> data = new ArrayList<>();

  @Option(
      names = {"--tokenizer", "--tokenizer-name"},
      required = true,
      paramLabel = "byte|char|DIR",
      description = "Tokenizer that encodes the text.")
  private String tokenizer = "";

  @Option(
      names = "--output-dir",
      required = true,
      paramLabel = "DIR",
      description = "Directory for the token files and the tokenizer.")
  private Path outputDir = Path.of("");

  @Option(
      names = "--val-fraction",
      paramLabel = "F",
      description =
          "Fraction at the end of the text that becomes val.bin, from 0 (none) to 1. Default: ${DEFAULT-VALUE}.")
  private double valFraction;

  @Option(
      names = "--column",
      paramLabel = "NAME",
      description =
          "Field of a JSONL file or column of a CSV or TSV file that holds the text. Default: ${DEFAULT-VALUE}.")
  private String column = TextFiles.TEXT;

  @Option(
      names = "--parse-special-tokens",
      description =
          "Recognise special tokens that are written in the text, such as <|endoftext|>. Otherwise they are plain characters.")
  private boolean parseSpecialTokens;

  @Override
  public Integer call() {
    TextFiles texts = TextFiles.of(data, column);
    Main.notes(spec, texts.notes());
    Tokenizer chosen = texts.tokenizer(tokenizer);
    Tokenizer reading = parseSpecialTokens ? chosen.parsingSpecialTokens() : chosen;
    Prepare done = Prepare.run(texts, reading, valFraction, outputDir);
    Main.out(spec)
        .printf(
            Locale.ROOT,
            "%s: %,d tokens for training, %,d for validation, vocabulary %,d%n",
            outputDir,
            done.trainTokens(),
            done.valTokens(),
            chosen.vocabSize());
    return Main.OK;
  }
}
