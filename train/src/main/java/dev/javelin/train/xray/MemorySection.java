package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.Event;
import dev.javelin.train.xray.Xray.MemoryPicture;
import dev.javelin.train.xray.Xray.Range;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Which bytes were whose, and when. */
record MemorySection() implements Section {
  private static final double LEFT = 70;
  private static final double RIGHT = 740;
  private static final double HEIGHT = 320;

  @Override
  public String id() {
    return "memory";
  }

  @Override
  public String title() {
    return "Memory over the step";
  }

  @Override
  public String lead() {
    return "Running backward needs many results of running forward, so they are kept until then: this is why training takes far more memory than using a model. The step's memory is one long array of bytes, the slab, out of which each operator is given ranges; a range is given out again once nobody needs it. That works like objects on a heap, but with lifetimes known in advance and no garbage collector.";
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    MemoryPicture m = x.memory();
    html.open("dl", "class", "tiles");
    tile(html, "most at one time", Legible.bytes(m.peak()));
    tile(html, "weights and gradients, beside it", Legible.bytes(m.parameterBytes()));
    tile(html, "optimizer's state, beside it", Legible.bytes(m.optimizerBytes()));
    html.close("dl");
    slab(html, x, detail);
    live(html, x, detail);
  }

  private static void tile(Html html, String name, String value) {
    html.open("div").leaf("dt", name).leaf("dd", value).close("div");
  }

  private static Scale time(Xray x) {
    return new Scale(false, 0, Math.max(1, x.memory().events().size()), LEFT, RIGHT);
  }

  private static long backwardFrom(Xray x) {
    return x.memory().events().stream().takeWhile(e -> !e.backward()).count();
  }

  private static void slab(Html html, Xray x, Detail detail) {
    MemoryPicture m = x.memory();
    List<Range> shown =
        IntStream.range(0, m.ranges().size())
            .boxed()
            .sorted(Comparator.comparingLong((Integer i) -> -m.ranges().get(i).bytes()))
            .limit(detail.ranges())
            .sorted()
            .map(i -> m.ranges().get(i))
            .toList();
    String id = detail.id("ranges");
    html.open("figure")
        .leaf(
            "figcaption",
            "Time runs from left to right: each operator forward, then, right of the dashed line, each one backward. Up is the place in the slab. A box is a range, from the operator that asked for it to the one that was the last to use it; its colour is the part of the model that asked.");
    Picture.legend(html);
    html.open(
        "div",
        "class",
        "wide",
        "tabindex",
        "0",
        "role",
        "group",
        "aria-label",
        "Memory over the step");
    Picture p = new Picture(html);
    p.open(
        "marks",
        "Ranges of the slab over the operators of the step: the table below has the numbers",
        id,
        RIGHT + 20,
        HEIGHT + 40,
        "style",
        "max-width:1100px");
    Scale time = time(x);
    long total = 0;
    for (long slab : m.slabs()) {
      total += slab;
    }
    Scale place = new Scale(false, 0, Math.max(1, total), HEIGHT, 10);
    for (int i = 0; i <= 4; i++) {
      double y = place.at(total * i / 4.0);
      p.line(LEFT, y, RIGHT, y, "gridline")
          .text(LEFT - 6, y + 4, "dim end", Legible.bytes(total * i / 4));
    }
    Table table =
        new Table(
            id,
            "Ranges of the step's memory",
            "Owner",
            "#Slab",
            "#Offset",
            "#Bytes",
            "Asked for in",
            "Last used in");
    for (int r = 0; r < shown.size(); r++) {
      Range range = shown.get(r);
      long below = range.offset();
      for (int s = 0; s < range.slab(); s++) {
        below += m.slabs()[s];
      }
      double top = place.at(below + range.bytes());
      Event asked = m.events().get(range.from());
      p.box(
          time.at(range.from()),
          top,
          time.at(range.to() + 1.0) - time.at(range.from()),
          Math.max(0.6, place.at(below) - top),
          "slab s" + Picture.part(x.tape().get(asked.op()).part()),
          r);
      table.row(
          Legible.token(range.owner()).replace('␣', ' '),
          String.valueOf(range.slab()),
          Legible.whole(range.offset()),
          Legible.whole(range.bytes()),
          TapeSection.event(x, range.from()),
          TapeSection.event(x, range.to()));
    }
    p.line(time.at(backwardFrom(x)), 10, time.at(backwardFrom(x)), HEIGHT, "rule");
    p.text((LEFT + time.at(backwardFrom(x))) / 2, HEIGHT + 22, "mid dim", "forward →");
    p.text((RIGHT + time.at(backwardFrom(x))) / 2, HEIGHT + 22, "mid dim", "backward →");
    p.close();
    html.close("div");
    Picture.note(html, id);
    table.fold(html, "The same as a table");
    html.close("figure");
  }

