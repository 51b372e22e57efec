package dev.javelin.train.data;

import dev.javelin.train.data.format.DataFormat;
import dev.javelin.train.data.format.DataFormats;
import dev.javelin.train.data.format.Document;
import dev.javelin.train.data.format.PlainText;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * Text in files of the kinds that {@link DataFormats} lists.
 *
 * @param files at least one, none a directory, each of a known kind
 * @param column the field that holds the text where documents have several
 * @param notes what was left out of the directories named, a line each
 */
public record TextFiles(List<Path> files, String column, List<String> notes) implements Texts {
  /** The field and column that holds the text unless told otherwise. */
  public static final String TEXT = PlainText.FIELD;

  /**
   * The files named, and all text files in the directories named, sorted by path. In a directory,
   * what is hidden (a name that begins with a dot) and what is of another kind is left out; links
   * are followed, but for one that leads back to a directory it stands in.
   *
   * @throws InputException for a path that does not exist or is no text
   */
  public static TextFiles of(List<Path> paths, String column) {
    List<Path> files = new ArrayList<>();
    List<String> notes = new ArrayList<>();
    for (Path path : paths) {
      if (Files.isDirectory(path)) {
        files.addAll(textsIn(path, notes));
      } else if (!Files.exists(path)) {
        throw new InputException(path + " does not exist: name an existing file or directory");
      } else if (DataFormats.of(path).isEmpty()) {
        String lower = path.toString().toLowerCase(Locale.ROOT);
        throw new InputException(
            path
                + (lower.endsWith(".parquet")
                    ? " is Parquet, which is not read: write it as JSONL, for instance with pandas"
                    : lower.endsWith(".json")
                        ? " holds neither an array of objects nor an object a line: convert it, for instance with jq"
                        : " is none of " + DataFormats.names() + ": rename or convert it"));
      } else {
        files.add(path);
      }
    }
    if (files.isEmpty()) {
      throw new InputException("no text: name a file or directory with --data");
    }
    return new TextFiles(List.copyOf(files), column, List.copyOf(notes));
  }

  private static List<Path> textsIn(Path directory, List<String> notes) {
    Walk walk = new Walk(directory);
    try {
      Files.walkFileTree(
          directory, EnumSet.of(FileVisitOption.FOLLOW_LINKS), Integer.MAX_VALUE, walk);
    } catch (IOException e) {
      throw new InputException(directory + ": cannot be read: " + e.getMessage(), e);
    }
    String leftOut =
        walk.hidden + walk.others == 0
            ? ""
            : "%s: left out %d hidden and %d of other kinds than %s"
                .formatted(directory, walk.hidden, walk.others, DataFormats.names());
    if (walk.texts.isEmpty()) {
      throw new InputException(
          directory
              + " holds no "
              + DataFormats.names()
              + (walk.hidden == 0 ? "" : " (%d hidden left out)".formatted(walk.hidden))
              + ": name another directory");
    }
    if (!leftOut.isEmpty()) {
      notes.add(leftOut);
    }
    if (walk.loops > 0) {
      notes.add(
          "%s: did not follow %d links that lead back to a folder above them"
              .formatted(directory, walk.loops));
    }
    Collections.sort(walk.texts);
    return walk.texts;
  }

  /** What lies in a directory: texts, and how much else. */
  private static final class Walk extends SimpleFileVisitor<Path> {
    private final Path top;
    private final List<Path> texts = new ArrayList<>();
    private int hidden;
    private int others;
    private int loops;

    Walk(Path top) {
      this.top = top;
    }

    private boolean isHidden(Path path) {
      Path name = path.getFileName();
      return !path.equals(top) && name != null && name.toString().startsWith(".");
    }

    @Override
    public FileVisitResult preVisitDirectory(Path path, BasicFileAttributes attributes) {
      if (isHidden(path)) {
        hidden++;
        return FileVisitResult.SKIP_SUBTREE;
      }
      return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFile(Path path, BasicFileAttributes attributes) {
      if (isHidden(path)) {
        hidden++;
      } else if (Files.isRegularFile(path) && DataFormats.of(path).isPresent()) {
        texts.add(path);
      } else {
        others++;
      }
      return FileVisitResult.CONTINUE;
    }

    @Override
    public FileVisitResult visitFileFailed(Path path, IOException e) throws IOException {
      if (!(e instanceof FileSystemLoopException)) {
        throw e;
      }
      loops++;
      return FileVisitResult.CONTINUE;
    }
  }

  @Override
  public String name() {
    return files.size() == 1
        ? files.getFirst().toString()
        : files.getFirst() + " and " + (files.size() - 1) + " more";
  }

  @Override
  public boolean separated() {
    return files.size() > 1 || !format(files.getFirst()).oneDocument();
  }

  @Override
  public Stream<TextDocument> documents() {
    return files.stream().flatMap(this::documents);
  }

  private Stream<TextDocument> documents(Path file) {
    String field = format(file).oneDocument() ? TEXT : column;
    return rows(file).map(row -> new TextDocument(row.source(), row.text(field)));
  }

  /** What stands in the files with all its fields, in order; to be closed. */
  public Stream<Document> rows() {
    return files.stream().flatMap(TextFiles::rows);
  }

  private static Stream<Document> rows(Path file) {
    DataFormat format = format(file);
    DataFormat.Documents documents;
    try {
      documents = format.open(file);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
    Spliterator<Document> each =
        new Spliterators.AbstractSpliterator<>(Long.MAX_VALUE, Spliterator.ORDERED) {
          @Override
          public boolean tryAdvance(Consumer<? super Document> action) {
            Document document;
            try {
              document = documents.next();
            } catch (IOException e) {
              throw unreadable(file, e);
            }
            if (document == null) {
              return false;
            }
            action.accept(document);
            return true;
          }
        };
    return StreamSupport.stream(each, false).onClose(() -> close(file, documents));
  }

  private static DataFormat format(Path file) {
    return DataFormats.of(file)
        .orElseThrow(() -> new IllegalArgumentException(file + " is of an unknown kind"));
  }

  private static UncheckedIOException unreadable(Path file, IOException e) {
    return new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
  }

  private static void close(Path file, DataFormat.Documents documents) {
    try {
      documents.close();
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }
}
