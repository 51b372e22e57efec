package dev.javelin.train.run;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.checkpoint.Keep;
import dev.javelin.train.checkpoint.PendingSave;
import dev.javelin.train.checkpoint.RunIdentity;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.EventFile;
import dev.javelin.train.monitor.EventsFile;
import dev.javelin.train.monitor.LogFile;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.monitor.SamplesFile;
import dev.javelin.train.monitor.TextsFile;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.report.ReportFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The directory of a run, claimed for it alone until it is closed: its configuration, its metrics
 * and logs, its checkpoints and the links to them.
 *
 * <p>To claim is atomic among threads and processes. The lock ends with the process, however that
 * dies; {@code .lock} names its owner. Where a file system has no locks, only the runs of one
 * process keep out of each other's way.
 *
 * <p>Claiming and closing are safe for any thread; everything else is for the one that trains.
 */
public final class RunDirectory implements AutoCloseable {
  /** The effective settings of the run. */
  public static final String CONFIG_FILE = "config.yaml";

  public static final String METRICS_FILE = "metrics.jsonl";
  public static final String EVENTS_FILE = "events.jsonl";
  public static final String SAMPLES_FILE = "samples.jsonl";
  public static final String TEXTS_FILE = "texts.jsonl";
  private static final String LOG_FILE = "train.log";
  private static final String EVENTS = "runs";
  private static final Path DEFAULT = Path.of("out");
  private static final String NEWEST = "auto";
  private static final int CLAIM_TRIES = 20;

  private final Path path;
  private DirectoryLock lock;
  private final @Nullable Path created; // the topmost folder that was made for this run
  private @Nullable String settings;
  private Keep keep = Keep.ALL;
  private Map<String, Object> origin = Map.of();
  private boolean report;
  private @Nullable Texts texts;
  private @Nullable RunIdentity identity;
  private @Nullable Checkpoint branch; // the one that was named to go on from
  private boolean closed; // guarded by this

  private RunDirectory(Path path, DirectoryLock lock, @Nullable Path created) {
    this.path = path;
    this.lock = lock;
    this.created = created;
  }

  /**
   * Claims the directory of a run as the command line means it: the one named; else the one that
   * holds the checkpoint to go on from; else {@code out}, or the next of {@code out-2}, {@code
   * out-3} … that neither holds a run nor is held by one.
   *
   * @param named null where none is named
   * @param resume null for a fresh run, else a checkpoint or {@code auto}
   * @throws InputException where another run holds it, or it cannot be made
   */
  public static RunDirectory claim(@Nullable Path named, @Nullable String resume) {
    return named == null && resume == null ? claimNext(DEFAULT) : claim(locate(named, resume));
  }

  /**
   * Claims {@code directory}, which is made where it does not exist.
   *
   * @throws InputException where another run holds it, or it cannot be made
   */
  public static RunDirectory claim(Path directory) {
    Claim claim = attempt(directory);
    if (claim.directory == null) {
      throw new InputException(
          "%s is in use by %s: wait until that run ends, or choose another --output-dir"
              .formatted(directory, claim.owner));
    }
    return claim.directory;
  }

  /**
   * Claims {@code base}, or the first of {@code base-2}, {@code base-3} … that neither holds
   * checkpoints nor is in use.
   *
   * @throws InputException where none can be made
   */
  public static RunDirectory claimNext(Path base) {
    for (int n = 1; ; n++) {
      Path next = numbered(base, n);
      if (Checkpoints.existIn(next)) {
        continue;
      }
      RunDirectory claimed = attempt(next).directory;
      if (claimed == null) {
        continue;
      }
      if (!Checkpoints.existIn(next)) {
        return claimed;
      }
      claimed.close(); // a run has come and gone since the first look
    }
  }

  /**
   * Where the directory of a run to go on with lies, claimed or not: the one named; else beside the
   * checkpoint; else the last of {@code out}, {@code out-2} … that holds a run.
   */
  public static Path locate(@Nullable Path named, @Nullable String resume) {
    if (named != null) {
      return named;
    }
    if (resume != null && !resume.isEmpty() && !resume.equals(NEWEST)) {
      Path parent = checkpointPath(resume).toAbsolutePath().normalize().getParent();
      return parent == null ? DEFAULT : parent;
    }
    Path last = DEFAULT;
    for (int n = 2; Checkpoints.existIn(numbered(DEFAULT, n)); n++) {
      last = numbered(DEFAULT, n);
    }
    return last;
  }

  private static Path numbered(Path base, int n) {
    return n == 1 ? base : Path.of(base + "-" + n);
  }

  private record Claim(@Nullable RunDirectory directory, String owner) {}

