package dev.javelin.train.data;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/**
 * The text Javelin trains on when none is named: the English passages of a sample of the European
 * Parliament's proceedings (1996–2011), 1.15 MB. It is an artifact of its own, {@code
 * javelin-default-text}, which the command line brings along.
 *
 * @see <a href="https://www.statmt.org/europarl/">Koehn: Europarl, a parallel corpus, 2005</a>
 */
public final class DefaultText {
  private static final String NAME = "the default text";
  private static final String RESOURCE = "dev/javelin/text/europarl.txt";

  private DefaultText() {}

  /**
   * The text.
   *
   * @throws InputException where its artifact is not on the class path
   */
  public static Texts load() {
    return load(DefaultText.class.getClassLoader());
  }

  static Texts load(ClassLoader loader) {
    try (InputStream in = loader.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new InputException(
            NAME
                + " is missing: add javelin-default-text to the class path, or name your own data");
      }
      return new CachedText(NAME, in.readAllBytes(), CachedText.directory());
    } catch (IOException e) {
      throw new UncheckedIOException(NAME + " cannot be read: " + e.getMessage(), e);
    }
  }
}
