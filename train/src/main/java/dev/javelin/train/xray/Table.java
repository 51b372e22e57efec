package dev.javelin.train.xray;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The table beside a picture, folded: what the picture shows as text. */
final class Table {
  private final String id;
  private final String caption;
  private final List<String> columns;
  private final List<List<String>> rows = new ArrayList<>();
  private boolean sortable = true;

  /**
   * @param caption says what a row is
   * @param columns heads, the first over the rows' heads; those of numbers begin with {@code #}
   */
  Table(String id, String caption, String... columns) {
    this.id = id;
    this.caption = caption;
    this.columns = Arrays.asList(columns);
  }

  /** A cell of the row's own for each column; what is missing at its end is left out. */
  Table row(String... cells) {
    rows.add(Arrays.asList(cells));
    return this;
  }

  /** A table whose order of rows is what it says. */
  Table inOrder() {
    sortable = false;
    return this;
  }

  int size() {
    return rows.size();
  }

  /** Writes it, folded under a line. */
  void fold(Html html, String line) {
    html.open("details", "class", "data").leaf("summary", line);
    write(html);
    html.close("details");
  }

  void write(Html html) {
    html.open("div", "class", "scroll", "tabindex", "0", "role", "group", "aria-label", caption);
    html.open("table", "id", id, "class", sortable ? "sortable" : "fixed");
    html.leaf("caption", caption);
    html.open("thead").open("tr");
    for (String column : columns) {
      if (isNumber(column)) {
        html.leaf("th", column.substring(1), "scope", "col", "class", "n");
      } else {
        html.leaf("th", column, "scope", "col");
      }
    }
    html.close("tr", "thead").open("tbody");
    for (List<String> row : rows) {
      html.open("tr");
      if (isNumber(columns.getFirst())) {
        html.leaf("th", row.getFirst(), "scope", "row", "class", "n");
      } else {
        html.leaf("th", row.getFirst(), "scope", "row");
      }
      for (int c = 1; c < row.size(); c++) {
        if (isNumber(columns.get(c))) {
          html.leaf("td", row.get(c), "class", "n");
        } else {
          html.leaf("td", row.get(c));
        }
      }
      if (row.size() < columns.size()) {
        html.leaf(
            "td", "masked", "class", "m", "colspan", String.valueOf(columns.size() - row.size()));
      }
      html.close("tr");
    }
    html.close("tbody", "table", "div");
  }

  private static boolean isNumber(String column) {
    return column.startsWith("#");
  }
}
