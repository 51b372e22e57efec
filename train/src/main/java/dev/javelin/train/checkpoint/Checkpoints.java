package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.LaterCalls;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The checkpoints of a run: {@code checkpoint-N} after N steps, and two pointers, {@code last} and
 * {@code best}.
 *
 * <p>A checkpoint is written into {@code .checkpoint-N.partial}, every file synced, and the
 * directory renamed at the end, so that its name alone says it is whole; its manifest finds copies
 * that were cut off or changed. A checkpoint to be deleted is renamed away first. So a process
 * killed at any moment leaves whole checkpoints only, and leftovers under hidden names, which the
 * next run sweeps away.
 *
 * <p>The newest checkpoint is the one written last, by the number that its state carries, and not
 * the one of the most steps: a run that goes on from an earlier checkpoint leaves the later ones
 * where they are. What cannot be read is neither counted nor deleted.
 */
public final class Checkpoints {
  private static final Pattern NAME = Pattern.compile("checkpoint-(0|[1-9]\\d{0,17})");
  private static final Pattern LEFTOVER =
      Pattern.compile(
          "\\.checkpoint-\\d{1,18}\\.(partial|replaced|deleted)"
              + "|\\.(last|best)\\.new(\\.partial)?|(\\.branch|config\\.yaml|metrics\\.jsonl)\\.partial");
  private static final Pattern REPLACED =
      Pattern.compile("\\.(checkpoint-(?:0|[1-9]\\d{0,17}))\\.replaced");
  public static final String LAST = "last";
  public static final String BEST = "best";

  private final Path run;
  private final Keep keep;
  private final Map<String, Object> origin;
  private final BranchFile branch;
  private final Pointers pointers;

  /**
   * @param run the run's directory
   * @param keep how many of the newest to keep; 0 for all
   */
  public Checkpoints(Path run, int keep) {
    this(run, new Keep(keep, 0), Map.of());
  }

  /**
   * @param run the run's directory
   * @param keep which to keep
   * @param origin where the run comes from, for people who read the manifest: for {@link
   *     dev.javelin.tensor.io.Json#write}
   */
  public Checkpoints(Path run, Keep keep, Map<String, Object> origin) {
    this.run = run;
    this.keep = keep;
    this.origin = origin;
    this.branch = new BranchFile(run);
    this.pointers = new Pointers(run);
  }

  /** Writes the files of a checkpoint into the directory it is given. */
  public interface Content {
    void write(Path directory) throws IOException;
  }

  /**
   * Whether {@code directory} holds anything under the name of a checkpoint, whole or not: a
   * directory for a fresh run must not.
   */
  public static boolean existIn(Path directory) {
    return !named(directory).isEmpty();
  }

  static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  /** N of a directory named {@code checkpoint-N}, else −1. */
  static long step(Path directory) {
    Path name = directory.getFileName();
    Matcher m = NAME.matcher(name == null ? "" : name.toString());
    return m.matches() ? Long.parseLong(m.group(1)) : -1;
  }

  /** The newest checkpoint that is whole. */
  public Optional<Checkpoint> newest() {
    return newest(damaged -> {});
  }

  /**
   * The newest checkpoint that is whole; empty where there are none at all.
   *
   * @param passedOver gets a line for each newer one, saying why it is not
   * @throws InputException where there are checkpoints and none is whole: nothing may be written
   *     over them
   */
  public Optional<Checkpoint> newest(Consumer<String> passedOver) {
    List<String> damaged = new ArrayList<>();
    for (Found found : inOrder().reversed()) {
      try {
        Checkpoint whole = Checkpoint.open(found.directory);
        damaged.forEach(passedOver);
        return Optional.of(whole);
      } catch (IncompleteCheckpointException | FileFormatException e) {
        damaged.add(String.valueOf(e.getMessage()));
      }
    }
    if (damaged.isEmpty()) {
      return Optional.empty();
    }
    throw new InputException(
        "%s holds no complete checkpoint, and unreadable ones are never overwritten: repair one, move them away, or choose another --output-dir (%s)"
            .formatted(run, String.join(" | ", damaged)));
  }

  /** The newest that is whole and has at most so many steps; {@code null} where there is none. */
  public @Nullable Checkpoint newest(long atMost) {
    for (Found found : inOrder().reversed()) {
      if (found.step <= atMost && isWhole(found.directory)) {
        return new Checkpoint(found.directory, TrainingState.read(found.directory));
      }
    }
    return null;
  }

  /**
   * The newest whole checkpoints, the newest last; fewer where there are not so many.
   *
   * @throws InputException where there are checkpoints and none is whole
   */
  public List<Checkpoint> newest(int count) {
    List<Checkpoint> whole = new ArrayList<>();
    for (Found found : inOrder().reversed()) {
      try {
        if (whole.size() < count) {
          whole.add(Checkpoint.open(found.directory));
        }
      } catch (IncompleteCheckpointException | FileFormatException e) {
        // passed over, as a run that resumes would
      }
    }
    if (whole.isEmpty()) {
      newest().ifPresent(whole::add); // or says what is wrong with them
    }
    return whole.reversed();
  }

