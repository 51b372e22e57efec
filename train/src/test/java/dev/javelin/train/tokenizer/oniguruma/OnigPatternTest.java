package dev.javelin.train.tokenizer.oniguruma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.lang.Character.UnicodeScript;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against Oniguruma itself: the table that {@code oniguruma.py} writes. */
class OnigPatternTest {
  private static final String ALL = allCharacters();

  private static String allCharacters() {
    StringBuilder all = new StringBuilder();
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      if (c < Character.MIN_SURROGATE || c > Character.MAX_SURROGATE) {
        all.appendCodePoint(c);
      }
    }
    return all.toString();
  }

  private static JsonNode table(String name) throws IOException {
    try (InputStream in =
        new GZIPInputStream(
            Objects.requireNonNull(
                OnigPatternTest.class.getResourceAsStream("/tokenizer/" + name + ".json.gz")))) {
      return new ObjectMapper().readTree(in);
    }
  }

  private static List<String> pieces(String pattern, String text) {
    List<String> pieces = new ArrayList<>();
    Matches matches = OnigPattern.compile(pattern).matches(text);
    int from = 0;
    while (matches.find()) {
      add(pieces, text, from, matches.start());
      add(pieces, text, matches.start(), matches.end());
      from = matches.end();
    }
    add(pieces, text, from, text.length());
    return pieces;
  }

  private static void add(List<String> pieces, String text, int from, int to) {
    if (to > from) {
      pieces.add(text.substring(from, to));
    }
  }

  /** As in the table: gaps and lengths of the runs of matching code points. */
  private static String ranges(String pattern) {
    StringBuilder gaps = new StringBuilder();
    Matches matches = OnigPattern.compile("(?:" + pattern + ")+").matches(ALL);
    int last = 0;
    List<Integer> runs = new ArrayList<>();
    while (matches.find()) {
      int length = ALL.codePointCount(matches.start(), matches.end());
      if (!runs.isEmpty() && matches.start() == last) {
        runs.set(runs.size() - 1, runs.getLast() + length);
      } else {
        runs.add(ALL.codePointCount(last, matches.start()));
        runs.add(length);
      }
      last = matches.end();
    }
    runs.forEach(n -> gaps.append(gaps.isEmpty() ? "" : " ").append(n));
    return gaps.toString();
  }

  /**
   * @param every of the scripts and blocks, which are many, only every so many
   */
  private static void compareClasses(int every) throws IOException {
    List<String> wrong = new ArrayList<>();
    int named = 0;
    for (Map.Entry<String, JsonNode> e : table("oniguruma").get("classes").properties()) {
      String pattern = e.getKey();
      if (pattern.matches("\\\\p\\{[A-Z_0-9]{3,}\\}|\\\\p\\{In_.*") && named++ % every != 0) {
        continue;
      }
      try {
        if (!ranges(pattern).equals(e.getValue().textValue())) {
          wrong.add(pattern);
        }
      } catch (OnigSyntaxException x) {
        wrong.add(pattern + " " + x.getMessage());
      }
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void classesHaveTheSameCodePoints() throws IOException {
    compareClasses(16);
  }

  @Test
  @Tag("long")
  void everyScriptAndBlockHasTheSameCodePoints() throws IOException {
    compareClasses(1);
  }

  @Test
  void randomPatternsCutAtTheSamePlaces() throws IOException {
    JsonNode table = table("oniguruma_random");
    List<String> wrong = new ArrayList<>();
    int compared = 0;
    for (JsonNode c : table.get("cases")) {
      String pattern = c.get(0).textValue();
      try {
        for (int i = 0; i < table.get("texts").size(); i++) {
          List<String> expected = new ArrayList<>();
          c.get(1).get(i).forEach(piece -> expected.add(piece.textValue()));
          String text = table.get("texts").get(i).textValue();
          if (!pieces(pattern, text).equals(expected)) {
            wrong.add(pattern + " on " + text);
          }
        }
        compared++;
      } catch (IllegalArgumentException e) { // Oniguruma looks for what must follow first
        assertThat(e.getMessage())
            .as(pattern)
            .containsAnyOf(
                "\\R in a lookbehind is not supported", "needs more than 10000000 steps");
      }
    }
    assertThat(wrong).isEmpty();
    assertThat(compared).isGreaterThan(1_180);
  }

  @Test
  void everyCodePointEqualsTheSameOthers() throws IOException {
    JsonNode folds = table("oniguruma").get("folds");
    List<String> wrong = new ArrayList<>();
    TreeSet<Integer> candidates = new TreeSet<>();
    for (int c = 0; c < CodePointSet.LIMIT; c++) {
      if (CaseFolding.simple(c) != c || folds.has(String.valueOf(c))) {
        candidates.add(c); // one that others fold to is met by them
        candidates.add(CaseFolding.simple(c));
      }
    }
    for (int c : candidates) {
      CodePointSet here = CaseFolding.equal(c);
      TreeSet<Integer> expected = new TreeSet<>();
      expected.add(c);
      JsonNode others = folds.get(String.valueOf(c));
      if (others != null) {
        others.forEach(n -> expected.add(n.intValue()));
      }
      TreeSet<Integer> found = new TreeSet<>();
      candidates.stream().filter(here::contains).forEach(found::add);
      if (!found.equals(expected)) {
        wrong.add(String.format("%x: %s not %s", c, found, expected));
      }
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void textsAreCutAtTheSamePlaces() throws IOException {
    List<String> refused = new ArrayList<>();
    List<String> wrong = new ArrayList<>();
    for (JsonNode c : table("oniguruma").get("splits")) {
      String pattern = c.get(0).textValue();
      List<String> expected = new ArrayList<>();
      c.get(2).forEach(piece -> expected.add(piece.textValue()));
      try {
        List<String> found = pieces(pattern, c.get(1).textValue());
        if (!found.equals(expected)) {
          wrong.add(pattern + " " + c.get(1) + ": " + found + " not " + expected);
        }
      } catch (OnigSyntaxException e) {
        refused.add(pattern);
      }
    }
    assertThat(wrong).isEmpty();
    assertThat(refused)
        .containsExactlyInAnyOrder(
            "a{3,1}",
            "\\X",
            "\\K",
            "a\\Kb",
            "\\cA",
            "\\C-a",
            "\\M-a",
            "\\18",
            "(a)\\1",
            "\\x{41 42}",
            "\\xC3\\xA4",
            "\\x",
            "\\p{XIDS}",
            "(?<=a+)b",
            "(?<=a*)b",
            "(?<n>a)\\k<n>",
            "(?~ab)",
            "(a)\\g<1>",
            "(?W)\\w",
            "(?D)\\d",
            "(?y{g})a",
            "(?P:\\w)",
            "(?I)a",
            "(?L)a",
            "(?C)a",
            "\\y",
            "\\Y");
  }

  @Test
  void whatOnigurumaRefusesIsRefused() throws IOException {
    List<String> accepted = new ArrayList<>();
    for (JsonNode pattern : table("oniguruma").get("refused")) {
      try {
        OnigPattern.compile(pattern.textValue());
        accepted.add(pattern.textValue());
      } catch (OnigSyntaxException expected) {
        assertThat(expected.getMessage()).isNotEmpty();
      }
    }
    assertThat(accepted).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ' ',
      quoteCharacter = '`',
      value = {
        "\\p{Script=Han} `the property \\p{Script=Han} is not supported`",
        "\\p{Dash} `the property \\p{Dash} is not supported`",
        "a(?~b)c `the group (?~ is not supported`",
        "(a)\\1 `\\1 is not supported`",
        "(?(1)a|b) `the group (?( is not supported`",
        "(?<=a+)b `a lookbehind of unbounded length is not supported`",
        "(?<=\\R)b `\\R in a lookbehind is not supported`",
        "\\xE9 `the byte \\xE9 is not supported: write \\x{…}`",
        "[[:wrod:]] `the bracket [:wrod:] is not supported`",
        "[z-a] `the range z-a in a class has no members`",
        "\\b* `a repeated place between characters is not supported: *`",
        "a{100001} `a count above 100000 is not supported`",
        "(?s)a `the group (?s is not supported`",
      })
  void refusesByName(String pattern, String message) {
    assertThatThrownBy(() -> OnigPattern.compile(pattern))
        .isInstanceOf(OnigSyntaxException.class)
        .hasMessage(message);
  }

  @Test
  void hugePatternsAreRefused() {
    for (String pattern :
        List.of(
            "a".repeat(20_000),
            "(?:".repeat(200) + ")".repeat(200),
            "[".repeat(200) + "a" + "]".repeat(200),
            "(?:(?:ab){1000}){1000}",
            "(?:(?:(?:a|b){300}){300}){300}",
            "(?:(?:(?:){99999}){99999}){99999}[",
            "(?:a|b){5000}")) {
      assertThatThrownBy(() -> OnigPattern.compile(pattern))
          .as("%.20s", pattern)
          .isInstanceOf(OnigSyntaxException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"(a+)+$", "(?:a+a+)+y", "(?:a|a)*y", "(a*)*y", "(?:a|aa)+?y"})
  void endlessBacktrackingEndsWithAnError(String pattern) {
    Matches matches = OnigPattern.compile(pattern).matches("a".repeat(60) + "b");
    assertThatThrownBy(matches::find)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("needs more than 10000000 steps at character 0");
  }

  @Test
  void longTextsNeedNoDeepStack() {
    String text = "ab".repeat(300_000);
    for (String pattern : List.of("(?:a|b)+", "(?:a|b|)*", "(?>(?:ab)+)", "(?:a?b?)+?\\z")) {
      assertThat(pieces(pattern, text)).as(pattern).containsExactly(text);
    }
  }

  @Test
  void rustsRulesDiffer() {
    OnigPattern end = OnigPattern.compile("a{1,2}+$", OnigPattern.Syntax.RUST);
    assertThat(end.replace("aaa\na\naaa", "#")).isEqualTo("aaa\na\na#");
    assertThat(OnigPattern.compile("a{1,2}+$").replace("aaa\na\naaa", "#")).isEqualTo("#\n#\n#");
    OnigPattern word = OnigPattern.compile("\\w+", OnigPattern.Syntax.RUST);
    assertThat(word.replace("a\u200Cb \u00B2", "#")).isEqualTo("# \u00B2");
    assertThat(OnigPattern.compile("(?s).", OnigPattern.Syntax.RUST).replace("a\n", "#"))
        .isEqualTo("##");
  }

  private static boolean rustMatches(String pattern, int codePoint) {
    return OnigPattern.compile(pattern, OnigPattern.Syntax.RUST)
        .matches(Character.toString(codePoint))
        .find();
  }

  @Test
  void rustNamesScriptsAndCategoriesWithTheirKind() {
    for (int c : new int[] {'a', 'A', 0x4F60, 0x3042, 0x436, 0x416, '1', 0x20000}) {
      var script = Character.UnicodeScript.of(c);
      boolean upper = Character.getType(c) == Character.UPPERCASE_LETTER;
      assertThat(rustMatches("\\p{Script=Han}", c)).isEqualTo(script == UnicodeScript.HAN);
      assertThat(rustMatches("[\\p{sc=Hira}_]", c)).isEqualTo(script == UnicodeScript.HIRAGANA);
      assertThat(rustMatches("\\P{gc=Lu}", c)).isEqualTo(!upper);
      assertThat(rustMatches("\\p{General_Category=Uppercase_Letter}", c)).isEqualTo(upper);
    }
    assertThatThrownBy(() -> rustMatches("\\p{scx=Han}", 'a'))
        .hasMessageContaining("the property \\p{scx=Han} is not supported");
    assertThatThrownBy(() -> rustMatches("\\p{Script=Elvish}", 'a'))
        .hasMessageContaining("the property \\p{Script=Elvish} is not supported");
  }
}
