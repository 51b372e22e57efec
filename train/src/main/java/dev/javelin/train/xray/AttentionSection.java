package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.AttentionHead;
import dev.javelin.train.xray.Xray.Token;
import java.util.List;

/** Who looks at whom. */
record AttentionSection() implements Section {
  @Override
  public String id() {
    return "attention";
  }

  @Override
  public String title() {
    return "Attention: which tokens look at which";
  }

  @Override
  public String lead() {
    return "Attention is the only place where tokens exchange information. In each head, every token (a row) hands out weights to the tokens it may see (the columns); they are at least 0 and add up to 1, and the token receives the average of what those tokens offer, by these weights. It sees itself and what came before it, never what comes after: otherwise it could read the answer. That rule is the mask, drawn hatched; a weight of zero is plain.";
  }

  private static List<AttentionHead> shown(Xray x, Detail detail) {
    List<Integer> layers = detail.layers(x);
    List<Integer> heads = detail.heads(x);
    return x.attention().stream()
        .filter(h -> layers.contains(h.layer()) && heads.contains(h.head()))
        .toList();
  }

  private static String id(Detail detail, AttentionHead head) {
    return detail.id("head-" + head.layer() + "-" + head.head());
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    List<Token> tokens = x.tokens().subList(0, detail.tokens(x));
    List<AttentionHead> shown = shown(x, detail);
    String set = detail.id("set");
    html.open("p", "class", "js-only")
        .text(
            "Choose a token: in every head below, its row is framed and what it looks at most is told.")
        .close("p");
    html.open("ol", "class", "tokens js-only");
    for (Token t : tokens) {
      html.open("li");
      html.leaf(
          "button",
          Legible.token(t.text()),
          "type",
          "button",
          "class",
          "mono",
          "data-set",
          set,
          "data-row",
          String.valueOf(t.index()),
          "aria-pressed",
          "false",
          "aria-label",
          "Token " + t.index() + ", " + Legible.token(t.text()));
      html.close("li");
    }
    html.close("ol");
    Picture.scale(html, "weight 0", "1 (by the square root)");
    html.open("ul", "class", "legend").open("li");
    html.open("svg", "viewBox", "0 0 16 16", "aria-hidden", "true")
        .empty("rect", "width", "16", "height", "16", "class", "masked")
        .close("svg");
    html.text("hidden by the mask").close("li", "ul");
    for (int layer : detail.layers(x)) {
      List<AttentionHead> heads = shown.stream().filter(h -> h.layer() == layer).toList();
      if (heads.isEmpty()) {
        continue;
      }
      html.leaf("h3", "Layer " + layer).open("ul", "class", "heads");
      for (AttentionHead head : heads) {
        picture(html, head, tokens.size(), id(detail, head), set);
      }
      html.close("ul");
      html.open("details", "class", "data").leaf("summary", "Layer " + layer + " as tables");
      for (AttentionHead head : heads) {
        table(html, head, tokens, id(detail, head));
      }
      html.close("details");
    }
  }

  private static void picture(Html html, AttentionHead head, int size, String id, String set) {
    html.open("li").open("figure").leaf("figcaption", "Head " + head.head());
    Picture p = new Picture(html);
    double cell = 100.0 / size;
    p.open(
        "grid head",
        "Weights of head %d in layer %d: the tables below have the numbers"
            .formatted(head.head(), head.layer()),
        id,
        100,
        100,
        "data-grid",
        "0 0 %s %s".formatted(cell, cell),
        "data-columns",
        String.valueOf(size),
        "data-rows",
        String.valueOf(size),
        "data-set",
        set);
    StringBuilder[] levels = new StringBuilder[10];
    for (int q = 0; q < size; q++) {
      for (int k = 0; k < size; ) {
        int level = head.sees(q, k) ? Picture.level(Math.sqrt(head.weights()[q][k])) : -1;
        int to = k + 1;
        while (to < size
            && level == (head.sees(q, to) ? Picture.level(Math.sqrt(head.weights()[q][to])) : -1)) {
          to++;
        }
        if (level > 0) {
          if (levels[level] == null) {
            levels[level] = new StringBuilder();
          }
          levels[level].append("M").append(k).append(' ').append(q).append(".5h").append(to - k);
        }
        k = to;
      }
    }
    html.open("g", "transform", "scale(" + cell + ")");
    for (int level = 1; level < levels.length; level++) {
      if (levels[level] != null) {
        p.path(levels[level].toString(), "k" + level);
      }
    }
    html.close("g");
    p.path(mask(head, size, cell), "masked");
    p.close();
    Picture.note(html, id);
    html.close("figure", "li");
  }

