import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Compiles each {@code .cu} file of a folder: with nvcc to a fatbin for real devices, with g++ to
 * shared objects for the emulated one. Maven runs it in the module's folder:
 *
 * <pre>
 * java CompileCuda.java SOURCES IMAGES WORK EMULATOR [--images KINDS] [--table FILE] [--include FOLDER]
 * </pre>
 *
 * <ul>
 *   <li>{@code SOURCES} family.cu; {@code IMAGES} receives family.fatbin, family.emu.so,
 *       family.check.so
 *   <li>{@code WORK} keeps what makes the next run incremental
 *   <li>{@code EMULATOR} the folder of the emulated device's headers
 *   <li>{@code --images} which images, separated by commas: {@code gpu} for every supported card,
 *       {@code gpu:9.0} for one, {@code emulator}, {@code emulator:unchecked} without the images
 *       that check each access, {@code emulator:checked} those alone, {@code none}; all by default.
 *       An image that is there already and not asked for stays if its sources are unchanged, and
 *       goes if they are not
 *   <li>{@code --table} where the table of registers and memory per kernel goes
 *   <li>{@code --include} the folder of common.cuh, where that is not SOURCES
 * </ul>
 *
 * The environment chooses compilers by NVCC and CXX, and adds flags for the emulated device's
 * kernels by JAVELIN_EMULATOR_CXXFLAGS ({@code -O0 -g} to step through one in a debugger).
 */
final class CompileCuda {
  /** For A100, whose code the cards of 8.6 and 8.9 run too; for H100 and H200; PTX for the rest. */
  private static final String ALL = "sm_80,sm_90,compute_80";

  /** Reached by kernels for 9.0 alone; only {@code sm_90a} has what is in it. */
  private static final String HOPPER = "hopper.cuh";

