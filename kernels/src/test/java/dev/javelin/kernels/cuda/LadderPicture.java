package dev.javelin.kernels.cuda;

import java.util.Locale;

/** Draws what a block, a warp or a thread of a rung has of its matrices, and when, as SVG. */
final class LadderPicture {
  private static final int WIDTH = 720;
  private static final String STYLE =
      """
      <style>
        text { font: 12px system-ui, sans-serif; fill: #24292f } .mid { text-anchor: middle } .name { font-weight: 600; font-size: 14px }
        .frame { fill: #f6f8fa; stroke: #8c959f } .step { fill: none; stroke: #8c959f; stroke-dasharray: 3 3 } .paper { fill: #ffffff }
        .a { fill: #0969da; fill-opacity: .18; stroke: #0969da } .b { fill: #bc4c00; fill-opacity: .18; stroke: #bc4c00 } .c { fill: #8250df; fill-opacity: .18; stroke: #8250df }
        .hot-a { fill: #0969da } .hot-b { fill: #bc4c00 } .hot-c { fill: #8250df } .on { fill: #ffffff }
        @media (prefers-color-scheme: dark) {
          text { fill: #e6edf3 } .frame { fill: #212830; stroke: #656c76 } .step { stroke: #656c76 } .paper { fill: #0d1117 }
          .a { fill: #4493f8; stroke: #4493f8 } .b { fill: #db6d28; stroke: #db6d28 } .c { fill: #ab7df8; stroke: #ab7df8 }
          .hot-a { fill: #4493f8 } .hot-b { fill: #db6d28 } .hot-c { fill: #ab7df8 } .on { fill: #0d1117 }
        }
      </style>
      <rect class="paper" width="100%" height="100%"/>
      """;

  private final StringBuilder svg = new StringBuilder();

  // Of a product: where a, b and c lie, and how large an element is.
  private double scale;
  private double left;
  private double top;
  private double stripA;
  private double stripB;
  private double depthA;
  private double depthB;

  private int lanes; // of a timeline

  private LadderPicture() {}

  static String draw(Ladder.Rung rung) {
    LadderPicture picture = new LadderPicture();
    String caption = picture.rung(rung);
    int height =
        rung.toString().matches("matmul_[1-6]") ? 400 : Math.max(270, 100 + 50 * picture.lanes);
    return """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s: %s">
        %s%s%s</svg>
        """
        .formatted(
            WIDTH, height, rung, caption, STYLE, picture.svg, text(20, height - 16, "", caption));
  }

