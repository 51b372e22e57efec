package dev.javelin.train.xray;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The page's colours against the AA level of WCAG 2.2, sections 1.4.3 and 1.4.11. */
class ContrastTest {
  private static final double TEXT = 4.5;
  private static final double MARKS = 3;
  private static final String CSS = css();

  /** Colours of text, and what they stand on; of a heat map's words, by its own rules. */
  private static final Map<String, List<String>> ON =
      Map.of(
          "ink", List.of("paper", "card", "soft"),
          "faint", List.of("paper", "card", "soft"),
          "accent", List.of("paper", "card", "soft"),
          "card", List.of("accent"));

  private static String css() {
    try (var in = Objects.requireNonNull(XrayPage.class.getResourceAsStream("xray.css"))) {
      return new String(in.readAllBytes(), UTF_8);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** The variables of the light theme, or those that the dark one has instead. */
  private static Map<String, String> theme(boolean dark) {
    Map<String, String> colours = new HashMap<>();
    Matcher roots = Pattern.compile(":root \\{(.*?)}", Pattern.DOTALL).matcher(CSS);
    for (int i = 0; i <= (dark ? 1 : 0); i++) {
      assertThat(roots.find()).isTrue();
      Matcher m = Pattern.compile("--(\\w+): (#\\w{6});").matcher(roots.group(1));
      while (m.find()) {
        colours.put(m.group(1), m.group(2));
      }
    }
    return colours;
  }

  private static double luminance(String colour) {
    double[] weights = {0.2126, 0.7152, 0.0722};
    double sum = 0;
    for (int i = 0; i < 3; i++) {
      double c = Integer.parseInt(colour.substring(1 + 2 * i, 3 + 2 * i), 16) / 255.0;
      sum += weights[i] * (c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4));
    }
    return sum;
  }

  private static double contrast(String a, String b) {
    double x = luminance(a);
    double y = luminance(b);
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  }

  private static void check(
      List<String> bad, Map<String, String> theme, String of, String on, double least) {
    double contrast =
        contrast(
            Objects.requireNonNull(theme.get(of), of), Objects.requireNonNull(theme.get(on), on));
    if (contrast < least) {
      bad.add("%s on %s: %.2f".formatted(of, on, contrast));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void textAndMarksStandOut(boolean dark) {
    Map<String, String> theme = theme(dark);
    List<String> bad = new ArrayList<>();
    ON.forEach((text, grounds) -> grounds.forEach(g -> check(bad, theme, text, g, TEXT)));
    Matcher words =
        Pattern.compile("((?:text\\.k\\d,? ?)+)\\{ fill: var\\(--(\\w+)\\)").matcher(CSS);
    int levels = 0;
    while (words.find()) {
      for (String level : words.group(1).replace(",", "").split(" ")) {
        check(bad, theme, words.group(2), level.substring("text.".length()), TEXT);
        levels++;
      }
    }
    assertThat(levels).isEqualTo(10);
    for (String mark : List.of("c0", "c1", "c2", "c3", "c4", "c5", "mark", "accent", "faint")) {
      check(bad, theme, mark, "card", MARKS);
      check(bad, theme, mark, "paper", MARKS);
    }
    assertThat(bad).isEmpty();
  }

  /** So that a new one is not forgotten above. */
  @Test
  void noOtherColoursAreUsed() {
    TreeSet<String> used = new TreeSet<>();
    Matcher text = Pattern.compile("[{; ]color: var\\(--(\\w+)\\)").matcher(CSS);
    while (text.find()) {
      used.add(text.group(1));
    }
    assertThat(ON.keySet()).containsAll(used);
    TreeSet<String> grounds = new TreeSet<>();
    Matcher ground = Pattern.compile("background: var\\(--(\\w+)\\)").matcher(CSS);
    while (ground.find()) {
      grounds.add(ground.group(1));
    }
    assertThat(grounds).containsExactly("accent", "card", "paper", "soft");
  }

  @Test
  void theFormulaIsThatOfTheStandard() {
    assertThat(contrast("#000000", "#ffffff")).isCloseTo(21, within(1e-9));
    assertThat(contrast("#767676", "#ffffff")).isBetween(4.5, 4.6); // the lightest grey that passes
    assertThat(contrast("#777777", "#ffffff")).isBetween(4.4, 4.5);
  }
}
