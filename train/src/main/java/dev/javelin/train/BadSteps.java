package dev.javelin.train;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.data.ReadRows;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.monitor.Watchers;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.run.RunDirectory;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Steps with a loss, a gradient or an optimizer's state that is no number. The device has left them
 * out, see {@link StepState#decide}; here they are told, their batch is saved for a look at it, and
 * several in a row end the run.
 */
final class BadSteps {
  private static final int REMEMBERED = 1 << 10; // steps; a GPU is not looked at after each
  private static final int MOST_FILES = 10;

  private final Training parts;
  private final Optimizer optimizer;
  private final StepState state;
  private final Saving saving;
  private final long[] places = new long[REMEMBERED];
  private final int[] rows = new int[REMEMBERED];
  private int seen = -1; // the last bad step that has been told
  private int mended; // times in a row
  private int files;

  BadSteps(Training parts, Optimizer optimizer, StepState state, Saving saving) {
    this.saving = saving;
    this.parts = parts;
    this.optimizer = optimizer;
    this.state = state;
  }

  /** A step begins; {@code done} are before it. */
  void begins(long done, long place, int count) {
    places[(int) (done % REMEMBERED)] = place;
    rows[(int) (done % REMEMBERED)] = count;
  }

  /**
   * Looks at the steps since the last look.
   *
   * @param step steps done
   * @param loss of the last one
   * @return why the run cannot go on; {@code null} where it can
   */
  @Nullable String look(long step, double loss, Watchers all) {
    int last = state.lastBadStep();
    int inARow = state.badSteps();
    if (last == seen || last < 0) {
      seen = last;
      mended = inARow == 0 ? 0 : mended;
      return null;
    }
    seen = last;
    String spoiled = state.isSpoiled() ? NonFinite.find(optimizer) : null;
    String what =
        spoiled != null
            ? spoiled + " not finite"
            : last + 1 == step
                ? "loss %s, gradient norm %s".formatted(loss, state.gradNorm())
                : "a loss or a gradient that is not finite";
    RunDirectory directory = saving.directory();
    String saved = directory == null ? "" : save(last, what, directory.path());
    all.event(new RunEvent(last + 1L, RunEvent.NAN, what + ": the step was not applied" + saved));
    if (spoiled != null && mended++ < parts.maxBadSteps - 1) {
      mend(step, all);
      return null;
    }
    return inARow < parts.maxBadSteps
        ? null
        : what
            + ": training diverged; the step was not applied"
            + (inARow == 1 ? "" : ", nor were the " + (inARow - 1) + " before it");
  }

  /** Numbers that are none become 0, as they were at first, and their neighbours with them. */
  private void mend(long step, Watchers all) {
    NonFinite.forget(optimizer);
    state.forgive();
    String text = "the optimizer begins anew where its numbers were not finite";
    all.event(new RunEvent(step, RunEvent.NAN, text));
  }

  /**
   * What cannot be saved as it is; the optimizer's state is mended.
   *
   * @return {@code null} where all is finite
   */
  @Nullable String notFinite(long step, Watchers all) {
    String found = NonFinite.find(parts.parameters, optimizer);
    if (found != null && NonFinite.find(parts.parameters) == null) {
      mend(step, all);
      return NonFinite.find(optimizer);
    }
    return found;
  }

  /**
   * Saves what is finite, and says what happened, and the way out if there is one.
   *
   * @param save writes a checkpoint of now, beside all others
   */
  DivergedException diverged(String what, long step, Runnable save, Watchers all) {
    saving.settle(all);
    Checkpoint before = saving.newest();
    String notFinite = NonFinite.find(parts.parameters, optimizer);
    String lost = "";
    if (notFinite == null && !saving.isSaved(step)) {
      save.run();
    } else if (saving.directory() != null && notFinite != null) {
      String why = what.startsWith(notFinite) ? "; " : "; " + notFinite + " not finite, ";
      lost = why + "step " + step + " is not saved";
    }
    // The one just resumed from has led here at once: no use in going on from it again.
    Path earlier = before == null || before.step() + 1 >= step ? null : before.directory();
    String goOn =
        earlier == null || !Files.isDirectory(earlier)
            ? ""
            : ", and continue from %s with --resume %s".formatted(earlier.getFileName(), earlier);
    all.event(new RunEvent(step, RunEvent.STOP, what));
    return new DivergedException(
        step,
        "step %d: %s%s. Lower --learning-rate or lengthen --warmup-steps%s"
            .formatted(step, what, lost, goOn));
  }

  private String save(int done, String what, Path directory) {
    int at = done % REMEMBERED;
    if (rows[at] == 0 || files == MOST_FILES) {
      return "";
    }
    files++;
    String name = "bad-batch-" + (done + 1);
    try (ReadRows read = new ReadRows(parts.source, places[at], rows[at])) {
      read.save(
          directory.resolve(name + ".safetensors"),
          Map.of("step", Integer.toString(done + 1), "reason", what));
      StringBuilder text = new StringBuilder("step " + (done + 1) + ": " + what + "\n");
      for (ReadRows.Sequence s : read.sequences()) {
        text.append("\n--- place ").append(s.place()).append(", ").append(s.origin()).append('\n');
        text.append(parts.text == null ? Arrays.toString(s.ids()) : parts.text.apply(s.ids()));
        text.append('\n');
      }
      AtomicFile.write(directory.resolve(name + ".txt"), text.toString());
    } catch (UncheckedIOException e) {
      return ", its batch could not be saved (" + e.getMessage() + ")";
    }
    return ", its batch is in " + name + ".safetensors and .txt";
  }
}
