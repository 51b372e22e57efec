package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The checkpoints of a run: {@code checkpoint-N} after N steps, and two pointers, {@code last} and
 * {@code best}.
 *
 * <p>A checkpoint is written into {@code .checkpoint-N.partial}, every file synced, and the
 * directory renamed at the end, so that its name alone says it is whole; its state also lists the
 * size of each file, which finds copies that were cut off. A checkpoint to be deleted is renamed
 * away first. So a process killed at any moment leaves whole checkpoints only, and leftovers under
 * hidden names, which the next run sweeps away.
 */
public final class Checkpoints {
  private static final Pattern NAME = Pattern.compile("checkpoint-(\\d{1,18})");
  private static final Pattern LEFTOVER =
      Pattern.compile("\\.checkpoint-\\d+\\.(partial|replaced|deleted)|\\.(last|best)\\.new");
  public static final String LAST = "last";
  public static final String BEST = "best";

  private final Path run;
  private final int keep;

  /**
   * @param run the run's directory
   * @param keep how many of the newest to keep; 0 for all
   */
  public Checkpoints(Path run, int keep) {
    this.run = run;
    this.keep = keep;
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

  /** The newest checkpoint that is whole. */
  public Optional<Checkpoint> newest() {
    return newest(damaged -> {});
  }

  /**
   * The newest checkpoint that is whole.
   *
   * @param passedOver gets a line for each newer one, saying why it is not
   */
  public Optional<Checkpoint> newest(Consumer<String> passedOver) {
    for (Path directory : named(run).reversed()) {
      try {
        return Optional.of(Checkpoint.open(directory));
      } catch (IncompleteCheckpointException | FileFormatException damaged) {
        passedOver.accept(String.valueOf(damaged.getMessage()));
      }
    }
    return Optional.empty();
  }

  /**
   * Writes {@code checkpoint-N}, points {@code last} to it and, where its own step is the best,
   * {@code best}; then deletes what is older than the newest {@code keep}, but never those two.
   *
   * @throws SaveException where the disk is full or cannot be written
   */
  public Checkpoint save(TrainingState state, Content content) {
    String name = "checkpoint-" + state.step();
    Path partial = run.resolve("." + name + ".partial");
    Path target = run.resolve(name);
    try {
      Files.createDirectories(run);
      delete(partial);
      Files.createDirectory(partial);
      content.write(partial);
      TrainingState complete = state.withFiles(sizes(partial));
      complete.write(partial);
      AtomicFile.syncDirectory(partial);
      if (Files.exists(target)) {
        Path replaced = run.resolve("." + name + ".replaced");
        delete(replaced);
        Files.move(target, replaced, StandardCopyOption.ATOMIC_MOVE);
        Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
        delete(replaced);
      } else {
        Files.move(partial, target, StandardCopyOption.ATOMIC_MOVE);
      }
      AtomicFile.syncDirectory(run);
      point(LAST, name);
      if (state.bestStep() == state.step() && state.bestLoss() != null) {
        point(BEST, name);
      }
      deleteOld();
      return new Checkpoint(target, complete);
    } catch (IOException | UncheckedIOException e) {
      deleteQuietly(partial);
      throw new SaveException(
          target
              + " could not be saved: "
              + reason(e)
              + "; "
              + newest()
                  .map(
                      c ->
                          c.directory().getFileName()
                              + " is intact: free some space and go on with --resume")
                  .orElse("free some space or choose another --output-dir"),
          e);
    }
  }

  /** Removes what a killed process left behind. */
  public void sweep() throws IOException {
    for (Path path : children(run)) {
      if (LEFTOVER.matcher(path.getFileName().toString()).matches()) {
        delete(path);
      }
    }
  }

  /** The checkpoint that {@code last} or {@code best} points to. */
  public Optional<Path> pointedTo(String pointer) {
    Path path = run.resolve(pointer);
    try {
      String name =
          Files.isSymbolicLink(path)
              ? Files.readSymbolicLink(path).toString()
              : Files.isRegularFile(path) ? Files.readString(path).strip() : "";
      return NAME.matcher(name).matches() ? Optional.of(run.resolve(name)) : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** A symbolic link where the file system has them, a file with the name in it otherwise. */
  private void point(String pointer, String name) throws IOException {
    Path fresh = run.resolve("." + pointer + ".new");
    Files.deleteIfExists(fresh);
    try {
      Files.createSymbolicLink(fresh, Path.of(name));
    } catch (UnsupportedOperationException | FileSystemException e) {
      Files.write(fresh, (name + "\n").getBytes(StandardCharsets.UTF_8));
    }
    Files.move(
        fresh,
        run.resolve(pointer),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
    AtomicFile.syncDirectory(run);
  }

  private void deleteOld() throws IOException {
    List<Path> all = named(run);
    if (keep == 0 || all.size() <= keep) {
      return;
    }
    Set<Path> kept = new HashSet<>(all.subList(all.size() - keep, all.size()));
    pointedTo(LAST).ifPresent(kept::add);
    pointedTo(BEST).ifPresent(kept::add);
    for (Path old : all) {
      if (!kept.contains(old)) {
        Path doomed = run.resolve("." + old.getFileName() + ".deleted");
        delete(doomed);
        Files.move(old, doomed, StandardCopyOption.ATOMIC_MOVE);
        delete(doomed);
      }
    }
  }

  /** Directories named {@code checkpoint-N}, smallest N first. */
  private static List<Path> named(Path run) {
    Map<Path, Long> steps = new LinkedHashMap<>();
    for (Path path : children(run)) {
      Matcher m = NAME.matcher(path.getFileName().toString());
      if (m.matches() && Files.isDirectory(path)) {
        steps.put(path, Long.parseLong(m.group(1)));
      }
    }
    List<Path> sorted = new ArrayList<>(steps.keySet());
    sorted.sort(Comparator.comparingLong(p -> steps.getOrDefault(p, 0L)));
    return sorted;
  }

  private static List<Path> children(Path directory) {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> paths = Files.list(directory)) {
      return paths.toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Map<String, Long> sizes(Path directory) throws IOException {
    Map<String, Long> sizes = new LinkedHashMap<>();
    for (Path file : children(directory)) {
      sizes.put(file.getFileName().toString(), Files.size(file));
    }
    return sizes;
  }

  private static void delete(Path path) throws IOException {
    if (Files.isDirectory(path) && !Files.isSymbolicLink(path)) {
      for (Path child : children(path)) {
        delete(child);
      }
    }
    Files.deleteIfExists(path);
  }

  private static void deleteQuietly(Path path) {
    try {
      delete(path);
    } catch (IOException | UncheckedIOException stillThere) {
      // It has a hidden name: the next run sweeps it away.
    }
  }

  private static String reason(Exception e) {
    Throwable cause =
        e instanceof UncheckedIOException u && u.getCause() != null ? u.getCause() : e;
    String text =
        cause instanceof FileSystemException f && f.getReason() != null
            ? f.getReason()
            : String.valueOf(cause.getMessage());
    return text.lines().findFirst().orElse(cause.getClass().getSimpleName());
  }
}