  /**
   * Writes {@code checkpoint-N}, points {@code last} to it and, where its own step is the best,
   * {@code best}; then deletes what is not to be kept, but never those two. An interrupt of the
   * thread does not disturb it, and is still there afterwards.
   *
   * @throws SaveException where the disk is full or cannot be written; what was there is untouched
   */
  public Checkpoint save(TrainingState state, Content content) {
    return uninterrupted(
        state,
        () -> {
          open(state);
          return finish(state, content);
        });
  }

  /**
   * Begins to save: {@code content} writes into memory, which takes as much as its files, and what
   * it reads may change as soon as this returns. Files that it writes past {@link FileCalls} go to
   * the disk at once.
   *
   * @throws OutOfMemoryError where memory cannot take them up; nothing has begun then
   * @throws SaveException as {@link #save} does
   */
  public PendingSave begin(TrainingState state, Content content) {
    LaterCalls files = new LaterCalls();
    try {
      uninterrupted(
          state,
          () -> {
            Path partial = open(state);
            ScopedValue.where(FileCalls.SCOPE, files)
                .call(
                    () -> {
                      content.write(partial);
                      return partial;
                    });
            return partial;
          });
      return new PendingSave(this, state, files);
    } catch (RuntimeException | Error e) {
      files.close();
      Folders.deleteQuietly(partial(state));
      throw e;
    }
  }

  /** Writes what {@link #begin} has taken up. */
  Checkpoint write(TrainingState state, LaterCalls files) {
    return uninterrupted(state, () -> finish(state, partial -> files.make(FileCalls.current())));
  }

  private interface Work<T> {
    T run() throws IOException;
  }

