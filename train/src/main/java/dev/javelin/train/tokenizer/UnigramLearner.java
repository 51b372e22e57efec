package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Learns pieces and their log-probabilities: from many frequent pieces, expectation maximisation
 * over all ways to cut the words, then those pieces are dropped whose loss costs least, until as
 * many are left as are wanted. Single characters stay.
 *
 * <pre>
 * E   n(x) = Σ_words count · P(x is in the cut)     forward and backward sums over the cuts
 * M   log p(x) = ψ(n(x)) − ψ(Σ n)                   ψ: digamma, which favours few pieces
 * </pre>
 *
 * @see <a href="https://arxiv.org/abs/1804.10959">Kudo 2018</a>
 */
final class UnigramLearner {
  private static final int MOST_SEEDS = 1_000_000;
  private static final int LONGEST = 16; // characters of a piece
  private static final int PASSES = 2;
  private static final double KEPT = 0.75;
  private static final double SPARE = 1.1;
  private static final double LEAST_COUNT = 0.5;

  private final String[] words;
  private final long[] counts;
  private final Set<String> required;
  private List<Piece> pieces;
  private Trie trie = new Trie(0);

  /**
   * A piece.
   *
   * @param score the logarithm of its probability
   */
  record Piece(String text, double score) {}

  private UnigramLearner(Map<String, long[]> words, Set<String> required) {
    this.required = required;
    this.words = words.keySet().toArray(String[]::new);
    this.counts = words.values().stream().mapToLong(n -> n[0]).toArray();
    this.pieces = seeds();
  }

  /** How often each of some pieces is met in the words, over all cuts by their probability. */
  static double[] expected(List<Piece> pieces, Map<String, long[]> words) {
    UnigramLearner learner = new UnigramLearner(words, Set.of());
    learner.pieces = pieces;
    learner.index();
    return learner.expected();
  }

  /**
   * The pieces of a vocabulary of {@code size}, the most likely first; fewer where the words have
   * no more.
   *
   * @param words with how often they occur
   * @param required characters that are pieces even if they do not occur
   * @throws IllegalArgumentException where there are more characters than {@code size}
   */
  static List<Piece> learn(Map<String, long[]> words, Set<String> required, int size) {
    UnigramLearner learner = new UnigramLearner(words, required);
    Set<String> characters = learner.characters().keySet();
    if (characters.size() > size) {
      throw new IllegalArgumentException(
          "there are %d characters to be in the vocabulary, which has room for %d"
              .formatted(characters.size(), size));
    }
    int enough = (int) (SPARE * size);
    while (true) {
      for (int i = 0; i < PASSES; i++) {
        learner.maximise();
      }
      if (learner.pieces.size() <= enough) {
        break;
      }
      int before = learner.pieces.size();
      learner.prune(Math.max(enough, (int) (KEPT * before)));
      if (learner.pieces.size() == before) {
        break;
      }
    }
    return learner.finished(characters, size);
  }

  /** All characters, with how often they occur, at least once. */
  private Map<String, Long> characters() {
    Map<String, Long> found = new TreeMap<>();
    required.forEach(c -> found.put(c, 1L));
    for (int w = 0; w < words.length; w++) {
      long count = counts[w];
      words[w].codePoints().forEach(c -> found.merge(Character.toString(c), count, Long::sum));
    }
    return found;
  }

  /** Characters, and the substrings that occur twice, by length times count. */
  private List<Piece> seeds() {
    Map<String, Long> characters = characters();
    Map<String, Long> found = new HashMap<>();
    Set<String> shorter = characters.keySet();
    for (int length = 2; length <= LONGEST && !shorter.isEmpty(); length++) {
      Map<String, Long> longer = substrings(length, shorter);
      longer.values().removeIf(n -> n < 2);
      found.putAll(longer);
      shorter = longer.keySet();
    }
    List<Map.Entry<String, Long>> best = new ArrayList<>(found.entrySet());
    best.replaceAll(e -> Map.entry(e.getKey(), e.getValue() * length(e.getKey())));
    best.sort(
        Comparator.comparingLong((Map.Entry<String, Long> e) -> -e.getValue())
            .thenComparing(Map.Entry::getKey));
    Map<String, Long> chosen = new LinkedHashMap<>(characters);
    best.stream().limit(MOST_SEEDS).forEach(e -> chosen.put(e.getKey(), e.getValue()));
    double sum = chosen.values().stream().mapToLong(n -> n).sum();
    return chosen.entrySet().stream()
        .map(e -> new Piece(e.getKey(), StrictMath.log(e.getValue() / sum)))
        .toList();
  }

