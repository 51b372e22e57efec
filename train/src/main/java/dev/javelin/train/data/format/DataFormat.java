package dev.javelin.train.data.format;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A kind of file that holds documents. A further kind is one implementation and one line in {@link
 * DataFormats}. Implementations have no state and may be shared by threads.
 *
 * <p>A format loses nothing in silence: what it cannot read, or would have to leave out, is a
 * {@link dev.javelin.tensor.io.FileFormatException} that names file, place and remedy.
 */
public interface DataFormat {
  /** How names of such files end: with the dot, in lower case. */
  List<String> suffixes();

  /**
   * Whether {@code file} is of this kind, by its name in any case, whether packed or not; a format
   * whose files have no name of their own may look into the file.
   */
  default boolean reads(Path file) {
    String name = Packing.plainName(file);
    return suffixes().stream().anyMatch(name::endsWith);
  }

  /** Whether a file is a single document, its text under {@link PlainText#FIELD}. */
  boolean oneDocument();

  /**
   * Whether a file can be read on behind a document that was refused: the next one begins there,
   * whatever was wrong.
   */
  default boolean goesOn() {
    return false;
  }

  /** Opens a file at its first document. */
  Documents open(Path file) throws IOException;

  /** The documents of one file in their order; one thread at a time. */
  interface Documents extends AutoCloseable {
    /**
     * The next document, null behind the last. Memory goes with the document, not with the file.
     *
     * @throws dev.javelin.tensor.io.FileFormatException for a damaged file
     */
    @Nullable Document next() throws IOException;

    @Override
    void close() throws IOException;
  }
}
