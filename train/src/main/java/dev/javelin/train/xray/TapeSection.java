package dev.javelin.train.xray;

import dev.javelin.train.xray.Xray.Op;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** What ran, in its order. */
record TapeSection() implements Section {
  @Override
  public String id() {
    return "tape";
  }

  @Override
  public String title() {
    return "The tape: what the step computes";
  }

  @Override
  public String lead() {
    return "A model is a list of functions on arrays of numbers, called tensors; an operator is one of those functions. While the step runs forward, a tape writes down each of them, like a log of calls. Backward, the log is played from its end to its beginning, and each operator works out how its inputs should change. Layers are copies of one block of operators with numbers of their own: open one to see its operators.";
  }

  private static String group(Op op) {
    return op.inLayer()
        ? "layer " + op.layer()
        : op.part().isEmpty() ? "outside of layers" : op.part();
  }

  /** Operators by layer, others by part, in the order of their first. */
  private static Map<String, List<Op>> groups(Xray x) {
    return x.tape().stream()
        .collect(
            Collectors.groupingBy(TapeSection::group, LinkedHashMap::new, Collectors.toList()));
  }

  static double sum(List<Op> ops, ToDoubleFunction<Op> what) {
    return ops.stream().mapToDouble(what).sum();
  }

  @Override
  public void show(Html html, Xray x, Detail detail) {
    graph(html, x, detail);
    html.leaf("h3", "Blocks and their operators");
    String tree = detail.id("tree");
    html.open("p", "class", "js-only");
    for (String fold : List.of("open", "fold")) {
      html.leaf(
          "button",
          fold.equals("open") ? "Open all blocks" : "Fold all blocks",
          "type",
          "button",
          "class",
          "tool",
          "data-fold",
          fold,
          "data-of",
          tree);
    }
    html.close("p").open("div", "id", tree);
    Map<Integer, String> released = released(x);
    int i = 0;
    for (Map.Entry<String, List<Op>> group : groups(x).entrySet()) {
      block(html, x, detail, i++, group.getKey(), group.getValue(), released);
    }
    html.close("div");
  }

  private static void block(
      Html html,
      Xray x,
      Detail detail,
      int index,
      String name,
      List<Op> ops,
      Map<Integer, String> released) {
    html.open("details", "class", "tree").open("summary").leaf("b", name);
    html.leaf(
        "span", Legible.count(sum(ops, o -> o.forward().flops() + o.backward().flops())) + " FLOP");
    html.leaf("span", "forward " + Legible.millis(sum(ops, o -> o.forward().nanos())) + " ms");
    html.leaf("span", "backward " + Legible.millis(sum(ops, o -> o.backward().nanos())) + " ms");
    html.leaf("span", ops.size() + (ops.size() == 1 ? " operator" : " operators"));
    html.close("summary");
    if (detail.shows(x, ops.getFirst().layer())) {
      table(html, x, detail.id("ops-" + index), name, ops, released);
    } else {
      html.leaf(
          "p",
          "Its operators are left out to keep the page small: they are those of the other layers.");
    }
    html.close("details");
  }

  private static void table(
      Html html, Xray x, String id, String name, List<Op> ops, Map<Integer, String> released) {
    Table table =
        new Table(
            id,
            "Operators of: "
                + name
                + ". FLOP: additions and multiplications; bytes: those that must move at least; time: measured, the median.",
            "#Number",
            "Operator",
            "Part",
            "Reads from",
            "Parameters",
            "Shape in",
            "Shape out",
            "Type",
            "#FLOP forward",
            "#Bytes forward",
            "#µs forward",
            "#FLOP a byte",
            "#FLOP backward",
            "#Bytes backward",
            "#µs backward",
            "#FLOP a byte backward",
            "Memory",
            "Released after");
    for (Op op : ops) {
      table.row(
          String.valueOf(op.index()),
          op.name(),
          op.part(),
          op.inputs().stream()
              .map(i -> i + " " + x.tape().get(i).name())
              .collect(Collectors.joining(", ")),
          op.parameters().isEmpty() ? "–" : String.join(", ", op.parameters()),
          shapes(op.in()),
          shapes(op.out()),
          op.dtype(),
          Legible.whole(Math.round(op.forward().flops())),
          Legible.whole(Math.round(op.forward().bytes())),
          Legible.three(op.forward().nanos() / 1e3),
          Legible.three(op.forward().intensity()),
          Legible.whole(Math.round(op.backward().flops())),
          Legible.whole(Math.round(op.backward().bytes())),
          Legible.three(op.backward().nanos() / 1e3),
          Legible.three(op.backward().intensity()),
          memory(x, op),
          released.getOrDefault(op.index(), "–"));
    }
    table.write(html);
  }