  private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"([^\"]+)\"");

  private final Path sources;
  private final Path images;
  private final Path work;
  private final Path emulator;
  private Path table;
  private Path include;
  private List<String> kinds = List.of("gpu", "emulator");

  private CompileCuda(String[] args) {
    sources = Path.of(args[0]);
    images = Path.of(args[1]);
    work = Path.of(args[2]);
    emulator = Path.of(args[3]);
    include = sources;
    for (int i = 4; i < args.length; i += 2) {
      switch (args[i]) {
        case "--images" -> kinds = List.of(args[i + 1].split(","));
        case "--table" -> table = Path.of(args[i + 1]);
        case "--include" -> include = Path.of(args[i + 1]);
        default -> throw new Toolchain.Failure("unknown option " + args[i]);
      }
    }
  }

  public static void main(String[] args) throws Exception {
    Toolchain.main(
        () -> {
          new CompileCuda(args).compile();
          return null;
        });
  }

  private void compile() throws Exception {
    List<Path> families = Toolchain.files(sources, ".cu");
    String code = code();
    boolean emulate = kinds.stream().anyMatch(kind -> kind.startsWith("emulator"));
    boolean plainly = emulate && !kinds.contains("emulator:checked");
    boolean checked = emulate && !kinds.contains("emulator:unchecked");
    String nvcc = Toolchain.find("NVCC", "nvcc", Path.of("/usr/local/cuda/bin"));
    String gxx = Toolchain.hostCanEmulate() ? Toolchain.find("CXX", "g++") : null;
    List<Toolchain.Step> all = new ArrayList<>(); // all there could be
    List<Toolchain.Step> steps = new ArrayList<>(); // those asked for
    if (nvcc == null
        && !code.isEmpty()
        && table != null) { // said once, not for the tests' kernels again
      Toolchain.say("no nvcc (NVCC, PATH, /usr/local/cuda): built without code for GPUs");
    }
    if (nvcc != null) {
      for (Path source : families) {
        all.add(fatbin(nvcc, code.isEmpty() ? ALL : code, source));
      }
      if (!code.isEmpty()) {
        steps.addAll(all);
      }
    }
    int fatbins = steps.size();
    if (gxx != null) {
      Toolchain.Step driver = linkName(gxx);
      for (Path source : families) {
        Toolchain.Step plain = emulated(gxx, source, driver.output(), false);
        Toolchain.Step checking = emulated(gxx, source, driver.output(), true);
        all.addAll(List.of(plain, checking));
        if (plainly) {
          steps.add(plain);
        }
        if (checked) {
          steps.add(checking);
        }
      }
      if (emulate) {
        Toolchain.run(List.of(driver));
      }
    }
    List<Toolchain.Result> results = Toolchain.run(steps, sources + ": kernel images");
    long compiled = results.stream().filter(Toolchain.Result::compiled).count();
    if (compiled != 0) {
      Toolchain.say("%s: %d of %d kernel images compiled", sources, compiled, steps.size());
      Toolchain.showWarnings(results);
    }
    KernelResources resources = new KernelResources();
    for (int i = 0; i < fatbins; i++) {
      resources.add(families.get(i), results.get(i).said());
    }
    resources.check();
    if (table != null && nvcc != null && code.equals(ALL)) {
      resources.write(table);
    }
    Set<Path> wanted = new HashSet<>();
    steps.forEach(step -> wanted.add(step.output()));
    for (Toolchain.Step step : all) {
      if (!wanted.contains(step.output()) && step.isCurrent()) {
        wanted.add(step.output());
      }
    }
    deleteAllBut(wanted);
  }

  /** The code nvcc is to generate of kernels for every card; empty for none. */
  private String code() {
    for (String kind : kinds) {
      if (kind.equals("gpu")) {
        return ALL;
      }
      if (kind.startsWith("gpu:")) {
        return switch (kind.substring(4)) {
          case "8.0", "8.6", "8.9" -> "sm_80";
          case "9.0" -> "sm_90";
          default -> "compute_80"; // the driver translates it
        };
      }
    }
    return "";
  }

  private boolean isForHopper(Path source) throws IOException {
    for (MatchResult found : INCLUDE.matcher(Files.readString(source)).results().toList()) {
      Path beside = source.resolveSibling(found.group(1));
      Path file = Files.exists(beside) ? beside : include.resolve(found.group(1));
      if (found.group(1).equals(HOPPER) || (Files.exists(file) && isForHopper(file))) {
        return true;
      }
    }
    return false;
  }

  private Toolchain.Step fatbin(String nvcc, String code, Path source) throws IOException {
    String family = Toolchain.stem(source);
    Path dependencies = work.resolve(family + ".fatbin.d");
    Path output = images.resolve(family + ".fatbin");
    List<String> command = new ArrayList<>(List.of(nvcc, "-std=c++17", "-O3", "-lineinfo"));
    command.add(
        isForHopper(source)
            ? "-gencode=arch=compute_90a,code=sm_90a"
            : "-gencode=arch=compute_80,code=[%s]".formatted(code));
    command.addAll(List.of("-fatbin", "--compress-mode=size", "-Xptxas=-v"));
    command.addAll(List.of("-I" + include, "-MMD", "-MF", dependencies.toString()));
    command.addAll(List.of(source.toString(), "-o", output.toString()));
    return new Toolchain.Step(command, output, dependencies, List.of(source));
  }

  /**
   * No instruction set beyond x86-64-v2: images travel between machines. No strict aliasing:
   * kernels move bf16 as 16-byte words. A checked image calls the emulator at each load and store,
   * and where one is misaligned: the sanitizers' instrumentation without their libraries.
   */
  private Toolchain.Step emulated(String gxx, Path source, Path driver, boolean checked) {
    String family = Toolchain.stem(source);
    String kind = checked ? ".check" : ".emu";
    Path dependencies = work.resolve(family + kind + ".d");
    Path output = images.resolve(family + kind + ".so");
    List<String> command = new ArrayList<>(List.of(gxx, "-std=c++17", "-O2", "-g1", "-fPIC"));
    command.addAll(List.of("-march=x86-64-v2", "-fno-strict-aliasing", "-fno-gnu-unique"));
    command.addAll(List.of("-Wall", "-Wextra", "-Wno-unknown-pragmas"));
    command.addAll(List.of("-I" + include, "-I" + emulator));
    command.addAll(List.of("-MMD", "-MF", dependencies.toString(), "-shared", "-Wl,-Bsymbolic"));
    command.addAll(List.of("-o", output.toString(), "-x", "c++", source.toString()));
    if (checked) {
      command.addAll(
          List.of("-fsanitize=thread,alignment", "--param=tsan-instrument-func-entry-exit=0"));
      command.addAll(List.of("-nodefaultlibs", "-lstdc++", "-lm", "-lc", "-lgcc_s", "-lgcc"));
    }
    String flags = System.getenv("JAVELIN_EMULATOR_CXXFLAGS");
    if (flags != null && !flags.isBlank()) {
      command.addAll(List.of(flags.strip().split("\\s+")));
    }
    command.addAll(List.of("-Wl,--no-as-needed", "-x", "none", driver.toString()));
    return new Toolchain.Step(command, output, dependencies, List.of(source));
  }

  /** An empty library by the driver's name: kernels are linked against the name alone. */
  private Toolchain.Step linkName(String gxx) throws IOException {
    Path source = work.resolve("libcuda.c");
    Path output = work.resolve("libcuda.so.1");
    if (!Files.exists(source)) {
      Files.createDirectories(work);
      Files.createFile(source);
    }
    List<String> command = new ArrayList<>(List.of(gxx, "-shared", "-Wl,-soname,libcuda.so.1"));
    command.addAll(List.of("-o", output.toString(), "-x", "c", source.toString()));
    return new Toolchain.Step(command, output, work.resolve("libcuda.d"), List.of(source));
  }

  /** Images of sources that are gone, or of a compiler that is. */
  private void deleteAllBut(Set<Path> wanted) throws IOException {
    for (String ending : List.of(".fatbin", ".emu.so", ".check.so")) {
      for (Path image : Toolchain.files(images, ending)) {
        if (!wanted.contains(image)) {
          Files.delete(image);
        }
      }
    }
  }
}