  private String rung(Ladder.Rung rung) {
    return switch (rung.toString()) {
      case "matmul_1" -> {
        product(32, 1);
        inA(0, 0, 32, 1);
        inB(0, 9, 1, 1);
        inC(0, 9, 32, 1);
        yield "A warp has 32 rows of a column: in a step 32 elements of a, each from another sector, and one of b.";
      }
      case "matmul_2" -> {
        product(32, 1);
        inA(9, 0, 1, 1);
        inB(0, 0, 1, 32);
        inC(9, 0, 1, 32);
        yield "A warp has 32 columns of a row: in a step one element of a, and 32 neighbours of b in 2 sectors.";
      }
      case "matmul_3" -> {
        int tile = rung.constant("kTile");
        product(tile, tile);
        inA(9, 0, 1, tile);
        inB(0, 0, tile, tile);
        inC(9, 0, 1, tile);
        yield "A block has %1$dx%1$d; of its tiles in shared memory a warp reads a row of a's and all of b's."
            .formatted(tile);
      }
      case "matmul_4" -> {
        int edge = rung.constant("kEdge");
        int mine = rung.constant("kMine");
        product(edge, rung.constant("kDeep"));
        for (int i = 0; i < mine; i++) {
          inA(5 + i * edge / mine, 6, 1, 1);
          inB(6, 3 + i * edge / mine, 1, 1);
          for (int j = 0; j < mine; j++) {
            inC(5 + i * edge / mine, 3 + j * edge / mine, 1, 1);
          }
        }
        yield "A thread has %1$dx%1$d elements, %2$d apart: it reads %1$d + %1$d for %3$d multiply-adds."
            .formatted(mine, edge / mine, mine * mine);
      }
      case "matmul_5" -> {
        int edge = rung.constant("kEdge");
        product(edge, rung.constant("kDeep"));
        for (int i = 0; i < 2; i++) {
          inA(20 + 64 * i, 6, 4, 1);
          inB(6, 12 + 64 * i, 1, 4);
          for (int j = 0; j < 2; j++) {
            inC(20 + 64 * i, 12 + 64 * j, 4, 4);
          }
        }
        yield "A thread has two groups of 4 rows by two of 4 columns: 4 loads of 16 bytes for 64 multiply-adds.";
      }
      case "matmul_6" -> {
        int edge = rung.constant("kEdge");
        product(edge, rung.constant("kDeep"));
        for (int warp = 0; warp < 4; warp++) {
          double x = left + warp % 2 * 64 * scale;
          double y = top + warp / 2 * 64 * scale;
          rect("c", x, y, 64 * scale, 64 * scale);
          svg.append(text(x + 32 * scale, y + 36 * scale, "mid", "warp " + warp));
        }
        inA(0, 0, 16, 16);
        inB(0, 8, 16, 8);
        inC(0, 8, 16, 8);
        yield "Four warps of 64x64. One mma.sync: 16x16 of a times 16x8 of b, onto 16x8 of c; 64 of them a step.";
      }
      case "matmul_7" -> swizzle();
      case "matmul_8" -> {
        lanes("multiplied", "under way");
        for (int s = 0; s < 4; s++) {
          box("hot-c", s, 0, 1, "step %d: stage %d".formatted(s, s % 3));
          box(
              "a",
              s,
              1,
              1,
              "%d in stage %d, %d in %d".formatted(s + 1, (s + 1) % 3, s + 2, (s + 2) % 3));
        }
        yield "Three stages: while one is multiplied two are under way. A barrier at every dashed line.";
      }
      case "matmul_9" -> {
        lanes("mma.sync", "ldmatrix", "under way");
        for (int s = 0; s < 2; s++) {
          box("hot-c", 2 * s, 0, 1, "step %d, first".formatted(s));
          box("hot-c", 2 * s + 1, 0, 1, "step %d, second".formatted(s));
          box("b", 2 * s, 1, 1, "step %d, second".formatted(s));
          box("b", 2 * s + 1, 1, 1, "step %d, first".formatted(s + 1));
          box("a", 2 * s, 2, 1, "tiles of %d, %d".formatted(s + 1, s + 2));
          box("a", 2 * s + 1, 2, 1, "tiles of %d, %d".formatted(s + 2, s + 3));
        }
        yield "Halves of a step: fragments are read while others are multiplied. A barrier in the middle of each step.";
      }
      case "matmul_10" -> {
        lanes("wgmma", "TMA");
        for (int s = 0; s < 2; s++) {
          box("a", 2 * s, 1, 1, "step %d: 32 KB".formatted(s));
          box("hot-c", 2 * s + 1, 0, 1, "step %d: 8 wgmma".formatted(s));
        }
        yield "One thread asks, 32 KB arrive, four warps multiply what lies in shared memory. One after the other.";
      }
      case "matmul_11" -> {
        lanes("wgmma", "under way");
        for (int s = 0; s < 4; s++) {
          box("hot-c", s, 0, 1, "step %d: stage %d".formatted(s, s % 4));
          box("a", s, 1, 1, "%d, %d, %d".formatted(s + 1, s + 2, s + 3));
        }
        yield "Four stages. At a dashed line the step before has been read, and its stage takes the one three ahead.";
      }
      case "matmul_12" -> {
        int stages = rung.constant("kStages");
        lanes("bring", "rows 0 … 63", "rows 64 …");
        for (int s = 0; s < 4; s++) {
          box("a", s, 0, 1, "fill %d with step %d".formatted(s % stages, s));
          if (s < 3) {
            box("hot-c", s + 1, 1, 1, "step %d".formatted(s));
            box("hot-c", s + 1, 2, 1, "step %d".formatted(s));
          }
        }
        yield "A warpgroup brings, two multiply. They wait for stages to be full or empty, not for each other.";
      }
      case "matmul_13" -> {
        lanes("bring", "multiply", "store");
        box("a", 0, 0, 2, "steps of tile 0, first of tile 1");
        box("a", 2, 0, 2, "steps of tile 1");
        box("hot-c", 0, 1, 2, "tile 0");
        box("c", 2, 1, 0.5, "boxes");
        box("hot-c", 2.5, 1, 1.5, "tile 1");
        box("b", 2.2, 2, 1.3, "results of tile 0");
        yield "A block stays for tile after tile: results leave while the next tile is under way.";
      }
      case "matmul_14" -> {
        lanes("block 0", "block 1", "both");
        for (int s = 0; s < 4; s++) {
          for (int block = 0; block < 2; block++) {
            box("a", s, block, 0.5, "its a");
            box("b", s + 0.5, block, 0.5, block == 0 ? "left of b" : "right of b");
          }
          if (s > 0) {
            box("hot-c", s, 2, 1, "step " + (s - 1));
          }
        }
        yield "Each block brings rows of a for itself and half of the columns of b for both: 32 KB a step instead of 48.";
      }
      case "attention_1" -> {
        stage(20, "q · kᵀ", "s, tokens²", "c");
        stage(255, "softmax", "p, tokens²", "c");
        stage(490, "p · v", "o, tokens x 64", "a");
        yield "Three kernels; two of the results are tokens x tokens, in memory.";
      }
      case "attention_2" -> {
        scores(8, 14, 1, 1);
        yield "A thread has a row (dark: its step now) and reads every key and value on its own.";
      }
      case "attention_3" -> {
        scores(8, 7, 8, 4);
        yield "A block has %d rows; %d keys at a time lie in shared memory for all of them."
            .formatted(rung.constant("kThreads"), rung.constant("kKeys"));
      }
      case "attention_4" -> fragments();
      case "attention_5" -> {
        lanes("tensor cores", "under way");
        for (int t = 0; t < 2; t++) {
          box("hot-c", 2 * t, 0, 1, "q·kᵀ of tile " + t);
          box("hot-c", 2 * t + 1, 0, 1, "softmax, p·v of " + t);
          box("b", 2 * t, 1, 1, "values of tile " + t);
          box("a", 2 * t + 1, 1, 1, "keys of tile " + (t + 1));
        }
        yield "Values load while scores are computed, the next keys while values are used. Two barriers a tile.";
      }
      case "attention_6" -> {
        int rows = rung.constant("kRows");
        for (int r = 0; r < 4; r++) {
          for (int c = 0; c < 4; c++) {
            String kind = c < r ? "hot-c" : c == r ? "c" : "frame";
            rect(kind, 210 + 70 * c, 40 + 42 * r, 66, 38);
          }
          svg.append(
              text(20, 64 + 42 * r, "", "queries %d …, block %d".formatted(rows * r, 3 - r)));
        }
        svg.append(text(500, 64, "", "filled: whole tiles"));
        svg.append(text(500, 84, "", "light: compared one by one"));
        svg.append(text(500, 104, "", "grey: never loaded"));
        svg.append(text(210, 28, "", "keys →"));
        yield "Tiles of %1$dx%1$d under a causal mask; the longest rows are the first blocks."
            .formatted(rows);
      }
      case "attention_7" -> {
        lanes("tensor cores", "threads", "under way");
        for (int t = 0; t < 2; t++) {
          box("hot-c", 2 * t, 0, 0.5, "q·kᵀ of " + t);
          box("c", 2 * t + 0.5, 1, 1, "softmax of " + t);
          box("hot-c", 2 * t + 1.5, 0, 0.5, "p·v of " + t);
          box("a", 2 * t + 0.5, 2, 1.5, "keys of tile " + (t + 1));
        }
        yield "A warpgroup multiplies %1$dx%1$d at once, from shared memory; products and softmax take turns."
            .formatted(rung.constant("kRows"));
      }
      case "attention_8" -> {
        lanes("tensor cores", "threads");
        box("hot-c", 0, 0, 0.4, "q·kᵀ 0");
        box("c", 0.4, 1, 0.9, "softmax of 0");
        for (int t = 1; t < 4; t++) {
          box("hot-c", t + 0.3, 0, 0.4, "q·kᵀ " + t);
          box("hot-c", t + 0.7, 0, 0.6, "p·v " + (t - 1));
          box("c", t + 0.7, 1, 0.6, "softmax of " + t);
        }
        yield "The scores of a tile are issued before the values of the one before, and softmax runs beside those.";
      }
      case "attention_9" -> {
        lanes("bring", "queries 0 … 63", "queries 64 …", "queries 128 …");
        for (int t = 0; t < 3; t++) {
          box("a", 1.5 * t, 0, t < 2 ? 1.5 : 1, "keys %d, values %d".formatted(t + 2, t + 1));
          for (int w = 0; w < rung.constant("kWarpgroups"); w++) {
            double turn = 1.5 * t + 0.5 * w;
            if (turn < 4) {
              box("hot-c", turn, 1 + w, 0.5, "s %d, p·v %d".formatted(t + 1, t));
            }
            if (turn < 3.5) {
              box("c", turn + 0.5, 1 + w, Math.min(1, 3.5 - turn), "softmax");
            }
          }
        }
        yield "A warpgroup issues both products, then it is the next one's turn: softmax runs beside others' products.";
      }
      default -> throw new AssertionError("no picture of " + rung);
    };
  }