  private static String shapes(List<int[]> shapes) {
    return shapes.stream().map(Legible::shape).collect(Collectors.joining(", "));
  }

  private static String memory(Xray x, Op op) {
    return op.ranges().isEmpty()
        ? "none of its own"
        : op.ranges().stream()
            .map(r -> x.memory().ranges().get(r))
            .map(
                r ->
                    (r.slab() == 0 ? "" : "slab " + r.slab() + ": ")
                        + r.offset()
                        + "–"
                        + (r.offset() + r.bytes() - 1))
            .collect(Collectors.joining(", "));
  }

  /** When the last of an operator's ranges was released. */
  private static Map<Integer, String> released(Xray x) {
    Map<Integer, String> released = new TreeMap<>();
    for (Op op : x.tape()) {
      op.ranges().stream()
          .mapToInt(r -> x.memory().ranges().get(r).to())
          .max()
          .ifPresent(e -> released.put(op.index(), event(x, e)));
    }
    return released;
  }

  /** An event in words. */
  static String event(Xray x, int event) {
    Xray.Event e = x.memory().events().get(event);
    return (e.backward() ? "backward of " : "forward of ")
        + e.op()
        + " "
        + x.tape().get(e.op()).name();
  }

  private static void graph(Html html, Xray x, Detail detail) {
    List<Op> layer = x.tape().stream().filter(o -> o.layer() == 0).toList();
    List<Op> ops = layer.isEmpty() ? x.tape() : layer;
    double step = 40;
    double left = 150;
    double width = 230;
    Map<Integer, Integer> place = new LinkedHashMap<>();
    ops.forEach(o -> place.put(o.index(), place.size()));
    html.leaf("h3", "One block as a graph");
    html.open("figure");
    html.leaf(
        "figcaption",
        "The operators of layer 0 from top to bottom, an arrow from each to those that read its result. What comes from outside of the block enters from the left: the residual stream enters twice, since attention and MLP each read it and add to it; what the block gives on leaves to the right.");
    Picture.legend(html);
    String id = detail.id("graph");
    double height = 10 + step * ops.size();
    html.open(
        "div", "class", "wide", "tabindex", "0", "role", "group", "aria-label", "Graph of a block");
    Picture p = new Picture(html);
    p.open(
        "marks",
        "Operators of layer 0 and who reads whose result",
        id,
        720,
        height,
        "style",
        "max-width:860px");
    Table table =
        new Table(
                id,
                "Operators of layer 0, what they read and what they make",
                "Operator",
                "Part",
                "Reads from",
                "Parameters",
                "Shape out")
            .inOrder();
    for (Op op : ops) {
      int i = place.getOrDefault(op.index(), 0);
      double y = 10 + i * step;
      List<Integer> outside = new ArrayList<>();
      for (int from : op.inputs()) {
        Integer at = place.get(from);
        if (at == null) {
          outside.add(from);
        } else {
          arrow(p, left + width, step, at, i);
        }
      }
      if (!outside.isEmpty()) {
        p.text(
            left - 34,
            y + 17,
            "dim end",
            outside.stream().map(o -> x.tape().get(o).name()).collect(Collectors.joining(", ")));
        p.line(left - 30, y + 13, left - 6, y + 13, "link");
        p.path("M" + Picture.at(left) + " " + Picture.at(y + 13) + "l-8 -4v8z", "tip");
      }
      List<Op> readers =
          x.tape().stream()
              .filter(o -> !place.containsKey(o.index()) && o.inputs().contains(op.index()))
              .toList();
      if (!readers.isEmpty()) {
        double from = left + width;
        p.line(from, y + 9, from + 22, y + 9, "link");
        p.path("M" + Picture.at(from + 30) + " " + Picture.at(y + 9) + "l-8 -4v8z", "tip");
        p.text(
            from + 36,
            y + 13,
            "dim",
            readers.stream()
                .limit(2)
                .map(
                    o -> o.index() + " " + o.name() + (o.inLayer() ? " of layer " + o.layer() : ""))
                .collect(Collectors.joining(", ")));
      }
      int part = Picture.part(op.part());
      p.box(left, y, width, 27, "node", i);
      p.path(Picture.shape(part, left + 14, y + 13.5, 6), "s" + part);
      p.text(left + 28, y + 18, "", op.name());
      p.text(left + width - 8, y + 18, "dim end", Legible.shape(op.out().getFirst()));
      table.row(
          op.index() + " " + op.name(),
          op.part(),
          op.inputs().stream()
              .map(n -> n + " " + x.tape().get(n).name())
              .collect(Collectors.joining(", ")),
          op.parameters().isEmpty() ? "–" : String.join(", ", op.parameters()),
          shapes(op.out()));
    }
    p.close();
    html.close("div");
    Picture.note(html, id);
    table.fold(html, "The same as a table");
    html.close("figure");
  }

