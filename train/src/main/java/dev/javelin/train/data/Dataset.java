package dev.javelin.train.data;

import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Tokens to train on, tokens to validate on, and what made them.
 *
 * @param validation null where none is wanted
 * @param tokenizer null where token files come without one
 * @param separator what ends the documents of text; saved with a run, given back when it resumes
 * @param notes what was left out of directories, a line each
 */
public record Dataset(
    TokenSource train,
    @Nullable TokenSource validation,
    @Nullable Tokenizer tokenizer,
    Separator separator,
    List<String> notes)
    implements AutoCloseable {

  public Dataset {
    notes = List.copyOf(notes);
  }

  /** Tokens whose documents end as {@code tokenizer} suggests. */
  public Dataset(
      TokenSource train, @Nullable TokenSource validation, @Nullable Tokenizer tokenizer) {
    this(train, validation, tokenizer, suggested(tokenizer), List.of());
  }

  private static Separator suggested(@Nullable Tokenizer tokenizer) {
    return tokenizer == null ? Separator.NEWLINE : Separator.of(tokenizer);
  }

  /**
   * Reads the data of a run.
   *
   * @param data text files, directories of them, one token file, or a directory that {@code
   *     prepare} wrote; empty for {@link DefaultText}
   * @param valData the same for validation; empty to take the last {@code valFraction} of {@code
   *     data}
   * @param tokenizer {@code byte}, {@code char}, the path of a tokenizer, or null to use the one a
   *     token file was made with
   * @param column field or column of JSONL and CSV, {@link TextFiles#TEXT} by default
   * @param separator what ends a document of text: that of the checkpoint where a run resumes; null
   *     to let the tokenizer decide
   * @param parseSpecialTokens recognise special tokens in text
   * @throws InputException where something named is missing, empty or does not fit together
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file
   */
  public static Dataset open(
      List<Path> data,
      List<Path> valData,
      double valFraction,
      @Nullable String tokenizer,
      String column,
      @Nullable Separator separator,
      boolean parseSpecialTokens) {
    Wanted wanted =
        new Wanted(valData, valFraction, tokenizer, column, separator, parseSpecialTokens);
    Path tokens = tokenFile(data, "train.bin");
    if (tokens == null) {
      return ofText(data.isEmpty() ? DefaultText.load() : TextFiles.of(data, column), wanted);
    }
    if (parseSpecialTokens && valData.isEmpty()) {
      throw new InputException(
          "--parse-special-tokens applies to text, and "
              + tokens
              + " holds tokens: give it to javelin prepare");
    }
    TokenFile file = TokenFile.open(tokens);
    try {
      return ofTokens(file, tokens, wanted);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** The same, with documents ended as the tokenizer suggests: a fresh run. */
  public static Dataset open(
      List<Path> data,
      List<Path> valData,
      double valFraction,
      @Nullable String tokenizer,
      String column) {
    return open(data, valData, valFraction, tokenizer, column, null, false);
  }

  /** The same, with special tokens read as text. */
  public static Dataset open(
      List<Path> data,
      List<Path> valData,
      double valFraction,
      @Nullable String tokenizer,
      String column,
      @Nullable Separator separator) {
    return open(data, valData, valFraction, tokenizer, column, separator, false);
  }

  /** Whether {@code data} names a token file or a directory that {@code prepare} wrote. */
  public static boolean holdsTokens(List<Path> data) {
    return tokenFile(data, "train.bin") != null;
  }

  /**
   * What a resumed run compares with what its checkpoint saved. It reads up to a million ids and
   * the vocabulary: ask once.
   */
  public DataIdentity identity() {
    return DataIdentity.of(train, separator, tokenizer);
  }

  /** What tells the data for validation from others; {@code null} where there are none. */
  public @Nullable DataIdentity validationIdentity() {
    return validation == null ? null : DataIdentity.of(validation, separator, tokenizer);
  }

  /** What was asked for beside the data to train on. */
  private record Wanted(
      List<Path> valData,
      double valFraction,
      @Nullable String tokenizer,
      String column,
      @Nullable Separator separator,
      boolean parseSpecialTokens) {
    Tokenizer reading(Tokenizer tokenizer) {
      return parseSpecialTokens ? tokenizer.parsingSpecialTokens() : tokenizer;
    }
  }

  private static Dataset ofText(Texts texts, Wanted wanted) {
    if (wanted.tokenizer == null) {
      throw new InputException(
          texts.name() + " is text: name a tokenizer with --tokenizer byte, char or a directory");
    }
    Tokenizer tokenizer = wanted.reading(texts.tokenizer(wanted.tokenizer));
    Separator separator = wanted.separator == null ? Separator.of(tokenizer) : wanted.separator;
    TokenSource all = texts.encode(tokenizer, separator);
    return split(all, wanted.valData, wanted, tokenizer, separator, texts.notes());
  }

  private static Dataset ofTokens(TokenFile file, Path path, Wanted wanted) {
    String own = file.description().tokenizer();
    String name = wanted.tokenizer == null ? own : wanted.tokenizer;
    if ("char".equals(name)) {
      throw new InputException(
          "--tokenizer char is made from text, and " + path + " is not: name a directory");
    }
    Tokenizer tokenizer =
        switch (name) {
          case null -> null;
          case "byte" -> new ByteTokenizer();
          default ->
              Tokenizer.load(wanted.tokenizer == null ? path.resolveSibling(name) : Path.of(name));
        };
    Path held = path.resolveSibling("val.bin");
    boolean besideIt = wanted.valData.isEmpty() && wanted.valFraction == 0 && Files.exists(held);
    List<Path> valData = besideIt ? List.of(held) : wanted.valData;
    Separator prepared = file.description().separator();
    Separator separator =
        wanted.separator != null
            ? wanted.separator
            : prepared != null ? prepared : suggested(tokenizer);
    List<String> notes = file.note() == null ? List.of() : List.of(file.note());
    return split(file, valData, wanted, tokenizer, separator, notes);
  }

  /**
   * The same with the last {@code fraction} of the training tokens, or examples, for validation,
   * unless one of the two parts would be shorter than a window of {@code seqLen}, or have no
   * example.
   */
  public Dataset keep(double fraction, int seqLen) {
    long all = train.pieces();
    long cut = TokenSource.splitAt(all, fraction);
    return Math.min(cut, all - cut) <= (train.isText() ? seqLen : 0)
        ? this
        : split(train, fraction, tokenizer, separator, notes);
  }

  /**
   * The same tokens, or examples, one fold of them for validation.
   *
   * @param seqLen T, which each part of running text must exceed
   * @throws InputException where there are too few for so many folds
   */
  public Dataset fold(Fold fold, int seqLen) {
    long all = train.pieces();
    long from = fold.from(all);
    long to = fold.to(all);
    if (to - from <= (train.isText() ? seqLen : 0)) {
      throw new InputException(
          "--fold %s: %s has %,d %s, too few for %d folds"
              .formatted(
                  fold, train.name(), all, train.isText() ? "tokens" : "examples", fold.of()));
    }
    return new Dataset(
        Without.pieces(train.name() + " (without fold " + fold + ")", train, from, to),
        train.pieces("fold " + fold, from, to),
        tokenizer,
        separator,
        notes);
  }

  /** The last {@code fraction} of some tokens, or examples, for validation; 0 for none. */
  public static Dataset split(
      TokenSource all,
      double fraction,
      @Nullable Tokenizer tokenizer,
      Separator separator,
      List<String> notes) {
    long cut = TokenSource.splitAt(all.pieces(), fraction);
    if (cut == all.pieces()) {
      return new Dataset(all, null, tokenizer, separator, notes);
    }
    return new Dataset(
        all.pieces("training part", 0, cut),
        all.pieces("validation part", cut, all.pieces()),
        tokenizer,
        separator,
        notes);
  }

  private static Dataset split(
      TokenSource all,
      List<Path> valData,
      Wanted wanted,
      @Nullable Tokenizer tokenizer,
      Separator separator,
      List<String> notes) {
    if (!valData.isEmpty()) {
      List<String> more = new ArrayList<>(notes);
      Tokenizer reading = tokenizer == null ? null : wanted.reading(tokenizer);
      TokenSource held = validation(valData, reading, wanted.column, separator, more::add);
      return new Dataset(all, held, tokenizer, separator, more);
    }
    return split(all, wanted.valFraction, tokenizer, separator, notes);
  }

  /**
   * Held-out tokens: text, which needs the tokenizer, or a token file.
   *
   * @param separator what ends a document of text: that of the checkpoint that is evaluated; null
   *     to let the tokenizer decide
   * @param notes is told what was left out of directories, a line each
   */
  public static TokenSource validation(
      List<Path> data,
      @Nullable Tokenizer tokenizer,
      String column,
      @Nullable Separator separator,
      Consumer<String> notes) {
    Path tokens = tokenFile(data, "val.bin");
    if (tokens != null) {
      return TokenFile.open(tokens);
    }
    Texts texts = TextFiles.of(data, column);
    if (tokenizer == null) {
      throw new InputException(texts.name() + " is text: name the tokenizer with --tokenizer");
    }
    texts.notes().forEach(notes);
    return texts.encode(tokenizer, separator == null ? Separator.of(tokenizer) : separator);
  }

  /**
   * Whether validation data were prepared along with these: {@code val.bin} beside a token file.
   */
  public static boolean hasValidation(List<Path> data) {
    Path tokens = tokenFile(data, "train.bin");
    return tokens != null && Files.exists(tokens.resolveSibling("val.bin"));
  }

  /** The token file among the paths, itself or in a prepared directory; null where all is text. */
  private static @Nullable Path tokenFile(List<Path> paths, String prepared) {
    for (Path path : paths) {
      Path file = Files.isDirectory(path) ? path.resolve(prepared) : path;
      if (file.toString().endsWith(".bin") && (file == path || Files.exists(file))) {
        if (paths.size() > 1) {
          throw new InputException(
              path + " is a token file and cannot be combined: name it alone, or text files only");
        }
        return file;
      }
    }
    return null;
  }

  @Override
  public void close() {
    whole(train).close();
    if (validation != null) {
      whole(validation).close();
    }
  }

  private static TokenSource whole(TokenSource source) {
    return switch (source) {
      case TokenSource.Part part -> part.whole();
      case ExampleRange range -> range.whole();
      case Without rest -> rest.whole();
      default -> source;
    };
  }
}