  private static void live(Html html, Xray x, Detail detail) {
    MemoryPicture m = x.memory();
    String id = detail.id("live");
    html.open("figure")
        .leaf(
            "figcaption",
            "Bytes in use behind each operator. They climb forward, as results are kept, and fall backward, as they are used up.");
    html.open(
        "div", "class", "wide", "tabindex", "0", "role", "group", "aria-label", "Bytes in use");
    Picture p = new Picture(html);
    double bottom = 160;
    p.open(
        "marks",
        "Bytes in use behind each operator: the table below has the numbers",
        id,
        RIGHT + 20,
        bottom + 30,
        "style",
        "max-width:1100px");
    Scale time = time(x);
    Scale bytes =
        Scale.linear(IntStream.range(0, m.live().length).mapToDouble(i -> m.live()[i]), bottom, 10);
    p.up(bytes, LEFT, RIGHT, v -> Legible.bytes(Math.round(v)));
    p.line(time.at(backwardFrom(x)), 10, time.at(backwardFrom(x)), bottom, "rule");
    Table table = new Table(id, "Bytes in use behind each operator", "Operator", "#Bytes in use");
    for (int e = 0; e < m.events().size(); e++) {
      double top = bytes.at(m.live()[e]);
      p.box(
          time.at(e),
          top,
          time.at(e + 1.0) - time.at(e),
          Math.max(0.5, bottom - top),
          "slab s" + Picture.part(x.tape().get(m.events().get(e).op()).part()),
          e);
      table.row(TapeSection.event(x, e), Legible.whole(m.live()[e]));
    }
    p.text((LEFT + time.at(backwardFrom(x))) / 2, bottom + 20, "mid dim", "forward →");
    p.text((RIGHT + time.at(backwardFrom(x))) / 2, bottom + 20, "mid dim", "backward →");
    p.close();
    html.close("div");
    Picture.note(html, id);
    table.fold(html, "The same as a table");
    html.close("figure");
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "most at one time",
            "largest sum of living ranges, inside of operators too",
            "dev.javelin.tensor.step.Workspace#peakBytes"),
        new Check(
            "range",
            "offset and bytes of a request; alive from the event that asked to the last that used it",
            "dev.javelin.train.xray.MemoryWatch#picture"),
        new Check(
            "bytes in use",
            "sum of the living ranges behind an event",
            "dev.javelin.tensor.step.Workspace#liveBytes"),
        new Check(
            "weights and gradients",
            "bytes of all weights, their gradients, and full-precision copies where there are some",
            "dev.javelin.train.xray.XrayStep.Work#parameterBytes"),
        new Check(
            "optimizer's state",
            "bytes of m and v, or what else the rule keeps",
            "dev.javelin.train.xray.XrayStep.Work#optimizerBytes"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    MemoryPicture m = x.memory();
    int peak = 0;
    for (int e = 0; e < m.live().length; e++) {
      peak = m.live()[e] > m.live()[peak] ? e : peak;
    }
    Range large = m.ranges().stream().max(Comparator.comparingLong(Range::bytes)).orElseThrow();
    return List.of(
        new Exercise(
            "Behind which operator are most bytes in use, and why there?",
            "Behind %s: %s. Near the turn from forward to backward all results are kept and none has been used up."
                .formatted(TapeSection.event(x, peak), Legible.bytes(m.live()[peak]))),
        new Exercise(
            "How large is the largest range, and who asked for it?",
            "%s bytes, for %s, in %s."
                .formatted(
                    Legible.whole(large.bytes()),
                    large.owner(),
                    TapeSection.event(x, large.from()))),
        new Exercise(
            "AdamW keeps m and v, a number each for every weight. Does the optimizer's state come out?",
            "%s parameters × 2 numbers × 4 bytes = %s; here it is %s (rows are padded a little, other rules keep less)."
                .formatted(
                    Legible.whole(x.subject().parameters()),
                    Legible.bytes(8 * x.subject().parameters()),
                    Legible.bytes(m.optimizerBytes()))));
  }
}
