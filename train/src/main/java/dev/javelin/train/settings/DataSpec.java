package dev.javelin.train.settings;

import dev.javelin.train.chat.ChatFormat;
import dev.javelin.train.chat.ChatOptions;
import dev.javelin.train.chat.LearnedTurns;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.Fold;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is read, and in which order.
 *
 * @param data text files, directories of them, or one token file; empty for the text that comes
 *     with Javelin
 * @param valData the same for validation; empty to take a part of {@code data}
 * @param valFraction part at the end of {@code data} that is kept for validation; {@code null} for
 *     a tenth, or none where there are validation data already
 * @param fold the part of {@code data} that is kept for validation instead, one of several; {@code
 *     null} for none
 * @param column field of a JSONL line, column of a CSV file that holds the text
 * @param order how the rows follow one another
 * @param dataSeed of the shuffled order; {@code null} for the seed of the run
 * @param parseSpecialTokens whether special tokens written in text are recognised; otherwise they
 *     are the characters they are made of
 * @param packing whether several examples share a row; running text is not concerned
 * @param format what the rows of the files are; {@code null} to recognise it by the first rows
 * @param template chat template: built in, one of the model's, or a file; {@code null} for the
 *     model's own
 * @param trainOnPrompt learn every token of a conversation, not only what the assistant says
 * @param maskHistory learn the assistant's last turn only
 * @param skipBadRows pass over rows that cannot be used, and count them
 */
public record DataSpec(
    @Also({"dataset", "train_file"}) List<Path> data,
    @Also({"validation_file"}) List<Path> valData,
    @Nullable Double valFraction,
    @Nullable Fold fold,
    @Also({"dataset_text_field", "text_column_name"}) String column,
    Order order,
    @Nullable Long dataSeed,
    boolean parseSpecialTokens,
    boolean packing,
    @Nullable ChatFormat format,
    @Also({"chat_template"}) @Nullable String template,
    @Also({"train_on_inputs"}) boolean trainOnPrompt,
    boolean maskHistory,
    boolean skipBadRows) {
  /** What a run has where nothing else is said. */
  public static final DataSpec DEFAULT =
      new DataSpec(
          List.of(),
          List.of(),
          null,
          null,
          "text",
          Order.SHUFFLED,
          null,
          false,
          true,
          null,
          null,
          false,
          false,
          false);

  public DataSpec {
    data = List.copyOf(data);
    valData = List.copyOf(valData);
    Checks.require(
        valFraction == null || valFraction >= 0 && valFraction < 1,
        "--val-fraction must lie between 0 and 1 (exclusive), got " + valFraction);
    Checks.require(
        valData.isEmpty() || valFraction == null || valFraction == 0,
        "--val-data and --val-fraction cannot be combined: give one of them");
    Checks.require(
        fold == null || valData.isEmpty() && valFraction == null,
        "--fold cannot be combined with --val-data or --val-fraction: give one of them");
    Checks.require(!column.isEmpty(), "--column must name a field or column");
    Checks.require(template == null || !template.isEmpty(), "--template must name a template");
  }

  public DataSpec withData(List<Path> value) {
    return Components.with(this, "data", value);
  }

  public DataSpec withValData(List<Path> value) {
    return Components.with(this, "valData", value);
  }

  public DataSpec withValFraction(@Nullable Double value) {
    return Components.with(this, "valFraction", value);
  }

  public DataSpec withFold(@Nullable Fold value) {
    return Components.with(this, "fold", value);
  }

  public DataSpec withColumn(String value) {
    return Components.with(this, "column", value);
  }

  public DataSpec withOrder(Order value) {
    return Components.with(this, "order", value);
  }

  public DataSpec withDataSeed(@Nullable Long value) {
    return Components.with(this, "dataSeed", value);
  }

  public DataSpec withParseSpecialTokens(boolean value) {
    return Components.with(this, "parseSpecialTokens", value);
  }

  public DataSpec withPacking(boolean value) {
    return Components.with(this, "packing", value);
  }

  public DataSpec withFormat(@Nullable ChatFormat value) {
    return Components.with(this, "format", value);
  }

  public DataSpec withTemplate(@Nullable String value) {
    return Components.with(this, "template", value);
  }

  public DataSpec withTrainOnPrompt(boolean value) {
    return Components.with(this, "trainOnPrompt", value);
  }

  public DataSpec withMaskHistory(boolean value) {
    return Components.with(this, "maskHistory", value);
  }

  public DataSpec withSkipBadRows(boolean value) {
    return Components.with(this, "skipBadRows", value);
  }

  /**
   * How conversations become examples.
   *
   * @throws dev.javelin.train.data.InputException where two settings contradict each other
   */
  public ChatOptions chat() {
    Checks.require(
        !(trainOnPrompt && maskHistory),
        "--train-on-prompt and --mask-history cannot be combined: give one of them");
    LearnedTurns turns =
        trainOnPrompt ? LearnedTurns.ALL : maskHistory ? LearnedTurns.LAST : LearnedTurns.ASSISTANT;
    return new ChatOptions(format, template, turns, skipBadRows, column);
  }

  /** Training data, a tenth of which is kept for validation. */
  public static DataSpec of(Path... data) {
    return DEFAULT.withData(List.of(data));
  }

  /** The part of {@code data} that is kept for validation where nothing is said. */
  public static final double DEFAULT_VAL_FRACTION = 0.1;

  /**
   * With the part kept for validation, none where validation data are named or lie beside the token
   * file, and the seed of the order.
   *
   * @param seed of the run
   */
  public DataSpec effective(long seed) {
    boolean held = !valData.isEmpty() || Dataset.hasValidation(data);
    DataSpec seeded = withDataSeed(seed(seed));
    return fold != null
        ? seeded
        : seeded.withValFraction(Checks.or(valFraction, held ? 0 : DEFAULT_VAL_FRACTION));
  }

  /** The seed of the shuffled order: its own, else that of the run. */
  public long seed(long runSeed) {
    return Checks.or(dataSeed, runSeed);
  }

  /** The order in which the rows of the data are read. */
  public enum Order {
    SHUFFLED,
    SEQUENTIAL
  }
}
