package dev.javelin.train;

import dev.javelin.train.data.Fields;
import dev.javelin.train.data.Rows;
import dev.javelin.train.objective.Objective;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * What an objective makes of a model and its data.
 *
 * @param objective what is minimised, and measured on held-out rows
 * @param train the rows to train on
 * @param held held-out rows; {@code null} for none
 * @param examples whether rows are made of examples rather than of running text
 * @param textBytes how many bytes of text the targets of a batch stand for; {@code null} where they
 *     stand for none
 * @param notes what the user should know about the rows, a line each
 * @param beside a model that the objective reads beside the one it trains; {@code null} for none
 */
public record Task(
    Objective objective,
    Rows train,
    @Nullable Rows held,
    boolean examples,
    @Nullable ToLongFunction<Fields> textBytes,
    List<String> notes,
    @Nullable LanguageModel beside)
    implements AutoCloseable {
  public Task {
    notes = List.copyOf(notes);
  }

  /** The same with a model beside it, which it closes. */
  Task with(Objective other, @Nullable LanguageModel besideIt) {
    return new Task(other, train, held, examples, textBytes, notes, besideIt);
  }

  @Override
  public void close() {
    if (beside != null) {
      beside.close();
    }
  }
}
