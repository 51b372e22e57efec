package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The launcher {@code ./javelin}, with a Maven in its place that notes how it was called. */
@DisabledOnOs(value = OS.WINDOWS, disabledReason = "the launcher is a shell script")
class LauncherTest {
  private static final String WARNING = "WARNING: Using incubator modules";

  @TempDir Path folder;
  private Path checkout;

  /** The program that the pretended build makes. */
  static final class Probe {
    private Probe() {}

    public static void main(String[] args) {
      System.err.println("to the error output");
      System.out.println(String.join("|", args));
      System.out.println("files are " + System.getProperty("sun.jnu.encoding"));
      System.out.println("cache is " + System.getProperty("javelin.cache"));
      System.exit(args.length > 0 && args[0].equals("fail") ? 7 : 0);
    }
  }

  private record Result(int code, String out, String err) {}

  @BeforeEach
  void makeCheckout() throws IOException {
    checkout = folder.resolve("check out");
    Path script = checkout.resolve("javelin");
    Files.createDirectories(checkout.resolve("native/src/main/java"));
    Files.copy(Path.of("../../javelin"), script);
    Files.writeString(checkout.resolve("pom.xml"), "<project/>");
    Files.writeString(checkout.resolve("native/src/main/java/A.java"), "class A {}");
    makeJar(folder.resolve("probe.jar"));
    Path maven = folder.resolve("bin/mvn");
    Files.createDirectories(folder.resolve("bin"));
    Files.writeString(
        maven,
        """
        #!/bin/sh
        echo "$*" >>"$FOLDER/calls"
        sleep "${BUILD_SECONDS:-0}"
        mkdir -p train/cli/target/lib && cp "$FOLDER/probe.jar" train/cli/target/javelin.jar
        """);
    assertThat(maven.toFile().setExecutable(true)).isTrue();
    assertThat(script.toFile().setExecutable(true)).isTrue();
  }

