package dev.javelin.train.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Scores against figures that others publish, or that follow from the definition. */
class MetricsTest {
  private static final Offset<Double> EXACT = within(1e-9);

  /** BLEU, brevity penalty and chrF2 of sacrebleu 2.6.0, {@code corpus_score} with its defaults. */
  static List<Arguments> sacrebleu() {
    return List.of(
        Arguments.of(
            List.of(
                "The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."),
            List.of("The dog bit the man.", "It was not unexpected.", "The man bit him first."),
            45.06750632106114,
            1.0,
            50.043063606582294),
        Arguments.of(
            List.of(
                "In 1,000 A.D. it cost $3.50 - a 10-year low (of 2.5%).",
                "He said: \"yes & no\"; no_one/everyone."),
            List.of(
                "In 1,000 A.D. it cost $3.50, a 10-year low (2.5%).",
                "He says: &quot;yes &amp; no&quot;, no one / everyone."),
            65.24037668347289,
            1.0,
            60.38564288268539),
        Arguments.of(List.of("a b"), List.of("a c"), 0.0, 1.0, 25.0),
        Arguments.of(List.of("x y z"), List.of("a b c"), 0.0, 1.0, 0.0),
        Arguments.of(
            List.of("", "the cat sat on the mat"),
            List.of("nothing here", "the cat sat on a mat"),
            38.49815007763549,
            0.7165313105737893,
            47.20764717674782),
        Arguments.of(
            List.of("Der Bär läuft über die Straße – schnell!", "今日は 良い天気 です。"),
            List.of("Der Bär lief schnell über die Straße!", "今日は良い天気ですね。"),
            20.662920459484496,
            1.0,
            69.96419816181626),
        Arguments.of(
            List.of("the quick brown fox"),
            List.of("the quick brown fox jumps over the lazy dog"),
            28.650479686019022,
            0.2865047968601901,
            46.87186149301531));
  }

  @ParameterizedTest
  @MethodSource("sacrebleu")
  void bleuAndChrfAreThoseOfSacrebleu(
      List<String> texts, List<String> references, double bleu, double penalty, double chrf) {
    assertThat(Bleu.of(texts, references).score()).isCloseTo(bleu, EXACT);
    assertThat(Bleu.of(texts, references).brevityPenalty()).isCloseTo(penalty, EXACT);
    assertThat(Chrf.of(texts, references)).isCloseTo(chrf, EXACT);
  }

  /** What sacrebleu's tokenizer 13a makes of the same. */
  @Test
  void wordsAreCutAsMteval13aCutsThem() {
    String text = "a-\nb 3-4 x.5 5.x <skipped>{|}~[\\]^_` !\"#$%&()*+:;<=>?@/ 1,2 a,b -'";
    assertThat(String.join(" ", Bleu.tokens(text)))
        .isEqualTo(
            "ab 3 - 4 x . 5 5 . x { | } ~ [ \\ ] ^ _ ` ! \" # $ % & ( ) * + : ; < = > ? @ / 1,2 a , b -'");
  }

  /** The package's own tests (google-research/rouge, rouge_scorer_test.py) and its README. */
  @Test
  void rougeIsThatOfRougeScore() {
    assertRouge(Rouge.n(1, "testing", "testing one two"), 1, 1.0 / 3, 1.0 / 2);
    assertRouge(Rouge.n(2, "testing one", "testing one two"), 1, 1.0 / 2, 2.0 / 3);
    assertRouge(Rouge.longest("testing one", "testing one two"), 1, 2.0 / 3, 4.0 / 5);
    assertRouge(Rouge.longest("testing two", "testing one two"), 1, 2.0 / 3, 4.0 / 5);
    assertRouge(Rouge.n(1, "", "testing one two"), 0, 0, 0);
    assertRouge(Rouge.longest("/", "testing one two"), 0, 0, 0);
    String text = "The quick brown dog jumps on the log.";
    String reference = "The quick brown fox jumps over the lazy dog";
    assertRouge(Rouge.n(1, text, reference), 6.0 / 8, 6.0 / 9, 12.0 / 17);
    assertRouge(Rouge.longest(text, reference), 5.0 / 8, 5.0 / 9, 10.0 / 17);
  }