  /** What the mask hides, in hundredths, so that all hatches are alike. */
  private static String mask(AttentionHead head, int size, double cell) {
    StringBuilder d = new StringBuilder();
    for (int q = 0; q < size; q++) {
      for (int k = 0; k < size; ) {
        int to = k;
        while (to < size && !head.sees(q, to)) {
          to++;
        }
        if (to > k) {
          String width = Picture.at((to - k) * cell);
          d.append("M")
              .append(Picture.at(k * cell))
              .append(' ')
              .append(Picture.at(q * cell))
              .append('h')
              .append(width)
              .append('v')
              .append(Picture.at(cell))
              .append("h-")
              .append(width)
              .append('z');
        }
        k = Math.max(to, k + 1);
      }
    }
    return d.toString();
  }

  private static void table(Html html, AttentionHead head, List<Token> tokens, String id) {
    String[] columns = new String[tokens.size() + 1];
    columns[0] = "Looks";
    for (int t = 0; t < tokens.size(); t++) {
      columns[t + 1] = "#" + t + " " + Legible.token(tokens.get(t).text());
    }
    Table table =
        new Table(
                id,
                "Layer %d, head %d (keys of head %d): a row's token looks at a column's"
                    .formatted(head.layer(), head.head(), head.keyHead()),
                columns)
            .inOrder();
    for (int q = 0; q < tokens.size(); q++) {
      String[] cells = new String[q + 2];
      cells[0] = columns[q + 1].substring(1);
      for (int k = 0; k <= q; k++) {
        cells[k + 1] = head.sees(q, k) ? Legible.three(head.weights()[q][k]) : "masked";
      }
      table.row(cells);
    }
    table.write(html);
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "weight of key j for query i",
            "exp(s_ij) ÷ Σ exp(s_ik) over the keys k that i sees, with s_ij = q_i · k_j ÷ √D",
            "dev.javelin.train.xray.AttentionWeights#softmax"),
        new Check(
            "queries and keys",
            "those that the operator got, after their rotation by position; the fused operator keeps no weights, so they are computed again, in double",
            "dev.javelin.train.xray.AttentionWeights#of"),
        new Check(
            "the mask",
            "j ≤ i, and i − j < window where a layer has one",
            "dev.javelin.train.xray.Xray.AttentionHead#sees"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    if (x.attention().isEmpty()) {
      return List.of();
    }
    AttentionHead head = x.attention().getFirst();
    int last = x.tokens().size() - 1;
    double sum = 0;
    for (float w : head.weights()[last]) {
      sum += w;
    }
    AttentionHead sharp = x.attention().getFirst();
    double most = 0;
    for (AttentionHead h : x.attention()) {
      double mean = 0;
      for (float[] row : h.weights()) {
        float max = 0;
        for (float w : row) {
          max = Math.max(max, w);
        }
        mean += max / h.weights().length;
      }
      if (mean > most) {
        most = mean;
        sharp = h;
      }
    }
    return List.of(
        new Exercise(
            "Why is the weight at the top left, of the first token for itself, exactly 1 in every head?",
            "The first token sees nothing but itself, and weights add up to 1: in head 0 of layer 0 it is %s."
                .formatted(Legible.three(head.weights()[0][0]))),
        new Exercise(
            "What would a row look like if the last token looked at all it sees alike? Compare with head 0 of layer 0.",
            "Each of its %d weights would be 1 ÷ %d = %s. In that head they add up to %s, and the weight for itself is %s."
                .formatted(
                    last + 1,
                    last + 1,
                    Legible.three(1.0 / (last + 1)),
                    Legible.three(sum),
                    Legible.three(head.weights()[last][last]))),
        new Exercise(
            "Which head decides most sharply?",
            "Head %d of layer %d: its rows' greatest weights are %s on average. The nearer to 1, the more a token takes from a single other one."
                .formatted(sharp.head(), sharp.layer(), Legible.three(most))));
  }
}
