package dev.javelin.kernels.cuda;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What the compiler made of a kernel for 9.0, read by NVIDIA's disassembler. */
final class MachineCode {
  private static final Pattern FUNCTION = Pattern.compile("\\s*Function : (\\w+)");
  private static final Pattern INSTRUCTION =
      Pattern.compile("\\s+/\\*(\\p{XDigit}{4,})\\*/\\s+(@!?U?P\\w+ )?([A-Z][\\w.]*)(.*?);.*");

  /** Fillers that are never executed. */
  private static final String NEVER = "@!PT ";

  private static final Pattern TARGET = Pattern.compile("0x(\\p{XDigit}+)");

  /** Multiply-adds of a lane in {@code mma.sync.m16n8k16}. */
  private static final int IN_HMMA = 16 * 8 * 16 / 32;

  /** {@code wgmma}, an instruction of 128 lanes. */
  private static final Pattern HGMMA = Pattern.compile("HGMMA\\.(\\d+)x(\\d+)x(\\d+)\\..*");

  /** A pass has all products that it can, of copies those that cost it no second way around. */
  private static final double PRODUCT = 1e6;

  private static final double COPY = 30;

  /** An instruction, with the predicate that it depends on, if any. */
  record Instruction(int at, boolean conditional, String name, String rest) {
    private int target() {
      Matcher target = TARGET.matcher(rest);
      return name.startsWith("BRA") && target.find() ? Integer.parseInt(target.group(1), 16) : -1;
    }

    boolean isProduct() {
      return name.startsWith("HMMA") || name.startsWith("HGMMA");
    }

    private boolean isCopy() {
      return name.startsWith("LDGSTS") || name.startsWith("UTMALDG") || name.startsWith("UBLKCP");
    }

    /** All warps of the block; a barrier of some of them has their number as operand. */
    boolean isBlockBarrier() {
      return name.startsWith("BAR.SYNC") && !rest.contains(",");
    }
  }

  /** Instructions of a piece of code, in order. */
  record Code(List<Instruction> instructions) {
    List<String> names() {
      return instructions.stream().map(Instruction::name).toList();
    }

    long count(Predicate<String> which) {
      return names().stream().filter(which).count();
    }

    long starting(String prefix) {
      return count(n -> n.equals(prefix) || n.startsWith(prefix + "."));
    }

    long multiplyAdds() {
      return starting("FFMA") + IN_HMMA * starting("HMMA") + ofWarpgroups();
    }

    private long ofWarpgroups() {
      return names().stream().mapToLong(Code::inHgmma).sum();
    }

    private static long inHgmma(String name) {
      Matcher m = HGMMA.matcher(name);
      return m.matches()
          ? Long.parseLong(m.group(1))
              * Long.parseLong(m.group(2))
              * Long.parseLong(m.group(3))
              / 128
          : 0;
    }

    /** On the registers that a warp has once: addresses and counters; no copies. */
    long uniform() {
      return count(n -> n.startsWith("U") && !n.startsWith("UTMA") && !n.startsWith("UBLK"));
    }

    /** From memory, into registers or shared memory. */
    long loads() {
      return count(n -> n.startsWith("LDG.") || n.startsWith("LDGSTS") || n.startsWith("UTMALDG"));
    }

    long sharedLoads() {
      return starting("LDS") + starting("LDSM");
    }

    long barriers() {
      return count(n -> n.startsWith("BAR.SYNC"));
    }

    /** {@code 2} or {@code 1/16} for each multiply-add. */
    String each(long instructions) {
      long all = multiplyAdds();
      return instructions == 0
          ? "0"
          : instructions >= all
              ? String.valueOf(Math.round((double) instructions / all))
              : "1/" + Math.round((double) all / instructions);
    }

    /**
     * A loop ends with a branch back to where it begins; the one with most multiply-adds, of
     * warpgroups where there are any: around their loop goes another, with products before and
     * after it and an epilogue's. Waits are repeated from behind the kernel's end: a branch back
     * over an exit makes no loop.
     */
    Code mainLoop() {
      List<Code> loops = new ArrayList<>();
      for (Instruction end : instructions) {
        int begin = end.target();
        if (begin >= 0 && begin < end.at) {
          Code loop =
              new Code(instructions.stream().filter(i -> i.at >= begin && i.at <= end.at).toList());
          if (loop.starting("EXIT") == 0) {
            loops.add(loop);
          }
        }
      }
      List<Code> ofProducts = loops.stream().filter(l -> l.ofWarpgroups() > 0).toList();
      loops.removeIf(l -> ofProducts.stream().anyMatch(l::isAround));
      // Of two that are alike, as the compiler makes them for a flag, the shorter one.
      return loops.stream()
          .min(
              Comparator.comparingLong((Code l) -> -l.ofWarpgroups())
                  .thenComparingLong(l -> l.ofWarpgroups() > 0 ? 0 : -l.multiplyAdds())
                  .thenComparingInt(l -> l.instructions.size()))
          .orElse(new Code(List.of()));
    }

