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

/** What the compiler made of a rung: the machine code of its kernels' main loops. */
final class LadderCode {
  private static final Pattern FUNCTION = Pattern.compile("\\s*Function : (\\w+)");
  private static final Pattern INSTRUCTION =
      Pattern.compile("\\s+/\\*(\\p{XDigit}{4,})\\*/\\s+(?:@!?U?P\\w+ )?([A-Z][\\w.]*)(.*?);.*");

  /** Fillers that are never executed. */
  private static final String NEVER = "@!PT ";

  private static final Pattern TARGET = Pattern.compile("0x(\\p{XDigit}+)");

  /** Multiply-adds of a lane in {@code mma.sync.m16n8k16}. */
  private static final int IN_HMMA = 16 * 8 * 16 / 32;

  private record Instruction(int at, String name, String rest) {}

  /** Instructions of one pass of a loop, by name. */
  record Loop(List<String> names) {
    long count(Predicate<String> which) {
      return names.stream().filter(which).count();
    }

    long multiplyAdds() {
      return count(n -> n.startsWith("FFMA")) + IN_HMMA * count(n -> n.startsWith("HMMA"));
    }

    /** From memory, into registers or shared memory. */
    long loads() {
      return count(n -> n.startsWith("LDG.") || n.startsWith("LDGSTS"));
    }

    long sharedLoads() {
      return count(n -> n.equals("LDS") || n.startsWith("LDS.") || n.startsWith("LDSM"));
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
  }

  private LadderCode() {}

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

  /** Of each kernel of an image, for sm_90a: the loop with the most multiply-adds in it. */
  static Map<String, Loop> loops(Path disassembler, byte[] fatbin) throws IOException {
    Path file = Files.createTempFile("ladder", ".fatbin");
    try {
      Files.write(file, fatbin);
      ProcessBuilder builder =
          new ProcessBuilder(
              disassembler.toString(), "--dump-sass", "-arch", "sm_90a", file.toString());
      builder.environment().merge("PATH", disassembler.getParent() + ":", (old, dir) -> dir + old);
      Process process = builder.redirectErrorStream(true).start();
      process.getOutputStream().close();
      String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      return loops(text);
    } finally {
      Files.delete(file);
    }
  }

  private static Map<String, Loop> loops(String text) {
    Map<String, List<Instruction>> kernels = new LinkedHashMap<>();
    List<Instruction> kernel = List.of();
    for (String line : text.lines().toList()) {
      Matcher function = FUNCTION.matcher(line);
      Matcher m = INSTRUCTION.matcher(line);
      if (function.matches()) {
        kernel = new ArrayList<>();
        kernels.put(function.group(1), kernel);
      } else if (m.matches() && !line.contains(NEVER)) {
        kernel.add(new Instruction(Integer.parseInt(m.group(1), 16), m.group(2), m.group(3)));
      }
    }
    Map<String, Loop> found = new LinkedHashMap<>();
    kernels.forEach((name, code) -> found.put(name, mainLoop(code)));
    return found;
  }

  /** A loop ends with a branch back to where it begins. */
  private static Loop mainLoop(List<Instruction> code) {
    List<Loop> loops = new ArrayList<>();
    for (Instruction end : code) {
      Matcher target = TARGET.matcher(end.rest);
      if (end.name.startsWith("BRA") && target.find()) {
        int begin = Integer.parseInt(target.group(1), 16);
        if (begin < end.at) {
          loops.add(
              new Loop(
                  code.stream()
                      .filter(i -> i.at >= begin && i.at <= end.at)
                      .map(Instruction::name)
                      .toList()));
        }
      }
    }
    // Of two that are alike, as the compiler makes them for a flag, the shorter one.
    return loops.stream()
        .min(
            Comparator.comparingLong((Loop l) -> -l.multiplyAdds())
                .thenComparing(l -> l.names.size()))
        .orElse(new Loop(List.of()));
  }

  /** The cells of a line {@code | a | b |} of a table. */
  static List<String> cells(String line) {
    return Arrays.stream(line.split("\\|")).skip(1).map(String::strip).toList();
  }
}
