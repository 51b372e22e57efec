package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.cli.CommandLineTest.Result;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ShellCommandTest {
  @TempDir Path dir;

  private Path script(String name, String text) throws IOException {
    return Files.writeString(dir.resolve(name), text);
  }

  @Test
  void scriptsShareASessionAndSeeTheirArguments() throws IOException {
    Path first =
        script(
            "one.jsh",
            """
            #!/usr/bin/env javelin shell
            // A tape, a gradient, and the Vector API.
            float[] gradient(float... at) {
              try (Cpu cpu = Cpu.open(1); Parameters p = twoOf(cpu, at)) {
                return at;
              }
            }
            interface Parameters extends AutoCloseable { void close(); }
            Parameters twoOf(Cpu cpu, float[] at) { return () -> {}; }
            var lanes = FloatVector.broadcast(FloatVector.SPECIES_256, 2f)
                .mul(3f)
                .lane(7)
            if (gradient(1, 2).length == 3) {
              System.out.println("no");
            }
            else {
              System.out.println(Thread.currentThread().getName() + " " + lanes);
            }
            """);
    Path second =
        script(
            "two.jsh",
            """
            int n = 1
                + 2; int m = n
            System.out.println(lanes + m + String.join("|", args) + Shape.of(2, 3));
            /exit
            System.out.println("never");
            """);
    Result r =
        CommandLineTest.run(
            "shell", first.toString(), second.toString(), "--", "--stay", "a\"b\\u0041\nc");
    assertThat(r.err()).isEmpty();
    assertThat(r.exit()).isZero();
    assertThat(r.out())
        .isEqualTo(Thread.currentThread().getName() + " 6.0\n9.0--stay|a\"b\\u0041\nc[2, 3]\n");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "int a = 1;@@List<Foo> b =@  new ArrayList<Bar>(); | 3: cannot find symbol",
        "int a() {@  return 1@ + b();@} | 1: there is no method b()",
        "int a() { return b(); }@a() | 1: there is no method b()",
        "int a() {@  return 1; | 1: the file ends within this statement",
        "int a = 1;@/vars | 2: a script has no commands but /exit",
        "int a(int b) {@@  return 1 / b;@}@a(1);@@a(0); | 7: java.lang.ArithmeticException: / by zero",
        "throw new IllegalStateException(); | 1: java.lang.IllegalStateException",
      })
  void anErrorIsToldWithFileAndLineAndEndsTheScripts(String text, String message)
      throws IOException {
    String broken = script("broken.jsh", text.replace('@', '\n')).toString();
    String next = script("next.jsh", "throw new Error();").toString();
    StringWriter err = new StringWriter();
    int exit = Script.run(List.of(broken, next), "import java.util.*;", new PrintWriter(err));
    assertThat(exit).isEqualTo(1);
    assertThat(err.toString()).startsWith("javelin: " + broken + ":" + message);
  }

  @Test
  void theTraceOfAnExceptionNamesLinesOfTheFile() throws IOException {
    String file = script("trace.jsh", "int a(int b) {\n\n  return 1 / b;\n}\n\na(\n0);").toString();
    Result r = CommandLineTest.run("shell", file);
    assertThat(r.exit()).isEqualTo(1);
    assertThat(r.err()).contains("    at a(" + file + ":3)\n    at (" + file + ":6)");
  }

  @Test
  void whatIsNoScriptIsAWrongInput() throws IOException {
    Path none = dir.resolve("none.jsh");
    Result r = CommandLineTest.run("shell", none.toString());
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).isEqualTo("javelin: " + none + ": no such file or directory\n");
    Path binary = Files.write(dir.resolve("binary.jsh"), new byte[] {(byte) 0xff, 1});
    assertThat(CommandLineTest.run("shell", binary.toString()).err()).contains("is not UTF-8 text");
    assertThat(CommandLineTest.run("shell", "--sty").err()).contains("did you mean --stay?");
  }

  @Test
  void theShellItselfHasTheFlagsOfThisMachine() throws Exception {
    Path file = script("first.jsh", "int seven = 7;\n");
    Path asked =
        script(
            "asked.txt",
            """
            System.out.println("<" + seven + args[0] + System.getProperty("mine") + ">")
            FloatVector.broadcast(FloatVector.SPECIES_128, 2f).lane(1)
            try (var a = Cpu.open(1)) { System.out.println("<" + a.threads() + ">"); }
            /exit 5
            """);
    ChildJvm shell =
        ChildJvm.start(
            dir,
            List.of("-Dmine=8"),
            List.of("shell", "--stay", file.toString(), "--", "x"),
            asked);
    assertThat(shell.join()).as(shell.text()).isEqualTo(5);
    assertThat(shell.text()).contains("<7x8>", "==> 2.0", "<1>");
  }

  @Test
  void aRuntimeWithoutJShellIsNamed() throws Exception {
    List<String> flags =
        List.of("--limit-modules", "java.se,jdk.incubator.vector,jdk.management,jdk.unsupported");
    ChildJvm child = ChildJvm.start(dir, flags, List.of("shell"));
    assertThat(child.join()).isEqualTo(2);
    assertThat(child.text()).contains("has no module jdk.jshell", "JAVA_HOME");
  }

  /** Every public type of the engine is imported, and by its short name, or by a choice. */
  @Test
  void everythingIsImportedOnce() throws Exception {
    Set<String> packages = new TreeSet<>();
    Set<String> chosen = new HashSet<>();
    for (String line : Shell.imports().lines().filter(l -> l.startsWith("import ")).toList()) {
      String name = line.substring("import ".length(), line.length() - 1);
      if (name.endsWith(".*")) {
        packages.add(name.substring(0, name.length() - 2));
      } else {
        chosen.add(Class.forName(name).getSimpleName());
      }
    }
    Map<String, Set<String>> places = new TreeMap<>();
    for (Class<?> type : engine()) {
      assertThat(packages).contains(type.getPackageName());
      places.computeIfAbsent(type.getSimpleName(), n -> new TreeSet<>()).add(type.getName());
    }
    for (String name : places.keySet()) {
      for (String known : packages) {
        if (!known.startsWith("dev.javelin") && exists(known + "." + name)) {
          places.get(name).add(known + "." + name);
        }
      }
    }
    places.values().removeIf(p -> p.size() == 1);
    assertThat(places).hasSizeGreaterThan(10);
    assertThat(chosen).containsAll(places.keySet());
  }

  private static boolean exists(String name) {
    try {
      return Modifier.isPublic(Class.forName(name, false, null).getModifiers());
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  private static List<Class<?>> engine() throws IOException, ClassNotFoundException {
    List<Class<?>> types = new ArrayList<>();
    for (String place : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(place);
      boolean main = Files.isDirectory(path) && !place.contains("test-classes");
      if (!main && !place.matches(".*javelin-[a-z]+-[^/]*(?<!tests)\\.jar")) {
        continue;
      }
      for (String name : main ? names(path) : namesInJar(path)) {
        Class<?> type = Class.forName(name, false, ShellCommandTest.class.getClassLoader());
        boolean cli = type.getPackageName().equals("dev.javelin.cli");
        if (Modifier.isPublic(type.getModifiers()) && !cli && type.getNestHost() == type) {
          types.add(type);
        }
      }
    }
    assertThat(types).hasSizeGreaterThan(300);
    return types;
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return classes(files.map(f -> folder.relativize(f).toString().replace(File.separator, "/")));
    }
  }

  private static List<String> namesInJar(Path jar) throws IOException {
    try (var file = new JarFile(jar.toFile())) {
      return classes(file.stream().map(ZipEntry::getName));
    }
  }

  private static List<String> classes(Stream<String> files) {
    return files
        .filter(f -> f.startsWith("dev/javelin/") && f.endsWith(".class"))
        .filter(f -> !f.endsWith("-info.class"))
        .map(f -> f.substring(0, f.length() - ".class".length()).replace('/', '.'))
        .toList();
  }
}