  /** Frames of a, b and c for a block of edge² and `deep` of k, with the steps that follow. */
  private void product(int edge, int deep) {
    scale = 208.0 / edge;
    int shown = Math.max(deep, edge / 4);
    double along = Math.max(deep * scale, 4);
    left = 330;
    top = 140;
    double strip = Math.min(130, Math.max(3 * along, shown * scale));
    svg.append(text(left - strip - 40, top - 10, "name", "a"));
    svg.append(text(left + edge * scale + 10, top + 14, "name", "c"));
    stripA = left - strip - 24;
    stripB = top - Math.min(strip, 110) - 4;
    svg.append(text(left, stripB - 8, "name", "b"));
    rect("frame", stripA, top, strip, edge * scale);
    rect("frame", left, stripB, edge * scale, Math.min(strip, 110));
    rect("frame", left, top, edge * scale, edge * scale);
    depthA = Math.min(along, strip) / deep;
    depthB = Math.min(along, Math.min(strip, 110)) / deep;
    if (deep > 1) {
      rect("a", stripA, top, depthA * deep, edge * scale);
      rect("b", left, stripB, edge * scale, depthB * deep);
    }
    svg.append(text(20, top + 14, "", "k →"));
    svg.append(text(20, top + 34, "", deep == 1 ? "one step" : "%d a step".formatted(deep)));
    svg.append(
        text(
            left + edge * scale + 10,
            top + 34,
            "",
            deep == 1 ? "32x32 of it" : "%1$dx%1$d a block".formatted(edge)));
  }