  private <T> T uninterrupted(TrainingState state, Work<T> work) {
    boolean interrupted = Thread.interrupted();
    try {
      while (true) {
        try {
          return work.run();
        } catch (IOException | UncheckedIOException e) {
          if (Folders.cause(e) instanceof ClosedByInterruptException && Thread.interrupted()) {
            interrupted = true;
            continue;
          }
          Folders.deleteQuietly(partial(state));
          throw failure(state, e);
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private Path partial(TrainingState state) {
    return run.resolve(".checkpoint-" + state.step() + ".partial");
  }

  /** An empty directory for the files of a checkpoint. */
  private Path open(TrainingState state) throws IOException {
    Path partial = partial(state);
    Files.createDirectories(run);
    Folders.delete(partial);
    FileCalls.current().createDirectory(partial);
    return partial;
  }

  private Checkpoint finish(TrainingState state, Content content) throws IOException {
    FileCalls calls = FileCalls.current();
    String name = "checkpoint-" + state.step();
    Path partial = partial(state);
    Path target = run.resolve(name);
    TrainingState complete = state.withSaves(1 + saves());
    try {
      content.write(partial);
      complete.write(partial);
      Manifest.of(partial).write(partial, origin);
      calls.syncDirectory(partial);
      putInPlace(partial, target, name);
      calls.syncDirectory(run);
      pointers.set(LAST, name);
      if (complete.bestStep() == complete.step() && complete.bestLoss() != null) {
        pointers.set(BEST, name);
      }
    } catch (RuntimeException e) {
      Folders.deleteQuietly(partial);
      throw e;
    }
    try {
      deleteOld(complete);
    } catch (IOException | UncheckedIOException e) {
      throw new SaveException(
          target + " is saved, but what is older could not be deleted: " + Folders.reason(e), e);
    }
    return new Checkpoint(target, complete);
  }

  private void putInPlace(Path partial, Path target, String name) throws IOException {
    FileCalls calls = FileCalls.current();
    if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      calls.rename(partial, target);
      return;
    }
    if (!isWhole(target)) {
      calls.rename(target, unused(name + ".damaged"));
      calls.rename(partial, target);
      return;
    }
    Path replaced = run.resolve("." + name + ".replaced");
    Folders.delete(replaced);
    calls.rename(target, replaced);
    calls.rename(partial, target);
    Folders.delete(replaced);
  }

  private Path unused(String name) {
    Path path = run.resolve(name);
    for (int n = 2; Files.exists(path, LinkOption.NOFOLLOW_LINKS); n++) {
      path = run.resolve(name + "-" + n);
    }
    return path;
  }

  private SaveException failure(TrainingState state, Exception e) {
    Optional<Path> intact =
        inOrder().reversed().stream()
            .map(Found::directory)
            .filter(Checkpoints::looksWhole)
            .findFirst();
    return new SaveException(
        run.resolve("checkpoint-" + state.step())
            + " could not be saved: "
            + Folders.reason(e)
            + "; "
            + intact
                .map(
                    d -> d.getFileName() + " is intact: free some space and continue with --resume")
                .orElse("free some space or choose another --output-dir"),
        e);
  }

  /**
   * Mends what a process that was killed left behind: a checkpoint that was being replaced gets its
   * name back, and the pointers point to the newest whole one and to the best of its run. To be
   * called by the run that has claimed the directory.
   *
   * @param newest as {@link #newest} found it
   */
  public void repair(Checkpoint newest) throws IOException {
    String name = newest.directory().getFileName().toString();
    if (!pointedTo(LAST).equals(Optional.of(run.resolve(name)))) {
      pointers.set(LAST, name);
    }
    String best = "checkpoint-" + newest.state().bestStep();
    if (newest.state().bestLoss() != null
        && Files.isDirectory(run.resolve(best))
        && !pointedTo(BEST).equals(Optional.of(run.resolve(best)))) {
      pointers.set(BEST, best);
    }
  }

  /** Gives checkpoints that were being replaced their names back; to be called before all else. */
  public void recover() throws IOException {
    for (Path path : Folders.children(run)) {
      Matcher m = REPLACED.matcher(path.getFileName().toString());
      if (m.matches()) {
        Path target = run.resolve(m.group(1));
        if (!Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
          FileCalls.current().rename(path, target);
        }
      }
    }
  }

  /**
   * Says that a run goes on from {@code checkpoint} of this directory, though it may not be the
   * newest: it is, from now on.
   */
  public void goOnFrom(Checkpoint checkpoint) throws IOException {
    Found newest = inOrder().getLast();
    if (!Files.isSameFile(newest.directory, checkpoint.directory())) {
      long step = checkpoint.step();
      branch.write("checkpoint-" + step, 1 + saves());
      repair(new Checkpoint(run.resolve("checkpoint-" + step), checkpoint.state()));
    }
  }

  /** Removes what a killed process left behind under our own temporary names. */
  public void sweep() throws IOException {
    for (Path path : Folders.children(run)) {
      if (LEFTOVER.matcher(path.getFileName().toString()).matches()) {
        Folders.delete(path);
      }
    }
  }

  /** The checkpoint that {@code last} or {@code best} points to. */
  public Optional<Path> pointedTo(String pointer) {
    return pointers.get(pointer);
  }

  private void deleteOld(TrainingState newest) throws IOException {
    if (keep.newest() == 0) {
      return;
    }
    List<Path> all = new ArrayList<>();
    for (Found found : inOrder()) {
      if (looksWhole(found.directory)) {
        all.add(found.directory);
      }
    }
    Set<Path> kept =
        new HashSet<>(all.subList(Math.max(0, all.size() - keep.newest()), all.size()));
    pointedTo(LAST).ifPresent(kept::add);
    pointedTo(BEST).ifPresent(kept::add);
    kept.add(run.resolve("checkpoint-" + newest.bestStep()));
    for (Path old : all) {
      if (!kept.contains(old) && !keep.forEver(step(old))) {
        Path doomed = run.resolve("." + old.getFileName() + ".deleted");
        Folders.delete(doomed);
        FileCalls.current().rename(old, doomed);
        Folders.delete(doomed);
      }
    }
  }

  /** The number of the newest checkpoint, or of a branch that has not saved yet. */
  private long saves() {
    return Math.max(branch.number(), inOrder().stream().mapToLong(Found::number).max().orElse(0));
  }

  /**
   * A directory under the name of a checkpoint.
   *
   * @param number when it was written, or gone on from; −1 where its state cannot be read
   */
  private record Found(Path directory, long step, long number) {}

  /**
   * In the order in which they were written; one that cannot be read stands where its step would
   * put it among the newest.
   */
  private List<Found> inOrder() {
    List<Found> readable = new ArrayList<>();
    List<Found> unreadable = new ArrayList<>();
    for (Path directory : named(run)) {
      long step = step(directory);
      try {
        long number = TrainingState.read(directory).saves();
        number = Math.max(number, branch.number(directory));
        readable.add(new Found(directory, step, number));
      } catch (FileFormatException e) {
        unreadable.add(new Found(directory, step, -1));
      }
    }
    readable.sort(Comparator.comparingLong(Found::number).thenComparingLong(Found::step));
    for (Found lost : unreadable) {
      int at = readable.size();
      while (at > 0 && readable.get(at - 1).step > lost.step) {
        at--;
      }
      readable.add(at, lost);
    }
    return readable;
  }

  /** By what was written into its files. */
  private static boolean isWhole(Path directory) {
    try {
      return Checkpoint.open(directory).step() >= 0;
    } catch (IncompleteCheckpointException | FileFormatException e) {
      return false;
    }
  }

  /** By the lengths of its files. */
  private static boolean looksWhole(Path directory) {
    try {
      return Checkpoint.peek(directory).step() >= 0;
    } catch (IncompleteCheckpointException | FileFormatException e) {
      return false;
    }
  }

  /** Directories named {@code checkpoint-N}, smallest N first. */
  private static List<Path> named(Path run) {
    List<Path> named = new ArrayList<>();
    for (Path path : Folders.children(run)) {
      if (step(path) >= 0 && Files.isDirectory(path)) {
        named.add(path);
      }
    }
    named.sort(Comparator.comparingLong(Checkpoints::step));
    return named;
  }
}