  private static void makeJar(Path jar) throws IOException {
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, Probe.class.getName());
    String name = Probe.class.getName().replace('.', '/') + ".class";
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest);
        InputStream in = Probe.class.getClassLoader().getResourceAsStream(name)) {
      out.putNextEntry(new ZipEntry(name));
      Objects.requireNonNull(in, name).transferTo(out);
    }
  }

  private Process start(Path in, Map<String, String> environment, String... arguments)
      throws IOException {
    List<String> command = new ArrayList<>(List.of(in.resolve("javelin").toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().remove("JAVELIN_JVM");
    builder.environment().put("JAVELIN_CDS", "off");
    builder.environment().putAll(environment);
    builder.environment().put("FOLDER", folder.toString());
    builder.environment().put("PATH", folder.resolve("bin") + ":" + System.getenv("PATH"));
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    return builder.start();
  }

  private static Result end(Process process) throws IOException, InterruptedException {
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Result(process.waitFor(), out, err);
  }

  private Result run(String... arguments) throws IOException, InterruptedException {
    return end(start(checkout, Map.of(), arguments));
  }

  private List<String> calls() throws IOException {
    Path calls = folder.resolve("calls");
    return Files.exists(calls) ? Files.readAllLines(calls) : List.of();
  }

  @Test
  void theFirstRunBuildsAndTheNextDoesNot() throws IOException, InterruptedException {
    Result first = run("eval", "--model", "a b");
    assertThat(first.err).contains("javelin: building from source");
    assertThat(first.out).startsWith("eval|--model|a b\n");
    Result second = run("eval");
    assertThat(second.err).doesNotContain("building");
    assertThat(calls()).hasSize(1);
    assertThat(calls().getFirst()).contains("-Djavelin.emulator=none", "-pl train/cli -am");
  }

  @Test
  void contentDecidesAndNotTheTimeOfAFile() throws IOException, InterruptedException {
    assertThat(run().code).isZero();
    Path source = checkout.resolve("native/src/main/java/A.java");
    Files.setLastModifiedTime(source, FileTime.from(Instant.now().plusSeconds(60)));
    Path copy = folder.resolve("copy");
    copy(checkout, copy);
    assertThat(end(start(copy, Map.of())).code).isZero();
    assertThat(run().code).isZero();
    assertThat(calls()).hasSize(1);
    Files.writeString(source, "class B {}");
    Files.setLastModifiedTime(source, FileTime.from(Instant.now().minusSeconds(86_400)));
    assertThat(run().err).contains("building what changed");
    Files.delete(source);
    assertThat(run().err).contains("building what changed");
    assertThat(calls()).hasSize(3);
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
  }

  @Test
  void twoAtOnceBuildOnce() throws IOException, InterruptedException {
    Map<String, String> slow = Map.of("BUILD_SECONDS", "2");
    Process one = start(checkout, slow, "one");
    Process two = start(checkout, slow, "two");
    Result first = end(one);
    Result second = end(two);
    assertThat(List.of(first.code, second.code)).containsOnly(0);
    assertThat(first.err + second.err).containsOnlyOnce("waiting for it");
    assertThat(calls()).hasSize(1);
  }

  @Test
  void aBuildThatWasKilledHoldsNobodyUp() throws IOException, InterruptedException {
    Process killed = start(checkout, Map.of("BUILD_SECONDS", "60"));
    while (calls().isEmpty()) {
      assertThat(killed.isAlive()).isTrue();
      TimeUnit.MILLISECONDS.sleep(20);
    }
    killed.descendants().forEach(ProcessHandle::destroyForcibly);
    killed.destroyForcibly().waitFor();
    assertThat(run().code).isZero();
    assertThat(calls()).hasSize(2);
  }

  @Test
  void theEmulatedDeviceIsBuiltWhenItIsAskedForAndThenStays()
      throws IOException, InterruptedException {
    assertThat(run("train").code).isZero();
    assertThat(run("train", "--prompt", "emulator").code).isZero();
    assertThat(run("train", "--device", "emulator").err).contains("kernels for the emulated GPU");
    assertThat(run("train", "--device=emulator").code).isZero();
    assertThat(run("train").code).isZero();
    assertThat(calls()).hasSize(2);
    assertThat(calls().getLast()).contains("-Djavelin.emulator=emulator:unchecked");
  }

  @Test
  void aTraceNeedsCheckedKernelsAlone() throws IOException, InterruptedException {
    assertThat(run("kernel", "--list").code).isZero();
    assertThat(calls().getLast()).contains("-Djavelin.emulator=none");
    assertThat(run("kernel", "--trace=softmax").code).isZero();
    assertThat(calls().getLast()).contains("-Djavelin.emulator=emulator:checked");
    assertThat(run("train", "--device=emulator").code).isZero();
    assertThat(calls().getLast()).endsWith("-Djavelin.emulator=emulator");
    assertThat(run("kernel", "--trace", "softmax").code).isZero();
    assertThat(calls()).hasSize(3);
  }

  @Test
  void onlyTheLineOnIncubatorModulesIsLeftOut() throws IOException, InterruptedException {
    assertThat(run().code).isZero();
    Result result = run("fail");
    assertThat(result.code).isEqualTo(7);
    assertThat(result.err).isEqualTo("to the error output\n").doesNotContain(WARNING);
  }

  @Test
  void whatJavaItselfSaysPasses() throws IOException, InterruptedException {
    assertThat(run().code).isZero();
    Process process = start(checkout, Map.of("JDK_JAVA_OPTIONS", "-XX:NoSuchOption"));
    Result result = end(process);
    assertThat(result.code).isEqualTo(1);
    assertThat(result.err).contains("NoSuchOption");
  }

  @Test
  void namesOfFilesAreUtf8InAnyLocale() throws IOException, InterruptedException {
    assertThat(run().code).isZero();
    Result result = end(start(checkout, Map.of("LC_ALL", "C")));
    assertThat(result.out).contains("files are UTF-8");
  }

  @Test
  void theBuildArchivesClassesAndARunDoesWithoutThem() throws IOException, InterruptedException {
    Map<String, String> shown =
        Map.of("JAVELIN_CDS", "on", "JAVELIN_JVM", "-Xlog:class+load=info:stdout:none");
    String fromArchive = Probe.class.getName() + " source: shared objects file (top)";
    assertThat(end(start(checkout, shown, "eval")).out).contains(fromArchive, "\neval\n");
    assertThat(end(start(checkout, Map.of("JAVELIN_JVM", shown.get("JAVELIN_JVM")))).out)
        .contains(Probe.class.getName() + " source: file:");
    Path archive; // beside it lies what a run may keep
    try (Stream<Path> files = Files.walk(checkout.resolve("target"))) {
      archive = files.filter(f -> f.endsWith("classes.jsa")).findFirst().orElseThrow();
    }
    Path cache = archive.resolveSibling("cache");
    Files.writeString(archive, "no archive");
    Result without = end(start(checkout, Map.of("JAVELIN_CDS", "on"), "eval"));
    assertThat(without.code).isZero();
    assertThat(without.out).startsWith("eval\n").contains("cache is " + cache + "\n");
    assertThat(without.err).isEqualTo("to the error output\n");
  }

  @Test
  void aBuildThatFailsSaysSoAndIsTriedAgain() throws IOException, InterruptedException {
    Path maven = folder.resolve("bin/mvn");
    String works = Files.readString(maven);
    Files.writeString(maven, "#!/bin/sh\necho the compiler\\'s words\nexit 1\n");
    Result result = run();
    assertThat(result.code).isEqualTo(1);
    assertThat(result.err).contains("the compiler's words", "the build failed");
    Files.writeString(maven, works);
    assertThat(run().code).isZero();
  }
}