  private static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** The substrings of so many characters both of whose parts, one shorter, are frequent. */
  private Map<String, Long> substrings(int length, Set<String> frequent) {
    Map<String, Long> found = new HashMap<>();
    for (int w = 0; w < words.length; w++) {
      String word = words[w];
      int total = length(word);
      int from = 0;
      for (int i = 0; i + length <= total; i++) {
        int second = word.offsetByCodePoints(from, 1);
        int end = word.offsetByCodePoints(from, length);
        if (frequent.contains(word.substring(from, word.offsetByCodePoints(end, -1)))
            && frequent.contains(word.substring(second, end))) {
          found.merge(word.substring(from, end), counts[w], Long::sum);
        }
        from = second;
      }
    }
    return found;
  }

  private void index() {
    trie = new Trie(pieces.size());
    for (int i = 0; i < pieces.size(); i++) {
      trie.put(pieces.get(i).text(), i);
    }
  }

  /** One pass of expectation and maximisation. */
  private void maximise() {
    index();
    double[] expected = expected();
    double sum = 0;
    for (int i = 0; i < expected.length; i++) {
      sum += expected[i] >= LEAST_COUNT || isCharacter(i) ? expected[i] : 0;
    }
    double normaliser = digamma(sum);
    List<Piece> next = new ArrayList<>();
    for (int i = 0; i < expected.length; i++) {
      if (expected[i] >= LEAST_COUNT || isCharacter(i)) {
        double count = Math.max(expected[i], LEAST_COUNT);
        next.add(new Piece(pieces.get(i).text(), digamma(count) - normaliser));
      }
    }
    pieces = next;
  }

  private double[] expected() {
    double[] expected = new double[pieces.size()];
    for (int w = 0; w < words.length; w++) {
      new Lattice(words[w]).count(counts[w], expected);
    }
    return expected;
  }

  private boolean isCharacter(int piece) {
    return length(pieces.get(piece).text()) == 1;
  }

  /** The logarithmic derivative of the gamma function. */
  static double digamma(double x) {
    double result = 0;
    double y = x;
    for (; y < 7; y++) {
      result -= 1 / y;
    }
    double z = y - 0.5;
    double zz = 1 / (z * z);
    return result
        + StrictMath.log(z)
        + zz * (1 / 24.0 - zz * (7 / 960.0 - zz * (31 / 8064.0 - zz * (127 / 30720.0))));
  }

  /** Drops the pieces without which the likelihood of the words falls least. */
  private void prune(int wanted) {
    index();
    double[] found = new double[pieces.size()];
    double total = 0;
    for (int w = 0; w < words.length; w++) {
      for (int id : new Lattice(words[w]).best(false)) {
        found[id] += counts[w];
        total += counts[w];
      }
    }
    List<Piece> kept = new ArrayList<>();
    List<Map.Entry<Double, Piece>> candidates = new ArrayList<>();
    double logTotal = StrictMath.log(total);
    for (int i = 0; i < found.length; i++) {
      Piece piece = pieces.get(i);
      if (isCharacter(i)) {
        kept.add(piece);
        continue;
      }
      int[] instead = new Lattice(piece.text()).best(true);
      if (found[i] == 0 || score(instead) > piece.score()) {
        continue; // no word is cut so
      }
      double loss = StrictMath.log(found[i]) - logTotal;
      double logOthers = StrictMath.log(total + found[i] * (instead.length - 1));
      for (int id : instead) {
        loss -= StrictMath.log(found[id] + found[i]) - logOthers;
      }
      candidates.add(Map.entry(found[i] / total * loss, piece));
    }
    candidates.sort(
        Map.Entry.<Double, Piece>comparingByKey(Comparator.reverseOrder())
            .thenComparing(e -> e.getValue().text()));
    candidates.stream()
        .limit(Math.max(0, wanted - kept.size()))
        .forEach(e -> kept.add(e.getValue()));
    pieces = kept;
  }

