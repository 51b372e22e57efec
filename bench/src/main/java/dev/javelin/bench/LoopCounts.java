package dev.javelin.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Instructions of a thread in one pass of a kernel's main loop, for 9.0, as {@code
 * docs/kernels/instructions.md} has them from the machine code.
 *
 * @param all of them
 * @param uniform of them those on uniform registers, of which tensor cores read none
 * @param hgmma asynchronous products of a warpgroup
 * @param hmma products of 16x8x16 on tensor cores
 * @param mufu of special function units
 * @param ldsm {@code ldmatrix} of four matrices
 * @param lds other loads from shared memory
 * @param ldgsts {@code cp.async} of 16 bytes
 * @param barriers of the block
 */
record LoopCounts(
    int all,
    int uniform,
    int hgmma,
    int hmma,
    int mufu,
    int ldsm,
    int lds,
    int ldgsts,
    int barriers) {
  private static final String PAGE = "docs/kernels/instructions.md";

  /** Kernel by kernel. */
  static Map<String, LoopCounts> read(Path root) throws IOException {
    Map<String, LoopCounts> all = new HashMap<>();
    List<String> head = List.of();
    for (String line : Files.readAllLines(root.resolve(PAGE))) {
      List<String> cells =
          Arrays.stream(line.replace("`", "").split("\\|")).map(String::strip).toList();
      if (line.startsWith("| kernel")) {
        head = cells;
      } else if (line.startsWith("| ")) {
        List<String> names = head;
        LoopCounts c =
            new LoopCounts(
                number(names, cells, "instructions"),
                number(names, cells, "uniform"),
                number(names, cells, "HGMMA"),
                number(names, cells, "HMMA"),
                number(names, cells, "MUFU"),
                number(names, cells, "LDSM"),
                number(names, cells, "LDS"),
                number(names, cells, "LDGSTS"),
                number(names, cells, "barriers"));
        all.put(cells.get(1), c);
      }
    }
    return all;
  }

  private static int number(List<String> head, List<String> cells, String name) {
    return Integer.parseInt(cells.get(head.indexOf(name)));
  }
}