  private static Claim attempt(Path directory) {
    if (Files.exists(directory) && !Files.isDirectory(directory)) {
      throw new InputException(
          "--output-dir " + directory + " is a file: name a directory, new or empty");
    }
    Path created = topmostMissing(directory);
    try {
      for (int tries = 1; ; tries++) {
        try {
          Files.createDirectories(directory);
          DirectoryLock.Attempt taken = DirectoryLock.attempt(directory);
          return taken.lock() == null
              ? new Claim(null, taken.owner())
              : new Claim(new RunDirectory(directory, taken.lock(), created), "");
        } catch (IOException e) {
          // Another run that left nothing may just have taken the directory away.
          if (tries == CLAIM_TRIES || Files.isDirectory(directory)) {
            throw e;
          }
        }
      }
    } catch (IOException e) {
      throw cannotBeWritten(directory, e);
    }
  }

  private static @Nullable Path topmostMissing(Path directory) {
    Path missing = null;
    for (Path p = directory.toAbsolutePath(); p != null && !Files.exists(p); p = p.getParent()) {
      missing = p;
    }
    return missing;
  }

  /** Where it lies. */
  public Path path() {
    return path;
  }

  /** Where the metrics of the run stand, a line a step. */
  public Path metrics() {
    return path.resolve(METRICS_FILE);
  }

  /** Whether the system keeps other processes out, too. */
  public boolean isLocked() {
    return lock.isLocked();
  }

  /**
   * The checkpoint to go on from.
   *
   * @param resume null for a fresh run, {@code auto} for the newest whole one here, else one by its
   *     path
   * @param passedOver gets a line for each newer one that is not whole
   * @return null where the run starts afresh
   * @throws InputException where a fresh run would stand among the checkpoints of another, or the
   *     one named is not there
   */
  public @Nullable Checkpoint start(@Nullable String resume, Consumer<String> passedOver) {
    if (resume == null) {
      if (Checkpoints.existIn(path)) {
        throw new InputException(
            path
                + " holds checkpoints: continue from the newest with --resume, or choose another --output-dir");
      }
      return null;
    }
    Checkpoints here = checkpoints();
    try {
      here.recover();
      if (resume.equals(NEWEST)) {
        Checkpoint newest = here.newest(passedOver).orElse(null);
        if (newest != null) {
          here.repair(newest);
        }
        return newest;
      }
      Path named = checkpointPath(resume);
      if (!Files.isDirectory(named)) {
        throw new InputException(
            "--resume " + named + ": there is no such directory: name a checkpoint, or auto");
      }
      branch = Checkpoint.open(named.toRealPath());
      if (!isHere(branch) && Checkpoints.existIn(path)) {
        throw new InputException(
            "%s holds checkpoints of another run than --resume %s: choose another --output-dir"
                .formatted(path, named));
      }
      return new Checkpoint(named, branch.state());
    } catch (IOException e) {
      throw cannotBeWritten(path, e);
    }
  }

  private boolean isHere(Checkpoint checkpoint) throws IOException {
    return path.toRealPath().equals(checkpoint.directory().getParent())
        && checkpoint
            .directory()
            .getFileName()
            .toString()
            .equals("checkpoint-" + checkpoint.step());
  }

  private static InputException cannotBeWritten(Path directory, IOException e) {
    return new InputException(
        "%s cannot be written (%s): choose another --output-dir".formatted(directory, e), e);
  }

  private static Path checkpointPath(String resume) {
    try {
      return Path.of(resume);
    } catch (InvalidPathException e) {
      throw new InputException(
          "--resume " + resume + " is not a valid path: name a checkpoint, or auto", e);
    }
  }

  /**
   * What the run is.
   *
   * @param settings the text of {@value #CONFIG_FILE}, written when the run begins
   * @param keep which checkpoints to keep
   * @param identity which data it reads in which order, saved with each checkpoint; null where that
   *     is not known
   * @param origin where the run comes from, for people who read a checkpoint's manifest
   */
  public void describe(
      String settings, Keep keep, @Nullable RunIdentity identity, Map<String, Object> origin) {
    this.settings = settings;
    this.keep = keep;
    this.identity = identity;
    this.origin = origin;
  }

  /** Texts that the model is to write in the course of the run. */
  private record Texts(@Nullable Integer every, String prompt, Supplier<String> writer) {}

  /**
   * Lets {@code writer} write a text now and then, kept in {@value #TEXTS_FILE}.
   *
   * @param every steps between texts; {@code null} for one at each evaluation, 0 for none
   * @param prompt what the texts go on from, for readers
   */
  public void texts(@Nullable Integer every, String prompt, Supplier<String> writer) {
    texts = every != null && every == 0 ? null : new Texts(every, prompt, writer);
  }

  /** Whether a run that goes on holds a directory. */
  public static boolean isHeld(Path directory) throws IOException {
    return DirectoryLock.isSigned(directory);
  }

  /** Whether the run is shown in {@value ReportFile#NAME}. */
  public void report(boolean on) {
    report = on;
  }