    /** Whether the other's instructions are among these, and not all of them. */
    private boolean isAround(Code other) {
      return instructions.size() > other.instructions.size()
          && instructions.getFirst().at <= other.instructions.getFirst().at
          && instructions.getLast().at >= other.instructions.getLast().at;
    }

    /**
     * The pass through a loop that does all products and asynchronous copies with the fewest
     * instructions: without ragged edges, masks and loops within.
     */
    Code pass() {
      int n = instructions.size();
      double[] worth = new double[n + 1];
      int[] next = new int[n];
      for (int i = n - 1; i >= 0; i--) {
        Instruction here = instructions.get(i);
        int target = indexOf(here.target());
        boolean jumps = target > i;
        next[i] = jumps && (!here.conditional || worth[target] > worth[i + 1]) ? target : i + 1;
        double own = here.isProduct() ? PRODUCT : here.isCopy() ? COPY : -1;
        worth[i] = own + worth[next[i]];
      }
      List<Instruction> path = new ArrayList<>();
      for (int i = 0; i < n; i = next[i]) {
        path.add(instructions.get(i));
      }
      return new Code(path);
    }

    private int indexOf(int address) {
      for (int i = 0; i < instructions.size(); i++) {
        if (instructions.get(i).at == address) {
          return i;
        }
      }
      return -1;
    }
  }

  private MachineCode() {}

  /** CUDA's disassembler; null where there is none. The toolkit has it, as does triton's wheel. */
  static @Nullable Path disassembler() {
    List<String> folders = new ArrayList<>(List.of(System.getenv("PATH").split(":")));
    folders.add("/usr/local/cuda/bin");
    return folders.stream()
        .map(folder -> Path.of(folder, "cuobjdump"))
        .filter(
            file -> Files.isExecutable(file) && Files.isExecutable(file.resolveSibling("nvdisasm")))
        .findFirst()
        .orElse(null);
  }

  /** Of each kernel of an image: its code for 9.0. */
  static Map<String, Code> kernels(Path disassembler, byte[] fatbin) throws IOException {
    Path file = Files.createTempFile("kernels", ".fatbin");
    try {
      Files.write(file, fatbin);
      Map<String, Code> own = kernels(disassemble(disassembler, "sm_90a", file));
      return own.isEmpty() ? kernels(disassemble(disassembler, "sm_90", file)) : own;
    } finally {
      Files.delete(file);
    }
  }

  private static String disassemble(Path disassembler, String arch, Path file) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(disassembler.toString(), "--dump-sass", "-arch", arch, file.toString());
    builder.environment().merge("PATH", disassembler.getParent() + ":", (old, dir) -> dir + old);
    Process process = builder.redirectErrorStream(true).start();
    process.getOutputStream().close();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }

  static Map<String, Code> kernels(String text) {
    Map<String, List<Instruction>> kernels = new LinkedHashMap<>();
    List<Instruction> kernel = List.of();
    for (String line : text.lines().toList()) {
      Matcher function = FUNCTION.matcher(line);
      Matcher m = INSTRUCTION.matcher(line);
      if (function.matches()) {
        kernel = new ArrayList<>();
        kernels.put(function.group(1), kernel);
      } else if (m.matches() && !line.contains(NEVER)) {
        int at = Integer.parseInt(m.group(1), 16);
        kernel.add(new Instruction(at, m.group(2) != null, m.group(3), m.group(4)));
      }
    }
    Map<String, Code> found = new LinkedHashMap<>();
    kernels.forEach((name, code) -> found.put(name, new Code(code)));
    return found;
  }

  /** The cells of a line {@code | a | b |} of a table. */
  static List<String> cells(String line) {
    return Arrays.stream(line.split("\\|")).skip(1).map(String::strip).toList();
  }
}
