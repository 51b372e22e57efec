package dev.javelin.kernels.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A kernel's source, broken one line at a time. Lines that matter end in a mark, {@code // @name};
 * a table says what to do to them and what the emulated device must report ({@code
 * docs/emulator.md}).
 */
final class Mutants {
  private static final Pattern MARK = Pattern.compile("// @([a-z0-9-]+)$");
  private static final Pattern REPLACEMENT = Pattern.compile("`([^`]+)` `([^`]+)`");
  private static final String SILENT = "silent";

  private final String unit;
  private final Map<Path, List<String>> sources = new LinkedHashMap<>();
  private final List<Mutant> all;

  /**
   * One mistake.
   *
   * @param reports of which the message must contain one; none where nothing is wrong
   */
  record Mutant(String name, String mark, String edit, List<String> reports) {
    @Override
    public String toString() {
      return name;
    }
  }

  /**
   * @param files the kernel's, and headers in which lines are marked too
   * @param table the mistakes
   * @param instance what makes a kernel of a source that has templates alone; else ""
   */
  Mutants(List<Path> files, Path table, String instance) throws IOException {
    unit = "#include \"%s\"\n%s\n".formatted(files.getFirst().getFileName(), instance);
    for (Path file : files) {
      sources.put(file, Files.readAllLines(file));
    }
    all =
        Files.readAllLines(table).stream()
            .filter(line -> !line.isBlank() && !line.startsWith("#"))
            .map(Mutants::parse)
            .toList();
  }

  private static Mutant parse(String line) {
    String[] columns = line.split(" {2,}");
    if (columns.length != 4) {
      throw new IllegalArgumentException("four columns, two spaces between them: " + line);
    }
    boolean silent = columns[3].equals(SILENT);
    return new Mutant(
        columns[0],
        columns[1],
        columns[2],
        silent ? List.of() : List.of(columns[3].split(" \\| ")));
  }

  /** As in the table. */
  List<Mutant> all() {
    return all;
  }

  /** The files after a mutant's edit, which stays within one. */
  Map<Path, List<String>> edited(Mutant m) {
    List<Path> marked = new ArrayList<>();
    sources.forEach(
        (file, lines) -> {
          if (lines.stream().anyMatch(line -> isMarked(line, m.mark()))) {
            marked.add(file);
          }
        });
    if (marked.size() != 1) {
      throw new IllegalArgumentException(
          "one file must have the mark %s: %s".formatted(m.mark(), marked));
    }
    Map<Path, List<String>> result = new LinkedHashMap<>(sources);
    result.compute(marked.getFirst(), (file, lines) -> edited(lines, m));
    return result;
  }

  private static List<String> edited(List<String> lines, Mutant m) {
    List<String> result = new ArrayList<>(lines);
    int at = find(result, m.mark());
    Matcher replacement = REPLACEMENT.matcher(m.edit());
    if (m.edit().equals("drop")) {
      result.set(at, "");
    } else if (m.edit().startsWith("before ")) {
      result.set(at, "");
      result.add(find(result, m.edit().substring(7)), lines.get(at));
    } else if (m.edit().startsWith("after ")) {
      result.set(at, "");
      result.add(find(result, m.edit().substring(6)) + 1, lines.get(at));
    } else if (replacement.matches() && lines.get(at).contains(replacement.group(1))) {
      result.set(at, lines.get(at).replace(replacement.group(1), replacement.group(2)));
    } else {
      throw new IllegalArgumentException(
          "%s: cannot do %s to: %s".formatted(m.name(), m.edit(), lines.get(at)));
    }
    return result;
  }

  private static boolean isMarked(String line, String mark) {
    Matcher m = MARK.matcher(line);
    return m.find() && m.group(1).equals(mark);
  }

  private static int find(List<String> lines, String mark) {
    int[] found =
        IntStream.range(0, lines.size()).filter(i -> isMarked(lines.get(i), mark)).toArray();
    if (found.length != 1) {
      throw new IllegalArgumentException(found.length + " lines have the mark " + mark);
    }
    return found[0];
  }

  /** The image of such files in which every access is checked, made in {@code folder}. */
  byte[] compile(Map<Path, List<String>> texts, String name, Path folder) throws Exception {
    Path driver = folder.resolve("libcuda.so.1"); // an empty library: images want the name alone
    if (!Files.exists(driver)) {
      Path nothing = Files.createFile(folder.resolve("nothing.c"));
      run(Stream.of(gxx(), "-shared", "-Wl,-soname,libcuda.so.1", "-o", driver + "", nothing + ""));
    }
    for (Map.Entry<Path, List<String>> text : texts.entrySet()) {
      Files.write(folder.resolve(text.getKey().getFileName().toString()), text.getValue());
    }
    Path file = Files.writeString(folder.resolve("unit.cu"), unit);
    Path image = folder.resolve(name + ".check.so");
    String flags =
        "-std=c++17 -O1 -g1 -fPIC -march=x86-64-v2 -fno-strict-aliasing -fno-gnu-unique -w -Wno-psabi"
            + " -Isrc/main/cuda -I../native/src/main/cpp/emulator -shared -Wl,-Bsymbolic"
            + " -fsanitize=thread,alignment --param=tsan-instrument-func-entry-exit=0";
    String libraries =
        "-nodefaultlibs -lstdc++ -lm -lc -lgcc_s -lgcc -Wl,--no-as-needed -x none " + driver;
    run(
        Stream.of(gxx() + " " + flags, "-o " + image + " -x c++ " + file, libraries)
            .flatMap(part -> Stream.of(part.split(" "))));
    return Files.readAllBytes(image);
  }

  static String gxx() {
    return System.getenv().getOrDefault("CXX", "g++");
  }

  /** Whether there is a compiler. */
  static boolean canCompile() {
    try {
      run(Stream.of(gxx(), "--version"));
      return true;
    } catch (Exception e) {
      return false;
    }
  }

  private static void run(Stream<String> command) throws Exception {
    Process process = new ProcessBuilder(command.toList()).redirectErrorStream(true).start();
    String said;
    try (InputStream out = process.getInputStream()) {
      said = new String(out.readAllBytes(), StandardCharsets.UTF_8);
    }
    if (process.waitFor() != 0) {
      throw new AssertionError(said);
    }
  }
}
