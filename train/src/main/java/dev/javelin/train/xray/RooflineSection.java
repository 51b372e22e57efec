package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.Cost;
import dev.javelin.train.xray.Xray.Machine;
import dev.javelin.train.xray.Xray.Op;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.DoubleStream;

/** What limits each operator. */
record RooflineSection() implements Section {
  private static final double LEFT = 80;
  private static final double RIGHT = 720;
  private static final double TOP = 10;
  private static final double BOTTOM = 340;

  /** A pass of an operator. */
  private record Dot(Op op, boolean backward, Cost cost) {}

  @Override
  public String id() {
    return "roofline";
  }

  @Override
  public String title() {
    return "Roofline: what limits each operator";
  }

  @Override
  public String lead() {
    return "A processor can do so many operations a second, and fetch so many bytes a second. An operator that does little with each byte waits for memory, one that does much waits for arithmetic. The roofline draws both limits: the slope is memory, the flat part arithmetic, and no operator can be above them (but for data that is still in the caches). The distance of a dot to the roof is what a better program could gain.";
  }

  private static List<Dot> dots(Xray x, Detail detail) {
    List<Dot> dots = new ArrayList<>();
    for (Op op : x.tape()) {
      if (!detail.shows(x, op.layer())) {
        continue;
      }
      for (boolean backward : new boolean[] {false, true}) {
        Cost cost = backward ? op.backward() : op.forward();
        if (cost.flops() > 0 && cost.nanos() > 0) {
          dots.add(new Dot(op, backward, cost));
        }
      }
    }
    return dots;
  }

  /** What the roof allows at an intensity, in FLOP/s. */
  static double roof(Machine machine, double intensity) {
    return Math.min(machine.flops(), machine.bytes() * intensity);
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    Machine machine = x.machine();
    boolean measured = machine.flops() > 0 && machine.bytes() > 0;
    List<Dot> dots = dots(x, detail);
    String id = detail.id("dots");
    html.leaf(
        "p",
        measured
            ? "This machine, %s, measured beside the step: %s FLOP/s of a large matrix product, %s bytes/s of a large copy; they meet at %s FLOP a byte."
                .formatted(
                    machine.name(),
                    Legible.count(machine.flops()),
                    Legible.count(machine.bytes()),
                    Legible.three(machine.ridge()))
            : "This machine, %s, was not measured, so there is no roof to see."
                .formatted(machine.name()));
    html.open("figure")
        .leaf(
            "figcaption",
            "Each mark is an operator: filled forward, hollow backward. To the right it does more with each byte, further up it runs faster. Both axes are logarithmic.");
    Picture.legend(html);
    html.open("div", "class", "wide", "tabindex", "0", "role", "group", "aria-label", "Roofline");
    Scale across =
        Scale.log(
            DoubleStream.concat(
                dots.stream().mapToDouble(d -> d.cost().intensity()),
                DoubleStream.of(measured ? machine.ridge() * 4 : 1)),
            LEFT,
            RIGHT);
    Scale up =
        Scale.log(
            DoubleStream.concat(
                dots.stream().mapToDouble(d -> d.cost().rate()), DoubleStream.of(machine.flops())),
            BOTTOM,
            TOP);
    Picture p = new Picture(html);
    p.open(
        "marks dots",
        "Operators by FLOP a byte and FLOP a second: the table below has the numbers",
        id,
        RIGHT + 20,
        BOTTOM + 44,
        "style",
        "max-width:1000px");
    p.across(across, TOP, BOTTOM, Legible::three).up(up, LEFT, RIGHT, Legible::count);
    p.text((LEFT + RIGHT) / 2, BOTTOM + 36, "mid dim", "FLOP a byte");
    p.text(LEFT + 6, TOP + 12, "dim", "FLOP a second");
    if (measured) {
      roof(p, machine, across, up);
    }
    for (int i = 0; i < dots.size(); i++) {
      Dot d = dots.get(i);
      int part = Picture.part(d.op().part());
      p.mark(
          part,
          across.at(d.cost().intensity()),
          up.at(d.cost().rate()),
          4.5,
          (d.backward() ? "hollow s" : "s") + part,
          i);
    }
    p.close();
    html.close("div");
    Picture.note(html, id);
    table(dots, machine, measured, id).fold(html, "The same as a table");
    html.close("figure");
  }

