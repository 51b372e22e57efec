import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/** Finds compilers and runs them, each step only when one of its inputs has changed. */
final class Toolchain {
  private static final Map<Path, String> DIGESTS = new ConcurrentHashMap<>();
  private static final long SILENCE_NANOS = 2_000_000_000L; // between two lines of progress

  private Toolchain() {}

  /** A build that cannot go on; the message is all that is printed. */
  static final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;

    Failure(String message) {
      super(message);
    }
  }

  /** The emulated device switches stacks with x86-64 instructions and loads ELF files. */
  static boolean hostCanEmulate() {
    String arch = System.getProperty("os.arch");
    return System.getProperty("os.name").equals("Linux")
        && (arch.equals("amd64") || arch.equals("x86_64"));
  }

  /** The program that an environment variable names, or one of that name on PATH or in a folder. */
  static String find(String variable, String name, Path... folders) {
    String chosen = System.getenv(variable);
    List<Path> places = new ArrayList<>();
    if (chosen != null && !chosen.isBlank()) {
      if (chosen.contains("/")) {
        return Files.isExecutable(Path.of(chosen)) ? chosen : null;
      }
      name = chosen;
    }
    for (String folder : System.getenv().getOrDefault("PATH", "").split(":")) {
      places.add(Path.of(folder));
    }
    places.addAll(List.of(folders));
    for (Path folder : places) {
      if (Files.isExecutable(folder.resolve(name)) && !Files.isDirectory(folder.resolve(name))) {
        return folder.resolve(name).toString();
      }
    }
    return null;
  }

  /**
   * One run of a compiler.
   *
   * @param command what to run; it writes {@code output} and, where it is a compilation, the list
   *     of files it read to {@code dependencies}
   * @param inputs the files it reads besides those
   */
  record Step(List<String> command, Path output, Path dependencies, List<Path> inputs) {
    private Path stamp() {
      return Path.of(dependencies + ".stamp");
    }

    private Path log() {
      return Path.of(dependencies + ".log");
    }

    /** Runs unless command and inputs are those of the last run. Returns what the compiler said. */
    Result run() throws IOException, InterruptedException {
      if (isFresh()) {
        return new Result(Files.readString(log()), false);
      }
      Files.createDirectories(output.toAbsolutePath().getParent());
      Files.createDirectories(dependencies.toAbsolutePath().getParent());
      Files.deleteIfExists(stamp());
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      process.getOutputStream().close();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new Failure(String.join(" ", command) + "\n" + said);
      }
      Files.writeString(log(), said);
      StringBuilder text = new StringBuilder(String.join("\t", command)).append('\n');
      for (Path file : read()) {
        text.append(digest(file)).append(' ').append(file).append('\n');
      }
      Files.writeString(stamp(), text);
      return new Result(said, true);
    }

    /** Whether the output is what this very command makes of the inputs as they are. */
    private boolean isFresh() throws IOException {
      return isCurrent()
          && Files.exists(log())
          && Files.readAllLines(stamp()).getFirst().equals(String.join("\t", command));
    }

    /** Whether the output was made, by whatever command, from the inputs as they are. */
    boolean isCurrent() throws IOException {
      if (!Files.exists(stamp()) || !Files.exists(output)) {
        return false;
      }
      List<String> lines = Files.readAllLines(stamp());
      for (String line : lines.subList(1, lines.size())) {
        int space = line.indexOf(' ');
        Path file = Path.of(line.substring(space + 1));
        if (!Files.exists(file) || !digest(file).equals(line.substring(0, space))) {
          return false;
        }
      }
      return true;
    }

    /** The inputs, and what the compiler says it read: {@code target: file file \ file}. */
    private List<Path> read() throws IOException {
      List<Path> files = new ArrayList<>(inputs);
      if (Files.exists(dependencies)) {
        String rule = Files.readString(dependencies).replace("\\\n", " ");
        for (String file : rule.substring(rule.indexOf(": ") + 2).strip().split("\\s+")) {
          files.add(Path.of(file));
        }
      }
      return files;
    }
  }

  record Result(String said, boolean compiled) {}

  static List<Result> run(List<Step> steps) throws InterruptedException {
    return run(steps, null);
  }

  /**
   * Runs the steps, as many at a time as there are processors; fails if one fails.
   *
   * @param what is counted aloud while it takes long; null to be silent
   */
  static List<Result> run(List<Step> steps, String what) throws InterruptedException {
    int atATime = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 16);
    AtomicInteger done = new AtomicInteger();
    AtomicLong said = new AtomicLong(System.nanoTime());
    try (var pool = Executors.newFixedThreadPool(atATime)) {
      List<Callable<Result>> tasks = new ArrayList<>();
      for (Step step : steps) {
        tasks.add(
            () -> {
              Result result = step.run();
              int n = done.incrementAndGet();
              long now = System.nanoTime();
              long last = said.get();
              if (what != null && now - last > SILENCE_NANOS && said.compareAndSet(last, now)) {
                say("%s %d of %d …", what, n, steps.size());
              }
              return result;
            });
      }
      List<Result> results = new ArrayList<>();
      for (Future<Result> result : pool.invokeAll(tasks)) {
        try {
          results.add(result.get());
        } catch (ExecutionException e) {
          if (e.getCause() instanceof Failure failure) {
            throw failure;
          }
          throw new IllegalStateException(e.getCause());
        }
      }
      return results;
    }
  }

  /** What compilers warned of in this run. */
  static void showWarnings(List<Result> results) {
    for (Result result : results) {
      if (result.compiled() && result.said().contains("warning")) {
        System.err.println(result.said());
      }
    }
  }

  /** The files of a folder whose names end so, sorted. */
  static List<Path> files(Path folder, String ending) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(f -> f.getFileName().toString().endsWith(ending)).sorted().toList();
    }
  }

  /** {@code rms_norm} of {@code …/rms_norm.cu}. */
  static String stem(Path file) {
    String name = file.getFileName().toString();
    return name.substring(0, name.lastIndexOf('.'));
  }

  static void say(String format, Object... arguments) {
    System.out.println("javelin: " + format.formatted(arguments));
  }

  /** Runs a program's body; a {@link Failure} ends it with its message alone. */
  static void main(Callable<Void> body) throws Exception {
    try {
      body.call();
    } catch (Failure failure) {
      System.err.println(failure.getMessage());
      System.exit(1);
    }
  }

  /** Of each file once: the compilers' own headers are read by every step. */
  private static String digest(Path file) throws IOException {
    String known = DIGESTS.get(file);
    if (known != null) {
      return known;
    }
    String digest = sha256(file);
    DIGESTS.put(file, digest);
    return digest;
  }

  private static String sha256(Path file) throws IOException {
    try {
      byte[] hash = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
      return HexFormat.of().formatHex(hash, 0, 12).toLowerCase(Locale.ROOT);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