  private static void arrow(Picture p, double right, double step, int from, int to) {
    double y1 = 10 + from * step;
    double y2 = 10 + to * step;
    if (to == from + 1) {
      double x = right - 115;
      p.line(x, y1 + 27, x, y2 - 5, "link");
      p.path("M" + Picture.at(x) + " " + Picture.at(y2) + "l-4 -8h8z", "tip");
      return;
    }
    double bend = right + 24 + 26 * Math.min(9, to - from);
    p.path(
        "M%s %sC%s %s %s %s %s %s"
            .formatted(
                Picture.at(right),
                Picture.at(y1 + 18),
                Picture.at(bend),
                Picture.at(y1 + 18),
                Picture.at(bend),
                Picture.at(y2 + 9),
                Picture.at(right + 6),
                Picture.at(y2 + 9)),
        "link");
    p.path("M" + Picture.at(right) + " " + Picture.at(y2 + 9) + "l8 -4v8z", "tip");
  }

  @Override
  public List<Check> checks() {
    return List.of(
        new Check(
            "FLOP forward and backward",
            "2 for each multiply-add of a matrix product: 2·R·K·N for [R, K] by [N, K]; twice that backward; other operators in the method's table",
            "dev.javelin.train.xray.OpCost#flops"),
        new Check(
            "bytes",
            "each input read once + each output written once",
            "dev.javelin.train.xray.OpCost#forward"),
        new Check(
            "FLOP a byte",
            "FLOP ÷ bytes: the arithmetic intensity",
            "dev.javelin.train.xray.Xray.Cost#intensity"),
        new Check("time", "median over repeated passes", "dev.javelin.train.xray.OpTimer#median"),
        new Check(
            "memory, released after",
            "the operator's requests of the workspace, and the last event that uses them",
            "dev.javelin.train.xray.MemoryWatch#look"));
  }

  @Override
  public List<Exercise> exercises(Xray x) {
    double forward = sum(x.tape(), o -> o.forward().flops());
    double backward = sum(x.tape(), o -> o.backward().flops());
    Op linear =
        x.tape().stream()
            .filter(o -> o.name().equals("linear") && o.in().size() > 1)
            .findFirst()
            .orElse(x.tape().getFirst());
    Op slow =
        x.tape().stream()
            .max(
                (a, b) ->
                    Long.compare(
                        a.forward().nanos() + a.backward().nanos(),
                        b.forward().nanos() + b.backward().nanos()))
            .orElseThrow();
    return List.of(
        new Exercise(
            "Find operator %d, %s. Multiply its shapes: does its number of FLOP come out?"
                .formatted(linear.index(), linear.name()),
            "It reads %s and makes %s. Every number of the result is a sum of as many products as the first input's last dimension, 2 operations each: %s FLOP."
                .formatted(
                    shapes(linear.in()),
                    shapes(linear.out()),
                    Legible.whole(Math.round(linear.forward().flops())))),
        new Exercise(
            "Why does running backward take about twice the arithmetic of running forward?",
            "Each matrix product has two inputs that need a gradient, the data and the weights, and each of the two is again a product of that size. Here: %s FLOP forward, %s backward (the loss makes its gradients in its forward pass)."
                .formatted(Legible.count(forward), Legible.count(backward))),
        new Exercise(
            "Which single operator takes the most time, and is it the one with the most arithmetic?",
            "Operator %d, %s in %s: %s µs forward and %s µs backward. Sort the tables by “FLOP forward” and compare: those that move many bytes for little arithmetic take longer than their FLOP suggest."
                .formatted(
                    slow.index(),
                    slow.name(),
                    group(slow),
                    Legible.three(slow.forward().nanos() / 1e3),
                    Legible.three(slow.backward().nanos() / 1e3))));
  }
}
