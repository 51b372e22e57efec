package dev.javelin.kernels.cuda;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The table of counts in {@code docs/kernels/ladder} is what compilers say of the rungs. */
class LadderCountsTest {
  private static final Path PAGE = Ladder.FOLDER.resolve("counts.md");
  private static final int OF_THE_BUILD = 3; // columns

  private static void needsTheCompiler() {
    assumeTrue(
        Ladder.resource("resources.md") != null, "this build has no code for GPUs (no nvcc)");
  }

  /** In every build with nvcc. No kernel spills, or the build would have failed. */
  @Test
  void registersAndSharedMemoryAreThoseOfTheBuild() throws IOException {
    needsTheCompiler();
    List<List<String>> page = rows(Files.readString(PAGE));
    List<List<String>> expected = resources();
    assertThat(page.stream().map(row -> row.subList(0, OF_THE_BUILD)).toList())
        .as("docs/kernels/ladder/counts.md: write it anew with -Djavelin.draw")
        .isEqualTo(expected);
  }

  /** {@code -Djavelin.draw} writes them anew. */
  @Test
  void countsAreThoseOfTheMachineCode() throws IOException {
    needsTheCompiler();
    Path disassembler = MachineCode.disassembler();
    assumeTrue(disassembler != null, "no cuobjdump and nvdisasm on PATH or in /usr/local/cuda/bin");
    StringBuilder page = new StringBuilder();
    page.append(
        """
        # Counts of the ladders

        Written by `LadderCountsTest`, which holds it against the compiler's reports and the machine code: registers for
        sm_80 and sm_90 (one number where they agree), bytes of shared memory; then one pass of the main loop for
        9.0, instructions of a thread. A multiply-add is an `FFMA`, or a 64th of a lane's `HMMA` (`mma.sync.m16n8k16`),
        a 512th, 1024th or 2048th of its `HGMMA` (`wgmma` with 64, 128 or 256 columns). Loads from memory are `LDG`, `LDGSTS`
        (`cp.async`) and `UTMALDG` (TMA, of one thread), from shared memory `LDS` and `LDSM` (`ldmatrix`), of whatever
        width. Kernels with `HGMMA` have dynamic shared memory besides, and code for 9.0 alone.
        No kernel spills registers.

        | kernel | registers | shared | instructions | `FFMA` | `HMMA`, `HGMMA` | `MUFU.EX2` | memory loads | shared loads | barriers | memory loads each multiply-add | shared loads each multiply-add |
        |---|---|---|---|---|---|---|---|---|---|---|---|
        """);
    Map<String, MachineCode.Code> loops = new HashMap<>();
    for (Ladder.Rung rung : rungs()) {
      byte[] fatbin = requireNonNull(Ladder.resource(rung + ".fatbin"));
      MachineCode.kernels(disassembler, fatbin)
          .forEach((name, code) -> loops.put(name, code.mainLoop()));
    }
    for (List<String> row : resources()) {
      String kernel = row.getFirst().replace("`", "");
      MachineCode.Code loop = requireNonNull(loops.get(kernel), kernel);
      assertThat(loop.names()).as("main loop of " + kernel).isNotEmpty();
      assertThat(loop.names()).as(kernel).noneMatch(n -> n.matches("(LDL|STL)\\b.*"));
      page.append("| %s | %s | %s |".formatted(row.toArray()));
      for (Object cell :
          new Object[] {
            loop.names().size(),
            loop.count(n -> n.startsWith("FFMA")),
            loop.count(n -> n.startsWith("HMMA") || n.startsWith("HGMMA")),
            loop.count(n -> n.startsWith("MUFU.EX2")),
            loop.loads(),
            loop.sharedLoads(),
            loop.barriers(),
            loop.each(loop.loads()),
            loop.each(loop.sharedLoads())
          }) {
        page.append(" %s |".formatted(cell));
      }
      page.append('\n');
    }
    if (System.getProperty("javelin.draw") != null) {
      Files.writeString(PAGE, page);
    }
    assertThat(Files.exists(PAGE) ? Files.readString(PAGE) : "")
        .as("docs/kernels/ladder/counts.md: write it anew with -Djavelin.draw")
        .isEqualTo(page.toString());
  }

  /** Pages quote the table; a row as a sentence. */
  @Test
  void pagesQuoteTheTable() throws IOException {
    List<List<String>> table = rows(Files.readString(PAGE));
    for (List<String> row : table) {
      String kernel = row.getFirst().replace("`", "");
      String page = kernel.startsWith("matmul") ? "matmul.md" : "attention.md";
      assertThat(Files.readString(Ladder.FOLDER.resolve(page))).contains(sentence(row));
    }
  }

  private static String sentence(List<String> row) {
    boolean tensorCores = !row.get(5).equals("0");
    boolean warpgroups = row.get(0).matches("`(matmul_1\\d|attention_[789])`");
    return "%s: registers %s; %s bytes of shared memory; in a pass %s instructions, of which %s %s, %s memory loads, %s shared loads, %s barriers."
        .formatted(
            row.get(0),
            row.get(1),
            row.get(2),
            row.get(3),
            row.get(tensorCores ? 5 : 4),
            warpgroups ? "`HGMMA`" : tensorCores ? "`HMMA`" : "`FFMA`",
            row.get(7),
            row.get(8),
            row.get(9));
  }

  private static List<Ladder.Rung> rungs() {
    return Stream.of("matmul", "attention").flatMap(l -> Ladder.rungs(l).stream()).toList();
  }

  /** Kernel, registers, shared memory, in the order of the rungs. */
  private static List<List<String>> resources() {
    List<List<String>> all =
        rows(new String(requireNonNull(Ladder.resource("resources.md")), StandardCharsets.UTF_8));
    List<List<String>> rows = new ArrayList<>();
    for (Ladder.Rung rung : rungs()) {
      for (List<String> row : all) {
        // The softmax between two products multiplies nothing.
        if (row.getFirst().equals(rung.toString()) && !row.get(1).contains("softmax")) {
          rows.add(row.subList(1, 1 + OF_THE_BUILD));
        }
      }
    }
    return rows;
  }

  private static List<List<String>> rows(String page) {
    return page.lines()
        .filter(
            line ->
                line.startsWith("| ")
                    && !line.startsWith("| kernel")
                    && !line.startsWith("| family"))
        .map(MachineCode::cells)
        .toList();
  }
}
