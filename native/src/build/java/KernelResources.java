import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * What {@code ptxas -v} says of each kernel on each architecture: registers, memory, spills.
 * Refuses what a shipped kernel must not have, and writes the rest as a table.
 */
final class KernelResources {
  private record Use(int registers, int shared, int constant, int stack, int spills) {}

  private static final Pattern ENTRY =
      Pattern.compile("Compiling entry function '(\\w+)' for '(\\w+)'");
  private static final Pattern FRAME =
      Pattern.compile(
          "(\\d+) bytes stack frame, (\\d+) bytes spill stores, (\\d+) bytes spill loads");
  private static final Pattern USED = Pattern.compile("Used (\\d+) registers");
  private static final Pattern SHARED = Pattern.compile("(\\d+) bytes smem");
  private static final Pattern CONSTANT = Pattern.compile("(\\d+) bytes cmem\\[\\d+\\]");

  /** {@code wgmma} that wait for each other, and registers that warps do not hand over. */
  private static final Pattern SERIALISED = Pattern.compile("\\(C75\\d\\d\\)|setmaxnreg.* ignored");

  /**
   * In a source, why a kernel may keep an array in local memory: {@code // stack frame of NAME:
   * why}.
   */
  private static final Pattern EXCUSE = Pattern.compile("// stack frame of (\\w+): \\S");

  /** Family, kernel, architecture. */
  private final Map<String, Map<String, Map<String, Use>>> families = new TreeMap<>();

  private final List<String> faults = new ArrayList<>();

  void add(Path source, String said) throws IOException {
    Map<String, Map<String, Use>> kernels = new TreeMap<>();
    String text = Files.readString(source);
    String kernel = "";
    String arch = "";
    int stack = 0;
    int spills = 0;
    for (String line : said.lines().toList()) {
      Matcher entry = ENTRY.matcher(line);
      Matcher frame = FRAME.matcher(line);
      Matcher used = USED.matcher(line);
      if (entry.find()) {
        kernel = entry.group(1);
        arch = entry.group(2);
      } else if (frame.find()) {
        stack = Integer.parseInt(frame.group(1));
        spills = Integer.parseInt(frame.group(2)) + Integer.parseInt(frame.group(3));
      } else if (used.find()) {
        int registers = Integer.parseInt(used.group(1));
        Use use = new Use(registers, sum(SHARED, line), sum(CONSTANT, line), stack, spills);
        kernels.computeIfAbsent(kernel, _ -> new HashMap<>()).put(arch, use);
        judge(source, text, kernel, arch, use);
      } else if (SERIALISED.matcher(line).find()) {
        faults.add("%s: %s".formatted(source, line.strip()));
      }
    }
    families.put(Toolchain.stem(source), kernels);
  }

  private void judge(Path source, String text, String kernel, String arch, Use use) {
    if (use.spills != 0) {
      faults.add(
          "%s: %s on %s spills %d bytes of registers: give it fewer live values or more registers (__launch_bounds__)"
              .formatted(source, kernel, arch, use.spills));
    } else if (use.stack != 0
        && EXCUSE.matcher(text).results().noneMatch(m -> m.group(1).equals(kernel))) {
      faults.add(
          "%s: %s on %s keeps %d bytes in local memory: index its arrays by constants, or say why in a line `// stack frame of %s: …`"
              .formatted(source, kernel, arch, use.stack, kernel));
    }
  }

  /** Fails the build where a kernel spills, serialises its wgmma or has an unexplained stack. */
  void check() {
    if (!faults.isEmpty()) {
      throw new Toolchain.Failure(String.join("\n", faults));
    }
  }

  /** The table, where it says something new. */
  void write(Path file) throws IOException {
    StringBuilder text = new StringBuilder();
    text.append("# Resources of the CUDA kernels\n\n");
    text.append(
        "Written by the build (`ptxas -v`). For sm_80 and sm_90, or sm_90a alone: registers per\n");
    text.append(
        "thread, bytes of static shared memory, and of constant memory with the parameters (not told from 9.0 on). No kernel spills: the build would fail.\n\n");
    text.append("| family | kernel | registers | shared | constant |\n|---|---|---|---|---|\n");
    families.forEach(
        (family, kernels) ->
            kernels.forEach(
                (kernel, uses) ->
                    text.append(
                        "| %s | `%s` | %s | %s | %s |\n"
                            .formatted(
                                family,
                                kernel,
                                cell(uses, Field.REGISTERS),
                                cell(uses, Field.SHARED),
                                cell(uses, Field.CONSTANT)))));
    if (!Files.exists(file) || !Files.readString(file).contentEquals(text)) {
      Files.createDirectories(file.toAbsolutePath().getParent());
      Files.writeString(file, text);
    }
  }

  private enum Field {
    REGISTERS,
    SHARED,
    CONSTANT
  }

  /** One number where the architectures agree, else all of them in their order. */
  private static String cell(Map<String, Use> uses, Field field) {
    List<String> values = new ArrayList<>();
    for (String arch : List.of("sm_80", "sm_90", "sm_90a")) {
      Use use = uses.get(arch);
      if (use != null && (field != Field.CONSTANT || arch.equals("sm_80"))) {
        values.add(
            String.valueOf(
                switch (field) {
                  case REGISTERS -> use.registers;
                  case SHARED -> use.shared;
                  case CONSTANT -> use.constant;
                }));
      }
    }
    return values.isEmpty() ? "–" : values.stream().distinct().collect(Collectors.joining(", "));
  }

  private static int sum(Pattern pattern, String line) {
    return pattern.matcher(line).results().mapToInt(m -> Integer.parseInt(m.group(1))).sum();
  }
}