  private void inA(int row, int l, int rows, int depth) {
    rect("hot-a", stripA + l * depthA, top + row * scale, depth * depthA, rows * scale);
  }

  private void inB(int l, int col, int depth, int cols) {
    rect("hot-b", left + col * scale, stripB + l * depthB, cols * scale, depth * depthB);
  }

  private void inC(int row, int col, int rows, int cols) {
    rect("hot-c", left + col * scale, top + row * scale, cols * scale, rows * scale);
  }

  /** Where chunk 3 of 8 rows lies, without and with the swizzle. */
  private String swizzle() {
    for (int kind = 0; kind < 2; kind++) {
      double x = 60 + 340 * kind;
      svg.append(text(x, 26, "name", kind == 0 ? "rows of 128 bytes" : "chunk c at c ^ r % 8"));
      for (int r = 0; r < 8; r++) {
        svg.append(text(x - 36, 50 + 21 * r, "", "r = " + r));
        for (int at = 0; at < 8; at++) {
          int chunk = kind == 0 ? at : at ^ r;
          rect(chunk == 3 ? "hot-a" : "frame", x + 34 * at, 34 + 21 * r, 32, 19);
          svg.append(
              text(x + 34 * at + 16, 48 + 21 * r, chunk == 3 ? "mid on" : "mid", "" + chunk));
        }
      }
    }
    return "Columns are groups of 4 banks. ldmatrix reads one chunk of 8 rows: 8 turns on the left, 1 on the right.";
  }