  private static void assertRouge(Rouge got, double precision, double recall, double f1) {
    assertThat(got.precision()).isCloseTo(precision, EXACT);
    assertThat(got.recall()).isCloseTo(recall, EXACT);
    assertThat(got.f1()).isCloseTo(f1, EXACT);
  }

  @Test
  void scoresGoByName() {
    List<String> texts = List.of(" Paris ", "a b c");
    List<String> references = List.of("Paris", "a b d");
    var scores = TextScores.of(List.of("exact", "rouge", "bleu"), texts, references);
    assertThat(scores.sequencedKeySet())
        .containsExactly("exact", "rouge1", "rouge2", "rougeL", "bleu");
    assertThat(scores).containsEntry("exact", 50.0);
    assertThat(scores.get("rouge1")).isCloseTo(100 * (1 + 2.0 / 3) / 2, EXACT);
    assertThat(scores.get("rouge2")).isCloseTo(100 * (0 + 1.0 / 2) / 2, EXACT);
    assertThatThrownBy(() -> TextScores.of(List.of("meteor"), texts, references))
        .hasMessageContaining("no score meteor: choose of exact, bleu, chrf");
    assertThatThrownBy(() -> Bleu.of(List.of(), List.of()))
        .hasMessageContaining("0 texts need as many references");
  }

  /** The example of scikit-learn's {@code f1_score}: each class, macro and micro. */
  @Test
  void classesAreCountedAsScikitLearnCountsThem() {
    Classification c =
        Classification.of(
            List.of("a", "b", "c"), new int[] {0, 1, 2, 0, 1, 2}, new int[] {0, 2, 1, 0, 0, 1});
    assertThat(List.of(c.f1(0), c.f1(1), c.f1(2))).containsExactly(0.8, 0.0, 0.0);
    assertThat(c.macroF1()).isCloseTo(0.8 / 3, EXACT);
    assertThat(c.microF1()).isCloseTo(1.0 / 3, EXACT);
    assertThat(c.accuracy()).isCloseTo(1.0 / 3, EXACT);
    assertThat(c.precision(0)).isCloseTo(2.0 / 3, EXACT);
    assertThat(c.recall(0)).isCloseTo(1, EXACT);
    assertThat(c.support(1)).isEqualTo(2);
    assertThat(c.json()).startsWith("{\"accuracy\":0.333").contains("\"f1\":{\"a\":0.8,\"b\":0.0");
  }

  @Test
  void aClassThatNeverOccursCountsForNothing() {
    Classification c =
        Classification.of(List.of("a", "b", "never"), new int[] {0, 1}, new int[] {0, 1});
    assertThat(c.macroF1()).isEqualTo(1);
    assertThat(c.f1(2)).isZero();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 26})
  void theCopiedSpanIsTheLongest(int alphabet) {
    Random random = new Random(alphabet);
    for (int round = 0; round < 200; round++) {
      int[] text = random.ints(1 + random.nextInt(30), 0, alphabet).toArray();
      int[] data = random.ints(1 + random.nextInt(60), 0, alphabet).toArray();
      CopiedSpan got = CopiedSpan.of(text, data);
      assertThat(got.length()).isEqualTo(longest(text, data));
      assertThat(Arrays.copyOfRange(text, got.inText(), got.inText() + got.length()))
          .isEqualTo(Arrays.copyOfRange(data, got.inData(), got.inData() + got.length()));
    }
  }

  private static int longest(int[] a, int[] b) {
    int best = 0;
    for (int i = 0; i < a.length; i++) {
      for (int j = 0; j < b.length; j++) {
        int n = 0;
        while (i + n < a.length && j + n < b.length && a[i + n] == b[j + n]) {
          n++;
        }
        best = Math.max(best, n);
      }
    }
    return best;
  }

  @Test
  void nothingIsCopiedOfNothing() {
    assertThat(CopiedSpan.of(new int[0], new int[] {1})).isEqualTo(new CopiedSpan(0, 0, 0));
    assertThat(CopiedSpan.of(new int[] {7, 1, 2, 3, 9}, new int[] {0, 1, 2, 3, 1, 2}))
        .isEqualTo(new CopiedSpan(3, 1, 1));
  }
}
