package dev.javelin.train.sweep;

import java.nio.file.Path;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * What came of one combination of values.
 *
 * @param directory of its run, or of its folds' runs
 * @param values of the axes, by key
 * @param steps done
 * @param loss the best validation loss, the mean of them over folds, or the last training loss
 *     where there are no validation data; {@code null} where there is none yet
 * @param deviation standard deviation of the loss over folds (n − 1); {@code null} without folds
 * @param failure why it has none, one line; {@code null} where nothing went wrong
 */
public record Trial(
    Path directory,
    SequencedMap<String, Object> values,
    long steps,
    @Nullable Double loss,
    @Nullable Double deviation,
    @Nullable String failure) {

  /** The name of its directory. */
  public String name() {
    return directory.getFileName().toString();
  }

  Trial failed(String why) {
    return new Trial(directory, values, steps, null, null, why);
  }
}
