package dev.javelin.train.xray;

import java.util.List;
import java.util.function.DoubleFunction;

/**
 * An SVG in the making. Its marks carry the number of a row of the table beside it, a grid's cells
 * are the table's cells: what a pointer shows is read there.
 */
final class Picture {
  /** Parts of a model, in the order of their colours and shapes. */
  static final List<String> PARTS = List.of("embedding", "attention", "mlp", "norm", "head");

  private static final int LEVELS = 9;

  private final Html html;

  Picture(Html html) {
    this.html = html;
  }

  /**
   * Opens a picture that keeps its shape.
   *
   * @param label what a reader who does not see it is told
   * @param table whose rows or cells it shows
   * @param more further attributes
   */
  Picture open(
      String kind, String label, String table, double width, double height, String... more) {
    String[] attributes = {
      "class",
      kind,
      "role",
      "img",
      "aria-label",
      label,
      "viewBox",
      "0 0 " + at(width) + " " + at(height),
      "data-table",
      table,
      "data-note",
      "note-" + table
    };
    String[] both = java.util.Arrays.copyOf(attributes, attributes.length + more.length);
    System.arraycopy(more, 0, both, attributes.length, more.length);
    html.open("svg", both);
    return this;
  }

  void close() {
    html.close("svg");
  }

  /** Where what a pointer is over is told. */
  static void note(Html html, String table) {
    html.open("p", "class", "note", "id", "note-" + table, "aria-live", "polite").close("p");
  }

  Picture text(double x, double y, String kind, String text) {
    html.leaf("text", text, "x", at(x), "y", at(y), "class", kind);
    return this;
  }

  /** A text that climbs, its beginning at the place. */
  Picture climbing(double x, double y, String text) {
    html.leaf("text", text, "transform", "translate(" + at(x) + " " + at(y) + ") rotate(-60)");
    return this;
  }

  Picture line(double x1, double y1, double x2, double y2, String kind) {
    return path("M" + at(x1) + " " + at(y1) + "L" + at(x2) + " " + at(y2), kind);
  }

  Picture path(String d, String kind) {
    html.empty("path", "d", d, "class", kind);
    return this;
  }

  Picture box(double x, double y, double width, double height, String kind) {
    html.empty(
        "rect", "x", at(x), "y", at(y), "width", at(width), "height", at(height), "class", kind);
    return this;
  }

  Picture box(double x, double y, double width, double height, String kind, int row) {
    html.empty(
        "rect",
        "x",
        at(x),
        "y",
        at(y),
        "width",
        at(width),
        "height",
        at(height),
        "class",
        kind,
        "data-r",
        String.valueOf(row));
    return this;
  }

  /** A mark whose shape says the same as its colour: 0 circle, 1 square, 2 triangle, … */
  Picture mark(int shape, double x, double y, double r, String kind, int row) {
    html.empty("path", "d", shape(shape, x, y, r), "class", kind, "data-r", String.valueOf(row));
    return this;
  }

  static String shape(int shape, double x, double y, double r) {
    String centre = "M" + at(x);
    return switch (shape) {
      case 0 -> centre + " " + at(y - r) + arc(r, 2 * r) + arc(r, -2 * r) + "z";
      case 1 ->
          "M"
              + at(x - r)
              + " "
              + at(y - r)
              + "h"
              + at(2 * r)
              + "v"
              + at(2 * r)
              + "h"
              + at(-2 * r)
              + "z";
      case 2 ->
          centre
              + " "
              + at(y - 1.2 * r)
              + "l"
              + at(1.2 * r)
              + " "
              + at(2.1 * r)
              + "h"
              + at(-2.4 * r)
              + "z";
      case 3 -> centre + " " + at(y - 1.4 * r) + diamond(r, 1) + diamond(r, -1) + "z";
      default ->
          "M"
              + at(x - 1.2 * r)
              + " "
              + at(y - 0.9 * r)
              + "h"
              + at(2.4 * r)
              + "l"
              + at(-1.2 * r)
              + " "
              + at(2.1 * r)
              + "z";
    };
  }

  private static String arc(double r, double down) {
    return "a" + at(r) + " " + at(r) + " 0 0 1 0 " + at(down);
  }

  private static String diamond(double r, int side) {
    String s = at(side * 1.4 * r);
    return "l" + s + " " + s + "l" + at(-side * 1.4 * r) + " " + s;
  }

  /** Lines and numbers of a horizontal axis. */
  Picture across(Scale scale, double top, double bottom, DoubleFunction<String> label) {
    for (double v : scale.ticks()) {
      line(scale.at(v), top, scale.at(v), bottom, "gridline");
      text(scale.at(v), bottom + 16, "dim mid", label.apply(v));
    }
    return this;
  }

  /** Lines and numbers of a vertical axis. */
  Picture up(Scale scale, double left, double right, DoubleFunction<String> label) {
    for (double v : scale.ticks()) {
      line(left, scale.at(v), right, scale.at(v), "gridline");
      text(left - 6, scale.at(v) + 4, "dim end", label.apply(v));
    }
    return this;
  }

  /** What a part's colour and shape are. */
  static int part(String part) {
    return Math.max(0, PARTS.indexOf(part));
  }

  /** The colours and shapes of a model's parts. */
  static void legend(Html html) {
    html.open("ul", "class", "legend");
    for (int i = 0; i < PARTS.size(); i++) {
      html.open("li").open("svg", "viewBox", "0 0 16 16", "aria-hidden", "true");
      html.empty("path", "d", shape(i, 8, 8, 5), "class", "s" + i);
      html.close("svg").text(PARTS.get(i)).close("li");
    }
    html.close("ul");
  }

  /** Ten steps from pale to strong, of a share from 0 to 1; only nothing is the palest. */
  static int level(double share) {
    return share > 0 ? (int) Math.clamp(Math.ceil(share * LEVELS), 1, LEVELS) : 0;
  }

  /** The steps of a heat map and what stands at both ends. */
  static void scale(Html html, String low, String high) {
    html.open("ul", "class", "legend").open("li").text(low + " ");
    html.open("svg", "class", "scale", "viewBox", "0 0 150 16", "aria-hidden", "true");
    for (int level = 0; level <= LEVELS; level++) {
      html.empty(
          "rect",
          "x",
          at(15 * level),
          "y",
          "0",
          "width",
          "15",
          "height",
          "16",
          "class",
          "k" + level);
    }
    html.close("svg").text(high).close("li", "ul");
  }

  /** A coordinate, to a tenth. */
  static String at(double v) {
    long tenths = Math.round(10 * v);
    return tenths % 10 == 0
        ? Long.toString(tenths / 10)
        : (tenths < 0 ? "-" : "") + Math.abs(tenths) / 10 + "." + Math.abs(tenths) % 10;
  }
}
