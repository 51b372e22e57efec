import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Megabytes of UTF-8 a second, ours and Hugging Face's in turn, as a Markdown table. "First pass"
 * is a tokenizer that has seen no word yet; otherwise each knows the words of the round before. The
 * numbers of ids must agree.
 */
public final class TokenizerSpeed {
  private static final int ROUNDS = 9;

  private TokenizerSpeed() {}

  public static void main(String[] args) throws Exception {
    List<String> documents = new ArrayList<>();
    for (String d : Files.readString(Path.of(args[0])).split("\n\n+")) {
      documents.add(d);
    }
    long bytes = 0;
    for (String d : documents) {
      bytes += d.getBytes(StandardCharsets.UTF_8).length;
    }
    System.out.printf(
        Locale.ROOT, "%s: %,d documents, %,d bytes%n%n", args[0], documents.size(), bytes);
    System.out.println(
        "| tokenizer | tokens | first pass MB/s | MB/s | Hugging Face MB/s | ratio |");
    System.out.println("|---|---|---|---|---|---|");
    for (String file : Arrays.asList(args).subList(1, args.length)) {
      compare(Path.of(file), documents, bytes);
    }
  }

  private static void compare(Path file, List<String> documents, long bytes) throws Exception {
    double[] ours = new double[ROUNDS];
    double[] theirs = new double[ROUNDS];
    double[] first = new double[ROUNDS];
    long tokens = 0;
    try (HuggingFaceTokenizer peer =
        HuggingFaceTokenizer.newInstance(
            file, Map.of("addSpecialTokens", "false", "truncation", "false"))) {
      Tokenizer warm = Tokenizer.load(file);
      for (int round = 0; round < ROUNDS; round++) {
        Tokenizer fresh = Tokenizer.load(file); // no word seen yet
        first[round] = rate(bytes, () -> count(fresh, documents));
        long[] counts = new long[2];
        ours[round] = rate(bytes, () -> counts[0] = count(warm, documents));
        theirs[round] =
            rate(
                bytes,
                () -> {
                  for (String d : documents) {
                    counts[1] += peer.encode(d, false, false).getIds().length;
                  }
                });
        if (counts[0] != counts[1]) {
          throw new AssertionError(file + ": " + counts[0] + " and " + counts[1] + " ids");
        }
        tokens = counts[0];
      }
    }
    System.out.printf(
        Locale.ROOT,
        "| %s | %,d | %.1f | %.1f | %.2f | %.1f |%n",
        file.toAbsolutePath().getParent().getFileName(),
        tokens,
        median(first),
        median(ours),
        median(theirs),
        median(ours) / median(theirs));
  }

  private static long count(Tokenizer tokenizer, List<String> documents) {
    long[] n = {0};
    for (String d : documents) {
      tokenizer.encode(d, id -> n[0]++);
    }
    return n[0];
  }

  private static double rate(long bytes, Runnable work) {
    long begin = System.nanoTime();
    work.run();
    return bytes * 1e3 / (System.nanoTime() - begin);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
