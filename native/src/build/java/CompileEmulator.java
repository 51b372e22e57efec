import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Compiles the emulated CUDA driver, {@code src/main/cpp/emulator}, to one shared object, which
 * becomes a resource of the jar. Maven runs it in the module's folder:
 *
 * <pre>java CompileEmulator.java SOURCES LIBRARY WORK [emulator|none]</pre>
 *
 * <p>With {@code none} it compiles nothing: a library that is there stays.
 */
final class CompileEmulator {
  private CompileEmulator() {}

  public static void main(String[] args) throws Exception {
    Toolchain.main(
        () -> {
          if (args.length > 3 && args[3].equals("none")) {
            return null;
          }
          compile(Path.of(args[0]), Path.of(args[1]), Path.of(args[2]));
          return null;
        });
  }

  private static void compile(Path sources, Path library, Path work) throws Exception {
    if (!Toolchain.hostCanEmulate()) {
      Toolchain.say("the emulated CUDA device is for Linux on x86-64: left out");
      return;
    }
    String compiler = Toolchain.find("CXX", "g++");
    if (compiler == null) {
      Files.deleteIfExists(library);
      Toolchain.say("no g++ on PATH (or in CXX): built without the emulated CUDA device");
      return;
    }
    List<Toolchain.Step> steps = new ArrayList<>();
    List<Path> objects = new ArrayList<>();
    for (Path source : Toolchain.files(sources, ".cpp")) {
      Path object = work.resolve(Toolchain.stem(source) + ".o");
      Path dependencies = work.resolve(Toolchain.stem(source) + ".d");
      List<String> command =
          new ArrayList<>(List.of(compiler, "-std=c++17", "-O2", "-g1", "-fPIC"));
      command.addAll(List.of("-Wall", "-Wextra", "-Wshadow", "-fvisibility=hidden"));
      command.addAll(
          List.of("-fvisibility-inlines-hidden", "-MMD", "-MF", dependencies.toString()));
      command.addAll(List.of("-c", source.toString(), "-o", object.toString()));
      steps.add(new Toolchain.Step(command, object, dependencies, List.of(source)));
      objects.add(object);
    }
    Toolchain.showWarnings(Toolchain.run(steps));
    List<String> link = new ArrayList<>(List.of(compiler, "-shared", "-Wl,-soname,libcuda.so.1"));
    link.addAll(List.of("-Wl,--no-undefined", "-o", library.toString()));
    objects.forEach(object -> link.add(object.toString()));
    link.addAll(List.of("-lpthread", "-ldl"));
    Toolchain.run(List.of(new Toolchain.Step(link, library, work.resolve("link.d"), objects)));
  }
}