  /** A lane's elements of 16x16 scores: sums of two products, and the operand of the next. */
  private String fragments() {
    int lane = 5;
    for (int r = 0; r < 16; r++) {
      for (int c = 0; c < 16; c++) {
        boolean mine = r % 8 == lane / 4 && c % 8 / 2 == lane % 4;
        rect(
            mine ? "hot-c" : "frame",
            40 + 26 * c + (c / 8) * 8,
            14 + 13.5 * r + (r / 8) * 6,
            25,
            12.5);
      }
    }
    String[] names = {"a0", "a1", "a2", "a3"};
    for (int i = 0; i < 4; i++) {
      int r = lane / 4 + 8 * (i % 2);
      int c = 2 * (lane % 4) + 8 * (i / 2);
      svg.append(
          text(40 + 26 * c + (c / 8) * 8 + 26, 24.5 + 13.5 * r + (r / 8) * 6, "mid on", names[i]));
    }
    svg.append(text(500, 50, "", "dark: lane %d".formatted(lane)));
    svg.append(text(500, 70, "", "left, right: s of 8 keys each"));
    svg.append(text(500, 90, "", "a0 … a3: p, two in a register"));
    return "What q·kᵀ leaves in a lane is what p·v wants there: two blocks of 16x8 sums are one operand of 16x16.";
  }

  /** The matrix of scores: 20 x 14 cells, of which some rows and columns are under work. */
  private void scores(int row, int col, int rows, int cols) {
    svg.append(text(200, 22, "", "keys →"));
    svg.append(text(100, 46, "", "queries ↓"));
    for (int r = 0; r < 16; r++) {
      for (int c = 0; c < 20; c++) {
        boolean mine = r >= row && r < row + rows;
        boolean now = mine && c >= col && c < col + cols;
        rect(
            now ? "hot-c" : mine && c < col ? "c" : "frame", 200 + 16 * c, 32 + 11.5 * r, 15, 10.5);
      }
    }
    svg.append(text(540, 60, "", "no score is in memory"));
    svg.append(text(540, 80, "", "a row keeps m, l and o"));
  }

  private void stage(int x, String kernel, String result, String kind) {
    svg.append(text(x, 30, "name", kernel));
    rect(kind, x, 44, kind.equals("a") ? 60 : 140, 140);
    svg.append(text(x, 204, "", result));
  }

  private void lanes(String... names) {
    lanes = names.length;
    for (int i = 0; i < lanes; i++) {
      svg.append(text(14, 72 + 50 * i, "", names[i]));
    }
    for (int s = 0; s <= 4; s++) {
      svg.append(
          "<path class=\"step\" d=\"M%d 34V%d\"/>\n".formatted(110 + 150 * s, 50 + 50 * lanes));
    }
  }

  private void box(String kind, double step, int lane, double steps, String label) {
    double x = 113 + 150.0 * step;
    rect(kind, x, 50 + 50 * lane, 150 * steps - 6, 36);
    svg.append(
        text(x + 75 * steps - 3, 72 + 50 * lane, kind.startsWith("hot") ? "mid on" : "mid", label));
  }

  private void rect(String kind, double x, double y, double width, double height) {
    svg.append(
        String.format(
            Locale.ROOT,
            "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            kind,
            x,
            y,
            Math.max(width, 3), // one of 128 elements is to be seen
            Math.max(height, 3)));
  }

  private static String text(double x, double y, String kind, String text) {
    return String.format(
        Locale.ROOT, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", kind, x, y, text);
  }
}
