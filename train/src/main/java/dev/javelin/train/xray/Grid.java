package dev.javelin.train.xray;

import java.util.List;
import java.util.stream.IntStream;

/**
 * A heat map of rows over the text's tokens, and its table.
 *
 * @param what a cell is, in words
 * @param rows their names
 * @param tokens how many of the text
 */
record Grid(String id, String what, List<String> rows, List<Xray.Token> tokens) {
  private static final double LEFT = 90;
  private static final double RIGHT = 28; // what climbs over the last column
  private static final double TOP = 74;
  private static final double HEIGHT = 24;
  private static final double NARROW = 15;
  private static final double WIDE = 41;
  private static final double LEAST = 35; // of a word's cell
  private static final double PAGE = 1180; // what the page has beside a scroll bar
  private static final double LETTER = 7.9;

  /** A number of a cell. */
  interface Cell {
    double of(int row, int token);
  }

  /** A text of a cell. */
  interface Word {
    String of(int row, int token);
  }

  /** Colours from the least to the greatest of the numbers. */
  void numbers(Html html, Cell cell) {
    double least = values(cell).min().orElse(0);
    double most = values(cell).max().orElse(0);
    double span = most > least ? most - least : 1;
    draw(html, (r, t) -> Double.isFinite(cell.of(r, t)) ? (cell.of(r, t) - least) / span : 0, null);
    Picture.scale(html, Legible.three(least), Legible.three(most));
    table(html, cell);
  }

  /** Colours by a probability, and a word in each cell. */
  void words(Html html, Cell probability, Word word) {
    draw(html, (r, t) -> Math.sqrt(Math.max(0, probability.of(r, t))), word);
    Picture.scale(html, "0 %", "100 % (by the square root)");
  }

  private java.util.stream.DoubleStream values(Cell cell) {
    return IntStream.range(0, rows.size())
        .boxed()
        .flatMapToDouble(r -> IntStream.range(0, tokens.size()).mapToDouble(t -> cell.of(r, t)))
        .filter(Double::isFinite);
  }

  private void draw(Html html, Cell share, @org.jspecify.annotations.Nullable Word word) {
    double cellWidth = Math.max(word == null ? NARROW : WIDE, 640.0 / tokens.size());
    double fits = (PAGE - LEFT - RIGHT / 2) / tokens.size();
    if (word != null && cellWidth > fits) {
      cellWidth = Math.max(LEAST, fits); // where that does not fit either, it is scrolled
    }
    double width = LEFT + cellWidth * tokens.size() + RIGHT - Math.min(RIGHT / 2, 0.4 * cellWidth);
    double height = TOP + HEIGHT * rows.size() + 4;
    html.open("div", "class", "wide", "tabindex", "0", "role", "group", "aria-label", what);
    Picture picture = new Picture(html);
    picture.open(
        "grid",
        what + ": the table below has the numbers",
        id,
        width,
        height,
        "data-grid",
        "%s %s %s %s"
            .formatted(
                Picture.at(LEFT), Picture.at(TOP), Picture.at(cellWidth), Picture.at(HEIGHT)),
        "data-columns",
        String.valueOf(tokens.size()),
        "data-rows",
        String.valueOf(rows.size()),
        "style",
        "min-width:%dpx;max-width:%dpx".formatted((int) width, (int) (1.5 * width)));
    for (int t = 0; t < tokens.size(); t++) {
      picture.climbing(
          LEFT + (t + 0.6) * cellWidth, TOP - 6, Legible.brief(tokens.get(t).text(), 9));
    }
    for (int r = 0; r < rows.size(); r++) {
      double y = TOP + r * HEIGHT;
      picture.text(LEFT - 6, y + 16, "end", rows.get(r));
      for (int t = 0; t < tokens.size(); t++) {
        int level = Picture.level(share.of(r, t));
        picture.box(LEFT + t * cellWidth, y, cellWidth, HEIGHT, "heat k" + level);
        if (word != null) {
          picture.text(
              LEFT + (t + 0.5) * cellWidth,
              y + 16,
              "mid k" + level,
              Legible.brief(word.of(r, t), (int) (cellWidth / LETTER)));
        }
      }
    }
    picture.close();
    html.close("div");
    Picture.note(html, id);
  }

  private void table(Html html, Cell cell) {
    Table table = table("#");
    for (int r = 0; r < rows.size(); r++) {
      String[] cells = new String[tokens.size() + 1];
      cells[0] = rows.get(r);
      for (int t = 0; t < tokens.size(); t++) {
        cells[t + 1] = Legible.three(cell.of(r, t));
      }
      table.row(cells);
    }
    table.fold(html, "The same as a table");
  }

  /** An empty table with a column for each token. */
  private Table table(String kind) {
    String[] columns = new String[tokens.size() + 1];
    columns[0] = "Place";
    for (int t = 0; t < tokens.size(); t++) {
      columns[t + 1] = kind + t + " " + Legible.token(tokens.get(t).text());
    }
    return new Table(id, what, columns).inOrder();
  }

  /** The table of words, where each cell says it all. */
  void wordTable(Html html, Word word) {
    Table table = table("");
    for (int r = 0; r < rows.size(); r++) {
      String[] cells = new String[tokens.size() + 1];
      cells[0] = rows.get(r);
      for (int t = 0; t < tokens.size(); t++) {
        cells[t + 1] = word.of(r, t);
      }
      table.row(cells);
    }
    table.fold(html, "The same as a table, with the five likeliest tokens");
  }
}