  private static void roof(Picture p, Machine machine, Scale across, Scale up) {
    double from = Math.max(across.least(), up.least() / machine.bytes());
    double ridge = Math.clamp(machine.ridge(), from, across.most());
    p.path(
        "M%s %sL%s %sL%s %s"
            .formatted(
                Picture.at(across.at(from)),
                Picture.at(up.at(roof(machine, from))),
                Picture.at(across.at(ridge)),
                Picture.at(up.at(roof(machine, ridge))),
                Picture.at(RIGHT),
                Picture.at(up.at(roof(machine, across.most())))),
        "roof");
  }

  private static Table table(List<Dot> dots, Machine machine, boolean measured, String id) {
    Table table =
        new Table(
            id,
            "Operators and their limits",
            "Operator",
            "Pass",
            "Part",
            "#Layer",
            "#FLOP a byte",
            "#GFLOP/s",
            "#µs",
            "#% of the roof",
            "Limit");
    for (Dot d : dots) {
      Cost cost = d.cost();
      table.row(
          d.op().index() + " " + d.op().name(),
          d.backward() ? "backward" : "forward",
          d.op().part(),
          d.op().inLayer() ? String.valueOf(d.op().layer()) : "–",
          Legible.three(cost.intensity()),
          Legible.three(cost.rate() / 1e9),
          Legible.three(cost.nanos() / 1e3),
          measured ? Legible.three(100 * cost.rate() / roof(machine, cost.intensity())) : "–",
          !measured ? "–" : cost.intensity() < machine.ridge() ? "memory" : "arithmetic");
    }
    return table;
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check("FLOP a byte", "FLOP ÷ bytes", "dev.javelin.train.xray.Xray.Cost#intensity"),
        new Check("FLOP/s", "FLOP ÷ measured time", "dev.javelin.train.xray.Xray.Cost#rate"),
        new Check(
            "roof",
            "min(FLOP/s of the machine, bytes/s of the machine × FLOP a byte)",
            "dev.javelin.train.xray.RooflineSection#roof"),
        new Check(
            "the machine's limits",
            "the fastest of large matrix products, and of large copies",
            "dev.javelin.train.summary.Peak#measure"),
        new Check(
            "where they meet", "FLOP/s ÷ bytes/s", "dev.javelin.train.xray.Xray.Machine#ridge"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    List<Dot> dots = dots(x, Detail.ALL.getFirst());
    Machine machine = x.machine();
    boolean measured = machine.flops() > 0 && machine.bytes() > 0;
    if (dots.isEmpty()) {
      return List.of();
    }
    Dot fast = dots.stream().max(Comparator.comparingDouble(d -> d.cost().rate())).orElseThrow();
    Dot dense =
        dots.stream().max(Comparator.comparingDouble(d -> d.cost().intensity())).orElseThrow();
    long memory = dots.stream().filter(d -> d.cost().intensity() < machine.ridge()).count();
    return List.of(
        new Exercise(
            "Which operator runs fastest, and at what share of what the machine can do?",
            "Operator %d, %s, %s: %s FLOP/s%s."
                .formatted(
                    fast.op().index(),
                    fast.op().name(),
                    fast.backward() ? "backward" : "forward",
                    Legible.count(fast.cost().rate()),
                    measured
                        ? ", "
                            + Legible.percent(fast.cost().rate() / machine.flops())
                            + " of the flat part"
                        : "")),
        new Exercise(
            "How many marks lie left of the point where the two limits meet?",
            measured
                ? "%d of %d: memory is their limit.".formatted(memory, dots.size())
                : "It was not measured here; make the page again with the machine measured."),
        new Exercise(
            "What happens to the FLOP a byte of a matrix product when the text is twice as long?",
            "It grows, since the weights are read once for all tokens. Here the most is %s, of operator %d, %s; very short texts make every product a matter of memory."
                .formatted(
                    Legible.three(dense.cost().intensity()),
                    dense.op().index(),
                    dense.op().name())));
  }
}
