package dev.javelin.train.trace;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Which line of the source an instruction of a kernel's image comes from, and what its shared
 * variables are called: {@code addr2line} and {@code readelf} read the image's line table. They
 * come with the compiler; where they are missing, nothing is known.
 */
final class SourceLines {
  /** An instruction's line. The text is empty where the source is not at hand. */
  record Line(String file, int number, String text) {
    String place() {
      return file + ":" + number;
    }
  }

  /** One function of those that were inlined into each other, the innermost first. */
  record Frame(String function, String path, int number) {}

  private static final Pattern MACRO = Pattern.compile("\\s*[A-Z][A-Z0-9_]+\\(.*"); // of instances
  private static final Pattern TLS =
      Pattern.compile("\\s*\\d+: ([0-9a-f]+)\\s+(\\d+) TLS\\s+\\w+\\s+\\w+\\s+\\w+ (.*)");

  /** Functions that are one instruction on a GPU, here perhaps several. */
  private static final Pattern VECTOR =
      Pattern.compile("(.* )?(load_vec|store_vec|store_word|__ld[a-z]+|__st[a-z]+)\\w*[<(].*");

  private static final int HEX = 16;

  private final Map<Long, List<Frame>> frames = new HashMap<>();
  private final TreeMap<Long, String> variables = new TreeMap<>(); // by offset
  private final Map<String, List<String>> sources = new HashMap<>();

  private SourceLines() {}

  static SourceLines of(byte[] image, Collection<Long> sites) {
    SourceLines lines = new SourceLines();
    try {
      Path file = Files.createTempFile("javelin-kernel", ".so");
      try {
        Files.write(file, image);
        lines.readFrames(file, sites);
        lines.readVariables(file);
        lines.dropWrappers();
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return lines;
  }

  private void readFrames(Path image, Collection<Long> sites) throws IOException {
    if (sites.isEmpty()) {
      return;
    }
    List<String> command =
        new ArrayList<>(List.of("addr2line", "-a", "-i", "-f", "-C", "-e", image.toString()));
    sites.forEach(site -> command.add(Long.toHexString(site)));
    List<Frame> at = new ArrayList<>();
    List<String> said = run(command);
    for (int i = 0; i < said.size(); i++) {
      if (said.get(i).startsWith("0x")) {
        at = new ArrayList<>();
        frames.put(Long.parseUnsignedLong(said.get(i).substring(2), HEX), at);
      } else if (i + 1 < said.size()) {
        String place = said.get(i + 1).replaceFirst(" \\(discriminator \\d+\\)", "");
        int colon = place.lastIndexOf(':');
        String line = place.substring(colon + 1);
        if (line.chars().allMatch(Character::isDigit)) {
          at.add(new Frame(said.get(i), place.substring(0, colon), Integer.parseInt(line)));
        }
        i++;
      }
    }
  }

  /**
   * Leaves out, outermost first, instances of templates and functions that only call another: those
   * in which all instructions are on one line.
   */
  private void dropWrappers() {
    for (List<Frame> at : frames.values()) {
      while (at.size() > 1 && MACRO.matcher(text(at.getLast())).matches()) {
        at.removeLast();
      }
    }
    Set<Frame> outer = outermost();
    while (outer.size() == 1 && frames.values().stream().anyMatch(at -> at.size() > 1)) {
      frames.values().stream().filter(at -> at.size() > 1).forEach(List::removeLast);
      outer = outermost();
    }
  }

  private Set<Frame> outermost() {
    return frames.values().stream()
        .filter(at -> !at.isEmpty())
        .map(List::getLast)
        .collect(Collectors.toSet());
  }

  private void readVariables(Path image) throws IOException {
    for (String line : run(List.of("readelf", "-s", "-W", "-C", image.toString()))) {
      Matcher m = TLS.matcher(line);
      if (m.matches()) {
        String name = m.group(3);
        variables.put(
            Long.parseUnsignedLong(m.group(1), HEX), name.substring(name.lastIndexOf(':') + 1));
      }
    }
  }

  /** What a program prints; nothing where there is none of this name. */
  private static List<String> run(List<String> command) throws IOException {
    Process process;
    try {
      process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    } catch (IOException _) {
      return List.of();
    }
    process.getOutputStream().close();
    return new String(process.getInputStream().readAllBytes(), UTF_8).lines().toList();
  }

  /** {@code partial+4}. */
  String variable(long offset) {
    var entry = variables.floorEntry(offset);
    return entry == null
        ? "shared variable+" + offset
        : entry.getValue() + "+" + (offset - entry.getKey());
  }

  /**
   * The line of the kernel's own function that an instruction belongs to: of the functions that
   * were inlined into each other the outermost that is more than a wrapper, or a lambda in it.
   */
  @Nullable Line line(long site) {
    List<Frame> at = frames.getOrDefault(site, List.of());
    if (at.isEmpty()) {
      return null;
    }
    Frame main = at.getLast();
    Frame best =
        at.stream()
            .filter(f -> f.function().contains("{lambda"))
            .filter(f -> name(f.function()).equals(name(main.function())))
            .findFirst()
            .orElse(main);
    Path file = Path.of(best.path()).getFileName();
    return new Line(String.valueOf(file), best.number(), text(best).strip());
  }

  /** {@code norm_forward} of {@code void norm_forward<float, 4>(float*)::{lambda(int)#1}::…}. */
  private static String name(String function) {
    int end = 0;
    while (end < function.length() && "<(".indexOf(function.charAt(end)) < 0) {
      end++;
    }
    String head = function.substring(0, end);
    return head.substring(head.lastIndexOf(' ') + 1);
  }

  /** Whether two accesses are parts of one of 8 or 16 bytes, which the compiler has split. */
  boolean areOneAccess(long site, long other) {
    List<Frame> at = frames.getOrDefault(site, List.of());
    return at.equals(frames.getOrDefault(other, List.of()))
        && at.stream().anyMatch(f -> VECTOR.matcher(f.function()).matches());
  }

  private String text(Frame f) {
    List<String> lines = sources.computeIfAbsent(f.path(), SourceLines::read);
    return f.number() >= 1 && f.number() <= lines.size() ? lines.get(f.number() - 1) : "";
  }

  private static List<String> read(String path) {
    try {
      return Files.readAllLines(Path.of(path));
    } catch (IOException _) {
      return List.of(); // the image was built elsewhere
    }
  }
}
