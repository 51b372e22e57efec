package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.ParameterFacts;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * A number of every parameter on a logarithmic axis: a line for each role, such as {@code attn.wq},
 * and on it a mark for each layer.
 */
final class Strip {
  private static final double LEFT = 190;
  private static final double RIGHT = 700;
  private static final double TOP = 8;
  private static final double STEP = 24;

  private Strip() {}

  /** A parameter's name without its layer. */
  static String role(ParameterFacts p) {
    return p.layer() < 0 ? p.name() : p.name().replaceFirst("^.*?[.]?" + p.layer() + "[.]", "");
  }

  /**
   * Draws it; row r of {@code table} is parameter r.
   *
   * @param band where it is healthy, from and to; empty for none
   */
  static void draw(
      Html html,
      Xray x,
      String table,
      String what,
      ToDoubleFunction<ParameterFacts> number,
      double... band) {
    List<ParameterFacts> all = x.parameters();
    List<String> roles =
        new ArrayList<>(new LinkedHashSet<>(all.stream().map(Strip::role).toList()));
    Scale scale =
        Scale.log(
            java.util.stream.DoubleStream.concat(
                all.stream().mapToDouble(number), java.util.Arrays.stream(band)),
            LEFT,
            RIGHT);
    double bottom = TOP + STEP * roles.size();
    int last = x.subject().layers() - 1;
    html.open("ul", "class", "legend");
    key(html, 0, "s0", "layer 0");
    key(html, 0, "hollow s5", "layers between");
    key(html, 1, "s1", "layer " + last + ", the last");
    key(html, 3, "s2", "outside of layers");
    html.close("ul");
    html.open("div", "class", "wide", "tabindex", "0", "role", "group", "aria-label", what);
    Picture p = new Picture(html);
    p.open(
        "marks",
        what + ", by role and layer: the table below has the numbers",
        table,
        RIGHT + 20,
        bottom + 24,
        "style",
        "max-width:900px");
    if (band.length > 0) {
      p.box(scale.at(band[0]), TOP, scale.at(band[1]) - scale.at(band[0]), bottom - TOP, "band");
    }
    p.across(scale, TOP, bottom, Legible::three);
    for (int i = 0; i < roles.size(); i++) {
      double y = TOP + (i + 0.5) * STEP;
      p.line(LEFT, y, RIGHT, y, "gridline");
      p.text(LEFT - 8, y + 4, "end mono", Legible.brief(roles.get(i), 24));
    }
    for (int r = 0; r < all.size(); r++) {
      ParameterFacts f = all.get(r);
      double v = number.applyAsDouble(f);
      if (scale.shows(v)) {
        double y = TOP + (roles.indexOf(role(f)) + 0.5) * STEP;
        boolean first = f.layer() == 0;
        boolean end = f.layer() == last && !first;
        String kind = f.layer() < 0 ? "s2" : first ? "s0" : end ? "s1" : "hollow s5";
        p.mark(f.layer() < 0 ? 3 : end ? 1 : 0, scale.at(v), y, first || end ? 6 : 4.5, kind, r);
      }
    }
    p.close();
    html.close("div");
    Picture.note(html, table);
  }

  private static void key(Html html, int shape, String kind, String text) {
    html.open("li").open("svg", "viewBox", "0 0 16 16", "aria-hidden", "true");
    html.empty("path", "d", Picture.shape(shape, 8, 8, 5), "class", kind);
    html.close("svg").text(text).close("li");
  }
}