  private double score(int[] ids) {
    double sum = 0;
    for (int id : ids) {
      sum += pieces.get(id).score();
    }
    return sum;
  }

  private List<Piece> finished(Set<String> characters, int size) {
    Comparator<Piece> likeliest =
        Comparator.comparingDouble((Piece p) -> -p.score()).thenComparing(Piece::text);
    List<Piece> chosen = new ArrayList<>();
    List<Piece> others = new ArrayList<>();
    for (Piece p : pieces) {
      (characters.contains(p.text()) ? chosen : others).add(p);
    }
    others.sort(likeliest);
    chosen.addAll(others.subList(0, Math.min(others.size(), size - chosen.size())));
    chosen.sort(likeliest);
    return Collections.unmodifiableList(chosen);
  }

  /** All ways to cut a word into pieces; every one of its characters is a piece. */
  private final class Lattice {
    private final String word;

    Lattice(String word) {
      this.word = word;
    }

    @FunctionalInterface
    private interface Edge {
      void piece(int from, int to, int id);
    }

    /** The pieces that begin at {@code from}, shortest first. */
    private void edges(int from, Edge edge) {
      int state = Trie.ROOT;
      for (int at = from; at < word.length(); at++) {
        state = trie.next(state, word.charAt(at));
        if (state == Trie.ABSENT) {
          return;
        }
        if (trie.value(state) != Trie.ABSENT) {
          edge.piece(from, at + 1, trie.value(state));
        }
      }
    }

    /** Adds to {@code expected} how often each piece is met in {@code times} cuts. */
    void count(long times, double[] expected) {
      int length = word.length();
      double[] before = new double[length + 1]; // log Σ exp over the ways to a place
      double[] behind = new double[length + 1]; // from it
      Arrays.fill(before, Double.NEGATIVE_INFINITY);
      Arrays.fill(behind, Double.NEGATIVE_INFINITY);
      before[0] = 0;
      behind[length] = 0;
      for (int from = 0; from < length; from++) {
        double here = before[from];
        edges(from, (_, to, id) -> before[to] = add(before[to], here + pieces.get(id).score()));
      }
      for (int from = length - 1; from >= 0; from--) {
        edges(
            from,
            (at, to, id) -> behind[at] = add(behind[at], behind[to] + pieces.get(id).score()));
      }
      double all = before[length];
      for (int from = 0; from < length; from++) {
        edges(
            from,
            (at, to, id) ->
                expected[id] +=
                    times * StrictMath.exp(before[at] + pieces.get(id).score() + behind[to] - all));
      }
    }

    private static double add(double a, double b) {
      double most = Math.max(a, b);
      return most == Double.NEGATIVE_INFINITY
          ? most
          : most + StrictMath.log1p(StrictMath.exp(Math.min(a, b) - most));
    }

    /**
     * The likeliest cut.
     *
     * @param notWhole leave out the piece that is the whole word
     */
    int[] best(boolean notWhole) {
      int length = word.length();
      double[] best = new double[length + 1];
      int[] id = new int[length + 1];
      int[] origin = new int[length + 1];
      Arrays.fill(best, Double.NEGATIVE_INFINITY);
      best[0] = 0;
      for (int from = 0; from < length; from++) {
        double here = best[from];
        if (here == Double.NEGATIVE_INFINITY) {
          continue; // within a character
        }
        edges(
            from,
            (at, to, piece) -> {
              double score = here + pieces.get(piece).score();
              if (score > best[to] && !(notWhole && at == 0 && to == length)) {
                best[to] = score;
                id[to] = piece;
                origin[to] = at;
              }
            });
      }
      int count = 0;
      for (int at = length; at > 0; at = origin[at]) {
        count++;
      }
      int[] cut = new int[count];
      for (int at = length; at > 0; at = origin[at]) {
        cut[--count] = id[at];
      }
      return cut;
    }
  }
}