  /**
   * Begins to write: the settings, and what follows the run from {@code step} on, to be closed by
   * the caller. Leftovers of a killed process are swept away; a checkpoint that the run goes on
   * from becomes the newest. A link under one of the run's names is replaced, never written
   * through.
   *
   * @throws InputException where the directory cannot be written
   */
  public List<Watcher> begin(long step, long maxSteps) {
    List<Watcher> watchers = new ArrayList<>();
    try {
      Checkpoints here = checkpoints();
      here.sweep();
      if (branch != null && isHere(branch)) {
        here.goOnFrom(branch);
        branch = null;
      }
      if (settings != null) {
        AtomicFile.write(path.resolve(CONFIG_FILE), settings);
      }
      watchers.add(MetricsFile.open(metrics(), step));
      List<String> replaced = new ArrayList<>();
      LogFile log = new LogFile(own(LOG_FILE, replaced), maxSteps);
      watchers.add(log);
      EventFile tensorBoard = new EventFile(own(EVENTS, replaced), step);
      watchers.add(tensorBoard);
      if (settings != null) {
        tensorBoard.text(step, "args", settings);
      }
      EventsFile events = new EventsFile(own(EVENTS_FILE, replaced), step);
      watchers.add(events);
      events.event(RunEvent.start(step, maxSteps));
      watchers.add(new SamplesFile(own(SAMPLES_FILE, replaced)));
      if (texts != null) {
        watchers.add(
            new TextsFile(
                own(TEXTS_FILE, replaced),
                texts.every,
                texts.prompt,
                texts.writer,
                (at, text) -> tensorBoard.text(at, "samples", text),
                log::note));
      }
      if (report) { // last: it shows what the others have written
        watchers.add(new ReportFile(path, step, maxSteps, log::note));
      }
      replaced.forEach(
          name -> log.note(name + " was a link; the run replaced it, its target is unchanged"));
      return watchers;
    } catch (IOException e) {
      watchers.forEach(Watcher::close);
      throw cannotBeWritten(path, e);
    } catch (RuntimeException e) {
      watchers.forEach(Watcher::close);
      throw e;
    }
  }

  /**
   * The newest whole checkpoint of at most so many steps, from which the run goes on: it is the
   * newest from now on.
   *
   * @return null where there is none
   * @throws InputException where the directory cannot be written
   */
  public @Nullable Checkpoint goBack(long atMost) {
    Checkpoints here = checkpoints();
    try {
      Checkpoint found = here.newest(atMost);
      if (found != null) {
        here.goOnFrom(found);
      }
      return found;
    } catch (IOException e) {
      throw cannotBeWritten(path, e);
    }
  }

  /** A name in the directory that leads nowhere else. */
  private Path own(String name, List<String> replaced) throws IOException {
    Path own = path.resolve(name);
    if (Files.isSymbolicLink(own)) {
      FileCalls.current().delete(own);
      replaced.add(name);
    }
    return own;
  }

  /**
   * Writes a checkpoint.
   *
   * @throws dev.javelin.train.checkpoint.SaveException where the disk is full or cannot be written;
   *     what was there is untouched
   */
  public Checkpoint save(TrainingState state, Checkpoints.Content content) {
    return save(checkpoints(), state, content);
  }

  /** The same for a run that went wrong: no older one is deleted, since they may be better. */
  public Checkpoint saveBesideAll(TrainingState state, Checkpoints.Content content) {
    return save(new Checkpoints(path, Keep.ALL, origin), state, content);
  }

  /**
   * Takes a checkpoint up into memory, to be written while the run goes on.
   *
   * @throws OutOfMemoryError as {@link Checkpoints#begin} does
   */
  public PendingSave beginSave(TrainingState state, Checkpoints.Content content) {
    requirePlace();
    return checkpoints().begin(state.withIdentity(identity), content);
  }

  private Checkpoint save(Checkpoints into, TrainingState state, Checkpoints.Content content) {
    requirePlace();
    return into.save(state.withIdentity(identity), content);
  }

  private void requirePlace() {
    if (!lock.isInPlace()) {
      claimAgain();
    }
  }

  /** The directory was taken away while the run went on: what the run has learned is kept. */
  private void claimAgain() {
    Claim claim = attempt(path);
    if (claim.directory == null) {
      throw new InputException(
          "%s was removed, and another directory of that name is in use by %s: the run cannot be saved"
              .formatted(path, claim.owner));
    }
    lock.close();
    lock = claim.directory.lock;
    if (settings != null) {
      AtomicFile.write(path.resolve(CONFIG_FILE), settings);
    }
  }

  private Checkpoints checkpoints() {
    return new Checkpoints(path, keep, origin);
  }

  @Override
  public String toString() {
    return path.toString();
  }

  /** Gives the directory free. One that was made for this run and is empty goes away. */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    if (created == null || !isEmpty()) {
      lock.close();
      return;
    }
    lock.closeAndDelete();
    Path last = created.getParent();
    try {
      for (Path p = path.toAbsolutePath(); p != null && !p.equals(last); p = p.getParent()) {
        Files.delete(p);
      }
    } catch (IOException notEmpty) {
      // Another run has moved in.
    }
  }

  private boolean isEmpty() {
    try (Stream<Path> files = Files.list(path)) {
      return files.allMatch(p -> p.getFileName().toString().equals(DirectoryLock.FILE));
    } catch (IOException e) {
      return false;
    }
  }
}
