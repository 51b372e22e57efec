package dev.javelin.train.xray;

import java.util.List;
import java.util.stream.IntStream;

/**
 * How much of a snapshot is shown: a page has a size that it keeps within.
 *
 * @param snapshot which, from 0
 * @param tokens of the text, from its beginning
 * @param layers whose inside is shown, the first and the last among them
 * @param heads of a layer
 * @param ranges of memory, the largest
 */
record Detail(int snapshot, int tokens, int layers, int heads, int ranges) {
  /** From all to little. */
  static final List<Detail> ALL =
      List.of(
          new Detail(0, 64, 16, 16, 600),
          new Detail(0, 48, 6, 8, 300),
          new Detail(0, 40, 4, 6, 200),
          new Detail(0, 32, 3, 4, 120),
          new Detail(0, 24, 3, 3, 80),
          new Detail(0, 16, 2, 2, 40),
          new Detail(0, 12, 2, 1, 20));

  Detail of(int which) {
    return new Detail(which, tokens, layers, heads, ranges);
  }

  /** An id that no other snapshot has. */
  String id(String name) {
    return name + "-" + snapshot;
  }

  int tokens(Xray x) {
    return Math.min(tokens, x.tokens().size());
  }

  /** The layers that are shown, spread evenly. */
  List<Integer> layers(Xray x) {
    return spread(x.subject().layers(), layers);
  }

  List<Integer> heads(Xray x) {
    return spread(x.subject().heads(), heads);
  }

  boolean shows(Xray x, int layer) {
    return layer < 0 || layers(x).contains(layer);
  }

  private static List<Integer> spread(int count, int most) {
    return count <= most
        ? IntStream.range(0, count).boxed().toList()
        : IntStream.range(0, most)
            .map(i -> most == 1 ? 0 : (int) Math.round(i * (count - 1.0) / (most - 1)))
            .distinct()
            .boxed()
            .toList();
  }

  /** What is left out of the page, as a sentence; empty for nothing. */
  String leftOut(Xray x) {
    StringBuilder text = new StringBuilder();
    if (tokens < x.tokens().size()) {
      text.append(
          "Pictures and tables of attention, residual stream and logit lens show the first %d of %d tokens. "
              .formatted(tokens, x.tokens().size()));
    }
    if (layers < x.subject().layers()) {
      text.append(
          "The inside of layers is shown for %d of %d: %s. "
              .formatted(layers(x).size(), x.subject().layers(), list(layers(x))));
    }
    if (heads < x.subject().heads()) {
      text.append(
          "Heads shown of a layer: %d of %d: %s. "
              .formatted(heads(x).size(), x.subject().heads(), list(heads(x))));
    }
    if (ranges < x.memory().ranges().size()) {
      text.append(
          "The memory picture shows the %d largest of %d ranges. "
              .formatted(ranges, x.memory().ranges().size()));
    }
    return text.isEmpty()
        ? ""
        : "To keep this page small, something is left out. " + text.toString().strip();
  }

  private static String list(List<Integer> numbers) {
    return String.join(", ", numbers.stream().map(String::valueOf).toList());
  }
}
