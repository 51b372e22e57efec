import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;

/**
 * Takes the English passages out of a sample of the European Parliament's proceedings (1996–2011),
 * lines of {@code title TAB date TAB text} in many languages. Maven runs it in the module's folder:
 *
 * <pre>java EnglishPassages.java LINES TEXT</pre>
 *
 * @see <a href="https://www.statmt.org/europarl/">Koehn: Europarl, a parallel corpus, 2005</a>
 */
final class EnglishPassages {
  private static final String SHA256 =
      "bba13e9941925066e6faff76cbfb40a1a75ba826241b6a0b45a55aa832788c88";

  private static final Pattern WORD = Pattern.compile("\\p{L}+");
  private static final Pattern SPACES = Pattern.compile(" {2,}");
  private static final int FEWEST_WORDS = 20;
  private static final double STOP_WORD_SHARE = 0.2;
  private static final Set<String> STOP_WORDS =
      Set.of(
          "the", "of", "and", "to", "in", "a", "is", "that", "for", "it", "on", "with", "as", "be",
          "are", "this", "by", "not", "have", "i", "we", "which", "you", "at", "from", "was",
          "has");

  private EnglishPassages() {}

  public static void main(String[] args) throws Exception {
    Path text = Path.of(args[1]);
    if (Files.exists(text) && sha256(Files.readAllBytes(text)).equals(SHA256)) {
      return;
    }
    byte[] bytes = filter(Path.of(args[0])).getBytes(StandardCharsets.UTF_8);
    if (!sha256(bytes).equals(SHA256)) {
      System.err.println(
          args[0] + " is not the file it should be: its English passages have another checksum");
      System.exit(1);
    }
    Files.createDirectories(text.getParent());
    Files.write(text, bytes);
  }

  /** English passages, a blank line between two; runs of spaces are the ends of paragraphs. */
  private static String filter(Path lines) throws IOException {
    try (BufferedReader in =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(lines), 1 << 16),
                StandardCharsets.UTF_8))) {
      return in.lines()
          .map(line -> line.substring(line.lastIndexOf('\t') + 1).strip())
          .filter(EnglishPassages::isEnglish)
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

  private static String sha256(byte[] bytes) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }
}
